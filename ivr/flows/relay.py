"""Help by relay service or text telephone: how it works, then an agent who knows of it."""

from __future__ import annotations

from incident.outcomes import SelfServiceResult
from ivr.menu import AGENT_KEY, BACK, REPEAT
from ivr.talk import Talk
from pbx import names


async def relay(talk: Talk) -> str:
    """Gives the key that ended it; without one, that of the agent."""
    talk.leaf()
    talk.came_to(SelfServiceResult.RELAY)
    key = await talk.say("answer.relay")
    if key in {BACK, REPEAT}:
        return key
    # Inherited by the agent's leg: the telephone shows that an operator will speak.
    await talk.session.set_variable(f"__{names.RELAY}", "1")
    return AGENT_KEY
