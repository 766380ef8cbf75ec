"""A letter came by mistake: what to do with it. Which letter it was is noted where the caller
gives its reference number; whether that number is ours is not said."""

from __future__ import annotations

from typing import Final

from incident.outcomes import SelfServiceResult
from ivr.flows.reference import References, Why, Without, Wording, ask_reference
from ivr.menu import AGENT_KEY, BACK, REPEAT
from ivr.talk import Talk

WORDING: Final = Wording("mistake.ask_reference", None, optional=True)


async def mistake(talk: Talk, references: References) -> str:
    """Gives the key that ended it, or ""."""
    talk.leaf()
    talk.came_to(SelfServiceResult.LETTER_BY_MISTAKE)
    key = await talk.say("answer.mistake")
    if key in {AGENT_KEY, BACK, REPEAT}:
        return key
    given = await ask_reference(talk, references, WORDING, first=key)
    if isinstance(given, Without) and given.why is Why.KEY:
        return given.key
    return await talk.say("mistake.thanks")
