"""Was I affected? The caller keys in the letter's reference number and hears what was exposed.

What is said is what kinds of data the number stands for, and to whoever wants it the activation
code, which the letter holds too. No name and no telephone number is ever spoken.
"""

from __future__ import annotations

from typing import Final

from incident.outcomes import SelfServiceResult
from incident.store.references import Letter
from ivr.flows.enrolment import tell_code
from ivr.flows.reference import References, Without, Wording, ask_reference, explain
from ivr.menu import REPEAT, GoTo
from ivr.talk import Talk

WORDING: Final = Wording("affected.ask_reference", "affected.not_found")
PROTECT: Final = "protect"


async def affected(talk: Talk, references: References) -> str | GoTo:
    """Gives the key that ended it, or "", or a menu to go on in."""
    given = await ask_reference(talk, references, WORDING)
    if isinstance(given, Without):
        return await explain(talk, given, "affected.not_listed_help")
    return await tell(talk, given)


async def tell(talk: Talk, letter: Letter) -> str | GoTo:
    """Say what was involved for whom this letter is, then what can be done."""
    talk.note("affected:found")
    talk.leaf()
    talk.came_to(SelfServiceResult.AFFECTED)
    key = await _involved(talk, letter)
    while key == REPEAT:
        key = await _involved(talk, letter)
    if key:
        return key
    if letter.kind == "deceased":
        return await _for_the_family(talk, letter)
    minor = letter.kind == "minor"
    key = await talk.ask("affected.next_minor" if minor else "affected.next")
    if key == "1":
        return await tell_code(talk, letter)
    if key == "2":
        if minor and talk.has("answer.minor"):
            talk.came_to(SelfServiceResult.MINOR)
            return await talk.say("answer.minor")
        return GoTo(PROTECT)
    return await tell(talk, letter) if key == REPEAT else key


async def _involved(talk: Talk, letter: Letter) -> str:
    if letter.kind is None:
        key = await talk.say("affected.found")
    elif letter.kind == "minor":
        key = await talk.say("affected.found_minor")
    else:
        key = await talk.say("affected.found_deceased")
    family = "data_type" if letter.kind is None else "other_data_type"
    for code in letter.data_types:
        # A type that the plan no longer has, or does not say of others: what is left still holds.
        if not key and talk.has(f"{family}.{code}"):
            key = await talk.say(f"{family}.{code}")
    return key


async def _for_the_family(talk: Talk, letter: Letter) -> str | GoTo:
    if not talk.has("answer.deceased"):
        return ""
    key = await talk.ask("affected.next_deceased")
    if key == "1":
        talk.came_to(SelfServiceResult.DECEASED)
        return await talk.say("answer.deceased")
    return await tell(talk, letter) if key == REPEAT else key
