"""How many to dial now: a pure decision behind one interface."""

from dialer.pacing.model import AgentState, AgentView, Decision, Limits, Pacer, Snapshot
from dialer.pacing.progressive import Progressive

__all__ = [
    "AgentState",
    "AgentView",
    "Decision",
    "Limits",
    "Pacer",
    "Progressive",
    "Snapshot",
]
