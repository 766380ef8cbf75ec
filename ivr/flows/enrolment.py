"""Credit monitoring: what it is, and the caller's own activation code, read twice and slowly.

The reference number is enough to hear the code: it stands in the same letter. Guessing numbers is
held back as everywhere (``incident.guessing``).
"""

from __future__ import annotations

import logging
from typing import Final

from incident.outcomes import SelfServiceResult
from incident.privacy import PrivacyError
from incident.store.references import Letter
from ivr.flows.reference import References, Why, Wording, ask_reference, explain
from ivr.menu import REPEAT
from ivr.talk import Talk

log: Final = logging.getLogger(__name__)

WORDING: Final = Wording("enrolment.ask_reference", "affected.not_found", optional=True)
MY_CODE: Final = "1"


async def enrolment(talk: Talk, references: References) -> str:
    """Gives the key that ended it, or ""."""
    talk.leaf()
    key = await talk.say("answer.enrolment") or await talk.ask("enrolment.offer")
    if key != MY_CODE:
        return key
    given = await ask_reference(talk, references, WORDING)
    if isinstance(given, Letter):
        return await tell_code(talk, given)
    if given.why in {Why.KEY, Why.NOT_NOW}:
        return await explain(talk, given, "enrolment.no_code")
    return await _no_code(talk)


async def tell_code(talk: Talk, letter: Letter) -> str:
    """Read the activation code of a letter; gives the key that ended it, or ""."""
    code = _code(talk, letter)
    if not code:
        return await _no_code(talk)
    talk.note("enrolment:code")
    talk.leaf()
    talk.came_to(SelfServiceResult.CODE_TOLD)
    key = REPEAT
    while key == REPEAT:
        key = (
            await talk.say("enrolment.code")
            or await talk.spell_slowly(code)
            or await talk.say("enrolment.code_again")
            or await talk.spell_slowly(code)
            or await talk.ask("enrolment.done")
        )
    return key


def _code(talk: Talk, letter: Letter) -> str:
    if letter.activation is None or letter.kind == "deceased":
        return ""  # nobody can be enrolled who has died
    try:
        return talk.incident.key.decrypt(letter.activation)
    except (PrivacyError, ValueError):
        log.error("contact %d: its activation code cannot be opened", letter.contact)  # noqa: TRY400
        return ""


async def _no_code(talk: Talk) -> str:
    talk.note("enrolment:no_code")
    talk.came_to(SelfServiceResult.CODE_MISSING)
    return await talk.say("enrolment.no_code")
