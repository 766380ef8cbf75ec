"""For a child, or for someone who has died: what a guardian or a family can do, and, by the
reference number of the letter, what was involved."""

from __future__ import annotations

from typing import Final

from incident.outcomes import SelfServiceResult
from ivr.flows.affected import tell
from ivr.flows.reference import References, Why, Without, Wording, ask_reference, explain
from ivr.menu import GoTo
from ivr.talk import Talk

WORDING: Final = Wording("family.ask_reference", "affected.not_found", optional=True)
WHAT_WAS_INVOLVED: Final = "1"


async def minor(talk: Talk, references: References) -> str | GoTo:
    """Gives the key that ended it, or "", or a menu to go on in."""
    talk.came_to(SelfServiceResult.MINOR)
    return await _family(talk, references, "answer.minor")


async def deceased(talk: Talk, references: References) -> str | GoTo:
    """Gives the key that ended it, or "", or a menu to go on in."""
    talk.came_to(SelfServiceResult.DECEASED)
    return await _family(talk, references, "answer.deceased")


async def _family(talk: Talk, references: References, answer: str) -> str | GoTo:
    talk.leaf()
    key = await talk.say(answer) or await talk.ask("family.offer")
    if key != WHAT_WAS_INVOLVED:
        return key
    given = await ask_reference(talk, references, WORDING)
    if isinstance(given, Without):
        if given.why is Why.SILENT:
            return ""
        return await explain(talk, given, "affected.not_listed_help")
    return await tell(talk, given)
