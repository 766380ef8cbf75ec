"""What Asterisk reports of callers: who waits, who met an agent, who is gone."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from operator import itemgetter
from time import monotonic
from typing import Final, TypeVar

from incident.messages import Publisher, QueueSnapshot, send
from incident.metrics import PLACES_KEPT, PREDICTED_WAIT, QUEUE_WAITING
from ivr.agents import Agents
from ivr.calls import EMERGENCY, Call, CallBook, is_inbound
from ivr.forecasts import Forecasts
from ivr.lineup import is_placeholder
from ivr.predictor import Prediction
from ivr.served import Incidents
from pbx import names
from pbx.ami import AmiClient, Event

_MEMBER_EVENTS: Final = (
    "QueueMember",
    "QueueMemberStatus",
    "QueueMemberAdded",
    "QueueMemberRemoved",
    "QueueMemberPause",
)
_SNAPSHOT_SECONDS: Final = 0.5
_NOT_LEFT: Final = frozenset({"", "CONTINUE"})
"""QUEUESTATUS after a call with an agent, or none at all."""


_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class _Shown:
    """What is published of one incident; ``predicted`` in whole seconds."""

    incident: str
    waiting: Mapping[str, int]
    places: Mapping[str, int]
    predicted: Mapping[str, tuple[float, float] | None]
    agents: Mapping[str, int]

    @property
    def state(self) -> object:
        """Changes with what is worth telling: a prediction by whole minutes only, for it moves
        all the time."""
        minutes = {
            language: each and tuple(seconds // 60 for seconds in each)
            for language, each in self.predicted.items()
        }
        return tuple(
            tuple(sorted(each.items(), key=itemgetter(0)))
            for each in (self.waiting, self.places, minutes, self.agents)
        )


class Waiting:
    """Follows the callers' queues of every served incident. `connect` it to an AMI client."""

    def __init__(
        self,
        incidents: Incidents,
        book: CallBook,
        agents: Agents,
        publisher: Publisher,
        *,
        forecasts: Forecasts,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._incidents = incidents
        self._book = book
        self._agents = agents
        self._publisher = publisher
        self._forecasts = forecasts
        self._clock = clock
        self._queues: Mapping[str, tuple[str, str]] = {}
        self._shown: dict[str, tuple[object, float]] = {}
        self._handlers: dict[str, Callable[[Event], None]] = {
            "queuecallerjoin": self._joined,
            "queueentry": self._listed,
            "agentconnect": self._connected,
            "hangup": self._hangup,
            "userevent": self._user_event,
        }
        incidents.on_change(self._served)
        self._served()

    def connect(self, client: AmiClient) -> Callable[[], None]:
        """Hear of everything that matters here. Returns the undo."""
        undo = [
            client.subscribe(
                ("QueueCallerJoin", "QueueEntry", "AgentConnect", "Hangup", "UserEvent"),
                self.on_event,
            ),
            client.subscribe(_MEMBER_EVENTS, self._agents.on_event),
        ]

        def both() -> None:
            for one in undo:
                one()

        return both

    def on_event(self, event: Event) -> None:
        handler = self._handlers.get(event.name.lower())
        if handler is not None:
            handler(event)

    def count(self) -> Mapping[str, Counter[str]]:
        """Callers waiting now: incident, then language."""
        waiting: dict[str, Counter[str]] = {
            incident.id: Counter(dict.fromkeys(incident.languages, 0))
            for incident in self._incidents.all.values()
        }
        for call in self._book:
            if call.waiting and call.incident in waiting and call.language:
                waiting[call.incident][call.language] += 1
        return waiting

    def show(self) -> None:
        """Bring gauges up to date and publish what changed; call it about twice a second."""
        agents = self._agents.sample()
        now = self._book.now()
        self._forecasts.watch()
        places = self._by_incident(self._forecasts.places())
        predicted = self._by_incident(self._forecasts.newcomers())
        for incident, languages in self.count().items():
            kept, expected = places.get(incident, {}), predicted.get(incident, {})
            for language, number in languages.items():
                QUEUE_WAITING.labels(incident, language).set(number)
                PLACES_KEPT.labels(incident, language).set(kept.get(language, 0))
                _show_predicted(incident, language, expected.get(language))
            ranges = {
                language: None if each is None else (round(each.p50), round(each.p90))
                for language, each in expected.items()
            }
            self._publish(_Shown(incident, languages, kept, ranges, agents), now)

    @staticmethod
    def _by_incident(found: Mapping[tuple[str, str], _T]) -> dict[str, dict[str, _T]]:
        sorted_out: dict[str, dict[str, _T]] = {}
        for (incident, language), value in found.items():
            sorted_out.setdefault(incident, {})[language] = value
        return sorted_out

    def _publish(self, shown: _Shown, now: float) -> None:
        incident = shown.incident
        before, at = self._shown.get(incident, (None, float("-inf")))
        moment = self._clock()
        if shown.state == before or moment - at < _SNAPSHOT_SECONDS:
            return
        self._shown[incident] = (shown.state, moment)
        since = [
            call.queued_at
            for call in self._book
            if call.waiting and call.incident == incident and call.queued_at is not None
        ]
        longest = now - min(since) if since else 0.0
        send(
            self._publisher,
            QueueSnapshot(
                incident=incident,
                waiting=dict(shown.waiting),
                agents=dict(shown.agents),
                longest_wait=round(max(0.0, longest), 1),
                places=dict(shown.places),
                predicted=dict(shown.predicted),
                at=round(now, 3),
            ),
        )

    def _served(self) -> None:
        self._queues = self._incidents.queues()

    def _call(self, event: Event, *, at: float | None = None) -> tuple[Call, str] | None:
        """The call of a callers' queue's event and the queue's language."""
        queue = self._queues.get(event.get("Queue"))
        unique_id = event.get("Uniqueid")
        if queue is None or not is_inbound(unique_id) or is_placeholder(event.get("Channel")):
            return None
        incident, language = queue
        call = self._book.get(unique_id)
        if call is None:
            # It did not come through the hotline: the emergency path, or before our time.
            call = self._book.begin(unique_id, incident, via=EMERGENCY, at=at)
        return call, language

    def _joined(self, event: Event) -> None:
        found = self._call(event)
        if found is not None:
            self._book.queued(found[0], found[1], self._book.now())

    def _listed(self, event: Event) -> None:
        """QueueEntry: waits since ``Wait`` seconds."""
        since = self._book.now() - _seconds(event.get("Wait"))
        found = self._call(event, at=since)
        if found is not None:
            self._book.queued(found[0], found[1], since)

    def _connected(self, event: Event) -> None:
        found = self._call(event)
        if found is None:
            return
        call, language = found
        now = self._book.now()
        if call.queued_at is None:
            self._book.queued(call, language, now - _seconds(event.get("HoldTime")))
        self._book.connected(call, event.get("MemberName"), now)

    def _hangup(self, event: Event) -> None:
        call = self._book.get(event.get("Uniqueid"))
        if call is not None:
            self._book.end(call, self._book.now())

    def _user_event(self, event: Event) -> None:
        kind = event.get("UserEvent")
        if kind == names.EVENT_EMERGENCY:
            self._emergency(event)
        elif kind == names.EVENT_QUEUE_LEFT:
            call = self._book.get(event.get("Uniqueid"))
            if call is not None and event.get("Status") not in _NOT_LEFT:
                self._book.left_queue(call, self._book.now())

    def _emergency(self, event: Event) -> None:
        incident, unique_id = event.get("Incident"), event.get("Uniqueid")
        if incident not in self._incidents.all or not is_inbound(unique_id):
            return
        call = self._book.get(unique_id)
        if call is None:
            self._book.begin(unique_id, incident, via=EMERGENCY)
        else:
            call.via = EMERGENCY
            self._book.save(call)


def _show_predicted(incident: str, language: str, found: Prediction | None) -> None:
    p50, p90 = (found.p50, found.p90) if found is not None else (math.nan, math.nan)
    PREDICTED_WAIT.labels(incident, language, "0.5").set(p50)
    PREDICTED_WAIT.labels(incident, language, "0.9").set(p90)


def _seconds(text: str) -> float:
    return float(text) if re.fullmatch(r"[0-9]+", text) else 0.0
