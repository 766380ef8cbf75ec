"""Agents by state, from queue members' events, and how busy they have been."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from incident.metrics import AGENT_OCCUPANCY, AGENTS
from pbx.ami import Event

STATES: Final = ("ready", "busy", "wrapup", "paused", "offline")
WINDOW_SECONDS: Final = 300.0

# Device states of app_queue (include/asterisk/devicestate.h).
_FREE: Final = "1"
_ENGAGED: Final = frozenset({"2", "3", "6", "7", "8"})  # in use, busy, ringing, both, on hold


@dataclass(slots=True)
class _Member:
    status: str
    paused: bool
    last_call: float
    queues: set[str]


@dataclass(frozen=True, slots=True)
class Team:
    """Who is able to take a call of one queue: signed in to it and not paused.

    ``wrapping``: agents in wrap-up, with the seconds left of it.
    """

    ready: frozenset[str]
    busy: frozenset[str]
    wrapping: Mapping[str, float]

    @property
    def names(self) -> frozenset[str]:
        return self.ready | self.busy | self.wrapping.keys()


class Agents:
    """Every agent's state now. An agent is a member of several queues: one person, counted once.

    ``wrapup_seconds``: after a call, until the next. ``clock``: Unix seconds, as Asterisk's
    LastCall is.
    """

    def __init__(self, wrapup_seconds: float, *, clock: Callable[[], float] = time.time) -> None:
        self._wrapup = wrapup_seconds
        self._clock = clock
        self._members: dict[str, _Member] = {}
        self._known: frozenset[str] = frozenset()
        self._samples: deque[tuple[float, int, int]] = deque()
        self._listed: dict[str, _Member] | None = None

    def know(self, numbers: Iterable[str]) -> None:
        """The agents that there are; those who are in no queue are offline."""
        self._known = frozenset(numbers)

    def on_event(self, event: Event) -> None:
        """QueueMember (listed), QueueMemberStatus, -Added, -Removed, -Pause."""
        name, queue = event.get("MemberName") or event.get("Name"), event.get("Queue")
        if not name:
            return
        kind = event.name.lower()
        if kind == "queuememberremoved":
            self._remove(self._members, name, queue)
            self._remove(self._listed or {}, name, queue)
            return
        self._update(self._members, name, queue, event)
        if self._listed is not None and (kind == "queuemember" or name in self._listed):
            self._update(self._listed, name, queue, event)

    def listing(self) -> None:
        """A list of all members begins."""
        self._listed = {}

    def listed(self) -> None:
        """The list is complete: whoever was not on it has left meanwhile."""
        if self._listed is not None:
            self._members = self._listed
        self._listed = None

    def lost(self) -> None:
        """Asterisk is not there: nobody can take a call."""
        self._members.clear()
        self._listed = None

    @staticmethod
    def _remove(members: dict[str, _Member], name: str, queue: str) -> None:
        member = members.get(name)
        if member is not None:
            member.queues.discard(queue)
            if not member.queues:
                del members[name]

    @staticmethod
    def _update(members: dict[str, _Member], name: str, queue: str, event: Event) -> None:
        last_call = event.get("LastCall", "0")
        fresh = float(last_call) if last_call.isdigit() else 0.0
        member = members.get(name)
        if member is None:
            member = members[name] = _Member("0", False, 0.0, set())
        member.status = event.get("Status", member.status)
        member.paused = event.get("Paused", "0") == "1"
        member.last_call = max(member.last_call, fresh)
        member.queues.add(queue)

    def counts(self) -> Mapping[str, int]:
        """How many agents are in each state."""
        now = self._clock()
        found = Counter(dict.fromkeys(STATES, 0))
        for member in self._members.values():
            found[self._state(member, now)] += 1
        found["offline"] += len(self._known - self._members.keys())
        return found

    def team(self, queue: str) -> Team:
        """Who is able to take a call of this queue now; whoever is paused during a call is not."""
        now = self._clock()
        by_state: dict[str, set[str]] = {"ready": set(), "busy": set()}
        wrapping: dict[str, float] = {}
        for name, member in self._members.items():
            if queue not in member.queues or member.paused:
                continue
            state = self._state(member, now)
            if state == "wrapup":
                wrapping[name] = max(0.0, self._wrapup - (now - member.last_call))
            elif state in by_state:
                by_state[state].add(name)
        return Team(frozenset(by_state["ready"]), frozenset(by_state["busy"]), wrapping)

    def queues_of(self, name: str) -> frozenset[str]:
        """The queues that an agent is signed in to."""
        member = self._members.get(name)
        return frozenset(member.queues) if member is not None else frozenset()

    def _state(self, member: _Member, now: float) -> str:
        if member.status in _ENGAGED:
            return "busy"
        if member.status != _FREE:
            return "offline"
        if member.paused:
            return "paused"
        return "wrapup" if now - member.last_call < self._wrapup else "ready"

    def sample(self) -> Mapping[str, int]:
        """Set the gauges; call it about once a second. Gives the counts."""
        now = self._clock()
        counts = self.counts()
        occupied = counts["busy"] + counts["wrapup"]
        present = occupied + counts["ready"] + counts["paused"]
        self._samples.append((now, occupied, present))
        while self._samples and self._samples[0][0] <= now - WINDOW_SECONDS:
            self._samples.popleft()
        for state in STATES:
            AGENTS.labels(state).set(counts[state])
        AGENT_OCCUPANCY.set(self.occupancy())
        return counts

    def occupancy(self) -> float:
        """Busy and wrap-up time over signed-in time of the last five minutes; 0 for nobody."""
        present = sum(sample[2] for sample in self._samples)
        return sum(sample[1] for sample in self._samples) / present if present else 0.0
