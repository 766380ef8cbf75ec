"""Is this call or letter genuine? What the organisation does and never does, then the proof:
whether the reference number is one of ours. A number that is not found accuses nobody."""

from __future__ import annotations

from typing import Final

from incident.outcomes import SelfServiceResult
from ivr.flows.affected import tell
from ivr.flows.reference import References, Without, Wording, ask_reference, explain
from ivr.menu import AGENT_KEY, BACK, REPEAT, GoTo
from ivr.talk import Talk

WORDING: Final = Wording("genuine.ask_reference", "genuine.not_found")
WHAT_WAS_INVOLVED: Final = "1"


async def genuine(talk: Talk, references: References) -> str | GoTo:
    """Gives the key that ended it, or "", or a menu to go on in."""
    talk.leaf()
    key = await talk.say("answer.genuine")
    if key in {AGENT_KEY, BACK, REPEAT}:
        return key
    given = await ask_reference(talk, references, WORDING, first=key)
    if isinstance(given, Without):
        return await explain(talk, given, "genuine.not_found_help")
    talk.note("genuine:yes")
    talk.leaf()
    talk.came_to(SelfServiceResult.GENUINE)
    key = REPEAT
    while key == REPEAT:
        key = await talk.say("genuine.yes") or await talk.ask("genuine.next")
    return await tell(talk, given) if key == WHAT_WAS_INVOLVED else key
