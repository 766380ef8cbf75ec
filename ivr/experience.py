"""What the events of a day teach about callers and agents: they are told to each incident's
`ivr.predictor.Learner`."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from ivr.agents import Agents
from ivr.lineup import Lineup, is_placeholder
from ivr.predictor import Learner, Prediction
from ivr.served import Incidents
from pbx import names
from pbx.ami import Event

EVENTS: Final = (
    "QueueCallerJoin",
    "QueueCallerLeave",
    "QueueCallerAbandon",
    "AgentConnect",
    "AgentComplete",
    "Hangup",
)
SETTLED_SECONDS: Final = 10.0
"""Whoever left the line this long ago and met no agent left it otherwise: keeps the place, or was
sent elsewhere. (An agent who answers hears what the call is about before it is connected.)"""
_LONGEST_CALL: Final = 4 * 3600.0
"""A call with an agent of which no end was seen is forgotten after this."""


@dataclass(frozen=True, slots=True)
class _Service:
    queue: str
    agent: str
    since: float
    notice: bool


@dataclass(frozen=True, slots=True)
class _Wait:
    """``predicted``: what was thought of it when it began."""

    queue: str
    since: float
    predicted: Prediction | None


Predict = Callable[[str, int], Prediction | None]
"""The wait of one who joins a queue with so many ahead and may hang up."""


class Experience:
    """Feeds the learners; ``of`` an incident is made where there is none yet.

    ``wrap_up``: seconds that an agent is left alone after a call. Times are Unix seconds.
    """

    def __init__(
        self,
        incidents: Incidents,
        lineup: Lineup,
        agents: Agents,
        wrap_up: float,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._incidents = incidents
        self._lineup = lineup
        self._agents = agents
        self._wrap_up = wrap_up
        self._clock = clock
        self._predict: Predict = lambda _queue, _ahead: None
        self._learners: dict[str, Learner] = {}
        self._queues: Mapping[str, tuple[str, str]] = {}
        self._notices: Mapping[str, str] = {}
        self._joined: dict[str, _Wait] = {}
        self._left: dict[str, tuple[_Wait, float]] = {}
        self._serving: dict[str, _Service] = {}
        self._handlers: Mapping[str, Callable[[Event], None]] = {
            "queuecallerjoin": self._join,
            "queuecallerleave": self._leave,
            "queuecallerabandon": self._abandon,
            "agentconnect": self._connect,
            "agentcomplete": self._complete,
            "hangup": self._hangup,
        }
        incidents.on_change(self._served)
        self._served()

    def on_event(self, event: Event) -> None:
        """Any of ``EVENTS``."""
        handler = self._handlers.get(event.name.lower())
        if handler is not None:
            handler(event)

    def compare(self, predict: Predict) -> None:
        """Hold what was predicted of each caller against what came of it."""
        self._predict = predict

    def of(self, incident: str) -> Learner:
        """What was learned about an incident's callers."""
        learner = self._learners.get(incident)
        if learner is None:
            learner = self._learners[incident] = Learner()
        return learner

    def all(self) -> Mapping[str, Learner]:
        return self._learners

    def restore(self, learners: Mapping[str, Learner]) -> None:
        """Go on with what was learned before a restart."""
        self._learners.update(learners)

    def serving(self, incident: str) -> tuple[float, ...]:
        """How long each call with an agent has lasted so far, notice calls left out."""
        now = self._clock()
        return tuple(
            max(0.0, now - service.since)
            for service in self._serving.values()
            if not service.notice and self._queues.get(service.queue, ("", ""))[0] == incident
        )

    def on_notice(self, agents: Iterable[str]) -> int:
        """How many of these agents talk with a person whom we called with a notice."""
        wanted = set(agents)
        return len(
            {
                service.agent
                for service in self._serving.values()
                if service.notice and service.agent in wanted
            }
        )

    def settle(self) -> None:
        """Call it every now and then: decides about those who left without a further word."""
        now = self._clock()
        for unique_id, (wait, at) in list(self._left.items()):
            if now - at >= SETTLED_SECONDS:
                del self._left[unique_id]
                if wait.queue in self._queues:
                    self._learner(wait.queue).on_left(at, at - wait.since)
        for unique_id, service in list(self._serving.items()):
            if now - service.since >= _LONGEST_CALL:
                del self._serving[unique_id]

    def lost(self) -> None:
        """The link is down: what is missed now teaches nothing."""
        self._joined.clear()
        self._left.clear()
        self._serving.clear()

    def _served(self) -> None:
        self._queues = self._incidents.queues()
        self._notices = {names.notices(queue): queue for queue in self._queues}

    def _learner(self, queue: str) -> Learner:
        return self.of(self._queues[queue][0])

    def _join(self, event: Event) -> None:
        queue, unique_id = event.get("Queue"), event.get("Uniqueid")
        if queue not in self._queues:
            return
        now = self._clock()
        self._left.pop(unique_id, None)
        place = self._lineup.position(unique_id)
        # A kept place does not hang up, as those do with whom it would be compared.
        follow = place is not None and not is_placeholder(event.get("Channel"))
        predicted = self._predict(queue, place - 1) if place is not None and follow else None
        self._joined[unique_id] = _Wait(queue, now, predicted)
        self._learner(queue).on_join(now, queue)

    def _leave(self, event: Event) -> None:
        queue, unique_id = event.get("Queue"), event.get("Uniqueid")
        joined = self._joined.pop(unique_id, None)
        if joined is not None and queue in self._queues:
            self._left[unique_id] = (joined, self._clock())

    def _abandon(self, event: Event) -> None:
        self._waited(event, abandoned=True)

    def _waited(self, event: Event, *, abandoned: bool) -> None:
        queue, unique_id = event.get("Queue"), event.get("Uniqueid")
        if queue not in self._queues:
            return
        now = self._clock()
        joined = self._joined.pop(unique_id, None)
        left = self._left.pop(unique_id, None)
        predicted = None
        if left is not None:
            seconds, predicted = left[1] - left[0].since, left[0].predicted
        elif joined is not None:
            seconds, predicted = now - joined.since, joined.predicted
        else:
            seconds = _seconds(event.get("HoldTime"))
        self._learner(queue).on_wait(now, seconds, abandoned, queue, predicted)

    def _connect(self, event: Event) -> None:
        queue, unique_id, agent = event.get("Queue"), event.get("Uniqueid"), event.get("MemberName")
        now = self._clock()
        if queue in self._queues:
            self._waited(event, abandoned=False)
            self._serving[unique_id] = _Service(queue, agent, now, notice=False)
        elif queue in self._notices:
            self._serving[unique_id] = _Service(self._notices[queue], agent, now, notice=True)
            taken: dict[str, list[str]] = {}
            for shared in self._agents.queues_of(agent) & self._queues.keys():
                taken.setdefault(self._queues[shared][0], []).append(shared)
            for incident, queues in taken.items():
                self.of(incident).on_outbound(now, queues)

    def _complete(self, event: Event) -> None:
        service = self._serving.pop(event.get("Uniqueid"), None)
        if service is None or service.queue not in self._queues:
            return
        talked = max(_seconds(event.get("TalkTime")), self._clock() - service.since)
        self._learner(service.queue).on_service(
            self._clock(), talked + self._wrap_up, outbound=service.notice
        )

    def _hangup(self, event: Event) -> None:
        """Complete and Abandon come before it; whoever is still here was missed."""
        unique_id = event.get("Uniqueid")
        self._joined.pop(unique_id, None)
        self._serving.pop(unique_id, None)


def _seconds(text: str) -> float:
    return float(text) if re.fullmatch(r"[0-9]{1,9}", text) else 0.0
