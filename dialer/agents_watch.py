"""Which agents can take a call now, and who waits: Asterisk's queues as their events tell them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from dialer.pacing import AgentState, AgentView
from pbx import names
from pbx.ami import AmiClient, Event

_EVENTS: Final = (
    "QueueMember",
    "QueueEntry",
    "QueueMemberAdded",
    "QueueMemberRemoved",
    "QueueMemberStatus",
    "QueueMemberPause",
    "QueueCallerJoin",
    "QueueCallerLeave",
    "AgentCalled",
    "AgentRingNoAnswer",
    "AgentConnect",
    "AgentComplete",
)

# Device states of app_queue's members (include/asterisk/devicestate.h).
_NOT_IN_USE: Final = 1
_RINGING: Final = 6
_IN_USE: Final = frozenset({2, 3, 7, 8})


@dataclass(slots=True)
class _Agent:
    """One telephone; ``queues``: those that it is a member of, and whether it is paused there."""

    queues: dict[str, bool] = field(default_factory=dict)
    status: int = 0
    talking: bool = False
    last_call: float = 0.0
    wrapup: float = 0.0
    since: float = 0.0
    seen: dict[str, int] = field(default_factory=dict)


class AgentsWatch:
    """Follows every queue. ``changed`` is called whenever somebody may have become free.

    Nothing is known before the first ``refresh`` after a link came up: then nobody is idle.
    """

    def __init__(
        self,
        ami: AmiClient,
        wrapup_seconds: float,
        changed: Callable[[], None] = lambda: None,
        *,
        wall: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ami = ami
        self._wrapup = wrapup_seconds
        self._changed = changed
        self._wall = wall
        self._clock = clock
        self._agents: dict[str, _Agent] = {}
        self._waiting: dict[str, str] = {}
        self._waiting_seen: dict[str, int] = {}
        self._offered: dict[str, str] = {}
        self._round = 0
        self._undo = ami.subscribe(_EVENTS, self.take)

    def close(self) -> None:
        self._undo()

    def forget(self) -> None:
        """The link is lost: what we knew is worth nothing."""
        self._agents.clear()
        self._waiting.clear()
        self._offered.clear()

    async def refresh(self) -> None:
        """Ask for everything again. The list's items come in order with all other events, so
        they are taken as such; what is in neither has gone. Raises AmiError."""
        self._round += 1
        started = self._round
        await self._ami.collect("QueueStatus", timeout=10)
        for interface, agent in tuple(self._agents.items()):
            for queue in tuple(agent.queues):
                if agent.seen.get(queue, 0) < started:
                    del agent.queues[queue]
            if not agent.queues:
                del self._agents[interface]
        for caller in tuple(self._waiting):
            if self._waiting_seen.get(caller, 0) < started:
                self._leave(caller)
        self._changed()

    def views(self, queue: str) -> tuple[AgentView, ...]:
        """Who takes notice calls of a callers' queue (``names.queue``), each once."""
        now, wall = self._clock(), self._wall()
        queue = names.notices(queue)
        return tuple(
            AgentView(self._state(interface, agent, queue, wall), max(0.0, now - agent.since))
            for interface, agent in self._agents.items()
            if queue in agent.queues
        )

    def idle(self) -> tuple[frozenset[str], ...]:
        """For each agent who can take a notice call now: the callers' queues that it serves."""
        wall = self._wall()
        found = (
            frozenset(
                queue.removesuffix(names.notices(""))
                for queue in agent.queues
                if queue.endswith(names.notices(""))
                and self._state(interface, agent, queue, wall) is AgentState.IDLE
            )
            for interface, agent in self._agents.items()
        )
        return tuple(queues for queues in found if queues)

    def serving(self) -> tuple[frozenset[str], ...]:
        """The callers' queues that each agent who is signed in serves, idle or not."""
        return tuple(
            frozenset(queue.removesuffix(names.notices("")) for queue in agent.queues)
            for agent in self._agents.values()
        )

    def waiting(self) -> tuple[tuple[str, str], ...]:
        """Calls that wait and are not being offered to an agent: unique id and callers' queue."""
        return tuple(
            (call, queue.removesuffix(names.notices("")))
            for call, queue in self._waiting.items()
            if call not in self._offered
        )

    def offered(self, call: str) -> bool:
        """Whether an agent's telephone rings for this call."""
        return call in self._offered

    def _state(self, interface: str, agent: _Agent, queue: str, wall: float) -> AgentState:
        if agent.talking:
            return AgentState.BUSY
        if interface in self._offered.values() or agent.status == _RINGING:
            return AgentState.RINGING
        if agent.status in _IN_USE:
            return AgentState.BUSY
        if agent.status != _NOT_IN_USE:
            return AgentState.OFFLINE
        if agent.queues.get(queue, False):
            return AgentState.PAUSED
        if wall < agent.last_call + (agent.wrapup or self._wrapup):
            return AgentState.WRAPUP
        return AgentState.IDLE

    def take(self, event: Event) -> None:
        """One event of the queues."""
        call = event.get("Uniqueid")
        match event.name:
            case "QueueMemberRemoved":
                self._remove(event)
            case "QueueCallerJoin" | "QueueEntry":
                self._waiting[call] = event.get("Queue")
                self._waiting_seen[call] = self._round
            case "QueueCallerLeave":
                self._leave(call)
            case "AgentCalled":
                self._offered[call] = event.get("Interface")
            case "AgentRingNoAnswer":
                self._offered.pop(call, None)
            case "AgentConnect":
                self._offered.pop(call, None)
                self._talk(event.get("Interface"))
            case "AgentComplete":
                self._complete(event.get("Interface"))
            case _:
                self._member(event)
        self._changed()

    def _leave(self, call: str) -> None:
        self._waiting.pop(call, None)
        self._waiting_seen.pop(call, None)
        self._offered.pop(call, None)

    def _remove(self, event: Event) -> None:
        interface = event.get("Interface")
        agent = self._agents.get(interface)
        if agent is not None:
            agent.queues.pop(event.get("Queue"), None)
            if not agent.queues:
                del self._agents[interface]

    def _talk(self, interface: str) -> None:
        agent = self._agents.get(interface)
        if agent is not None:
            agent.talking = True
            agent.since = self._clock()

    def _complete(self, interface: str) -> None:
        agent = self._agents.get(interface)
        if agent is not None:
            agent.talking = False
            agent.last_call = self._wall()
            agent.since = self._clock()

    def _member(self, event: Event) -> None:
        interface = event.get("Interface") or event.get("Location")
        agent = self._agents.setdefault(interface, _Agent(since=self._clock()))
        queue, paused = event.get("Queue"), event.get("Paused") == "1"
        status = int(event.get("Status", "0") or 0)
        if status != agent.status or agent.queues.get(queue, paused) != paused:
            agent.since = self._clock()
        agent.queues[queue] = paused
        agent.seen[queue] = self._round
        agent.status = status
        agent.wrapup = float(event.get("Wrapuptime", "0") or 0)
        agent.last_call = max(agent.last_call, float(event.get("LastCall", "0") or 0))
        if status == _NOT_IN_USE and agent.talking:
            # The call is over, its AgentComplete is still to come: wrap-up begins now.
            self._complete(interface)
