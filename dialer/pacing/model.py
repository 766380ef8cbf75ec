"""What every pacer is given, and what it answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class AgentState(StrEnum):
    """``ringing``: a call of the queue is being offered. ``wrapup``: finishing the last call."""

    IDLE = "idle"
    RINGING = "ringing"
    BUSY = "busy"
    WRAPUP = "wrapup"
    PAUSED = "paused"
    OFFLINE = "offline"


@dataclass(frozen=True, slots=True)
class AgentView:
    """One agent: the state, and for how many seconds it has lasted."""

    state: AgentState
    seconds: float


@dataclass(frozen=True, slots=True)
class Limits:
    """What the outside allows at this moment. Never exceeded, whatever the pacer wants.

    ``channels``: free at the carrier. ``calls``: that may be placed now by calls per second.
    ``ceiling``: lines left of the operator's ceiling.
    """

    channels: int
    calls: int
    ceiling: int

    @property
    def most(self) -> int:
        return max(0, min(self.channels, self.calls, self.ceiling))

    @property
    def tightest(self) -> str:
        """Words for whatever limits most."""
        if self.ceiling <= self.most:
            return "the operator's ceiling of lines"
        if self.channels <= self.most:
            return "the carrier's channels"
        return "calls per second"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One queue (an incident's language) of one campaign at ``now`` (monotonic seconds).

    ``agents``: who serves the queue, each once. ``claimed``: idle ones among them that calls of
    other queues need. ``ringing``: age in seconds of each line that has not answered, of all
    campaigns of this queue. ``answered_waiting``: called people who wait for an agent.
    ``inbound_waiting``: callers who wait in this queue with no agent's telephone ringing yet.
    """

    queue: str
    now: float
    agents: tuple[AgentView, ...]
    claimed: int
    ringing: tuple[float, ...]
    answered_waiting: int
    inbound_waiting: int
    limits: Limits


@dataclass(frozen=True, slots=True)
class Decision:
    """``dial`` that many more now, because of ``reason``; ``numbers`` that led to it."""

    dial: int
    reason: str
    numbers: Mapping[str, float]


class Pacer(Protocol):
    """A pure function of what is known; one for each mode."""

    @property
    def name(self) -> str: ...

    def decide(self, snapshot: Snapshot) -> Decision: ...
