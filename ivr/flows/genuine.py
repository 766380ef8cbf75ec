"""Is this call or letter genuine? What the organisation does and never does, then the proof:
whether the letter's reference number is one of ours."""

from __future__ import annotations

from ivr.flows.affected import References, affected
from ivr.menu import AGENT_KEY, BACK, REPEAT
from ivr.talk import Talk


async def genuine(talk: Talk, references: References) -> str:
    """Gives the key that ended it, or ""."""
    talk.leaf()
    key = await talk.say("answer.genuine")
    if key in {AGENT_KEY, BACK, REPEAT}:
        return key
    return await affected(talk, references, first=key)
