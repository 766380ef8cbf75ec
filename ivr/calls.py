"""The calls that are going on: what each has met so far, told to the store, metrics and events.

A `Call` is changed by the flow that talks with the caller and by what Asterisk reports; the
`CallBook` ends it exactly once, and from what it has met follows its one outcome.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

from prometheus_client import Counter

from incident.contacts.phones import BadPhone, to_e164
from incident.messages import CallEvent, Publisher, send
from incident.metrics import INBOUND_CALLS, MENU_CHOICES, QUEUE_WAIT, SELF_SERVICE, SHED_CALLS
from incident.outcomes import CallOutcome, SelfServiceResult
from incident.privacy import IncidentKey
from incident.store.calls import StoredCall
from ivr.journal import Journal

HOTLINE: Final = "hotline"
EMERGENCY: Final = "emergency"

_GONE_SECONDS: Final = 5.0
"""After the line was found dead: how long Asterisk's own report is waited for."""
_WAY: Final = 300
"""Steps of a caller's way that are kept; somebody may press keys for an hour."""
_ATTEMPT: Final = re.compile(r"[0-9a-f]{32}")
_UNIQUE_ID: Final = re.compile(r"(?:.+-)?[0-9]+\.[0-9]+")


def is_inbound(unique_id: str) -> bool:
    """Whether a unique id is one that Asterisk gave; outbound attempts bring their own."""
    return not _ATTEMPT.fullmatch(unique_id) and _UNIQUE_ID.fullmatch(unique_id) is not None


@dataclass(slots=True)
class Call:
    """One inbound call. Times are Unix seconds; see `incident.store.schema.CallRow`."""

    id: str
    incident: str
    via: str
    started_at: float
    language: str | None = None
    ani_enc: bytes | None = None
    ani_hash: bytes | None = None
    content_version: str | None = None
    way: list[str] = field(default_factory=list)
    leaves: int = 0
    queued_at: float | None = None
    connected_at: float | None = None
    ended_at: float | None = None
    wait_seconds: float | None = None
    agent: str | None = None
    left_number: bool = False
    after_hours: bool = False
    queue_ended: bool = False
    """Queue() gave the call back without an agent."""
    result: str | None = None
    results: set[SelfServiceResult] = field(default_factory=set)
    contact_id: int | None = None
    """Whose letter the call is about, if its reference number was given."""
    promised_low: float | None = None
    promised_high: float | None = None
    sent_to: str | None = None
    place: str | None = None
    first_words: tuple[int, int, bool] | None = None
    """Of the first announcement in line: range (minutes; 0, 0 for none), and whether keeping the
    place is offered. Not stored: it is said at once, or never."""
    shed: bool = False
    """Got the essentials and the offer of a call-back, because too many were calling."""
    reference: str | None = None
    """Given by the caller and found. Not stored: the outsourcer may hear of it, nobody else."""
    outcome: CallOutcome | None = None

    @property
    def in_person_at(self) -> str | None:
        """The token of the kept place that this caller takes on the line."""
        return None if self.left_number else self.place

    @property
    def ringing_elsewhere(self) -> bool:
        """Sent to the outsourcer, who has not answered yet."""
        return self.sent_to is not None and self.connected_at is None and self.ended_at is None

    @property
    def waiting(self) -> bool:
        """In the queue, not with an agent."""
        return (
            self.queued_at is not None
            and self.connected_at is None
            and self.ended_at is None
            and not self.queue_ended
        )

    def so_far(self) -> CallOutcome:
        """The outcome if the caller hung up now. What the caller wanted most comes first."""
        if self.connected_at is not None:
            return CallOutcome.AGENT if self.sent_to is None else CallOutcome.OUTSOURCED
        if self.left_number:
            return CallOutcome.CALLBACK
        if self.shed:
            return CallOutcome.SHED
        if self.queued_at is not None:
            return CallOutcome.NO_AGENT if self.queue_ended else CallOutcome.ABANDONED_WAITING
        if self.after_hours:
            return CallOutcome.AFTER_HOURS
        return CallOutcome.SELF_SERVICE if self.leaves else CallOutcome.ABANDONED_MENU

    def stored(self, node: str) -> StoredCall:
        return StoredCall(
            id=self.id,
            incident_id=self.incident,
            node=node,
            via=self.via,
            language=self.language,
            ani_enc=self.ani_enc,
            ani_hash=self.ani_hash,
            content_version=self.content_version,
            menu_path=" ".join(self.way),
            leaves=self.leaves,
            started_at=self.started_at,
            queued_at=self.queued_at,
            connected_at=self.connected_at,
            ended_at=self.ended_at,
            wait_seconds=self.wait_seconds,
            agent=self.agent,
            outcome=self.outcome.value if self.outcome else None,
            result=self.result,
            promised_low=self.promised_low,
            promised_high=self.promised_high,
            sent_to=self.sent_to,
            place=self.place,
            contact_id=self.contact_id,
        )


def restored(row: StoredCall, *, left_number: bool) -> Call:
    """A call that went on while the hotline was not there to see it."""
    way = row.menu_path.split()
    return Call(
        id=row.id,
        incident=row.incident_id,
        via=row.via,
        started_at=row.started_at,
        language=row.language,
        ani_enc=row.ani_enc,
        ani_hash=row.ani_hash,
        content_version=row.content_version,
        way=way,
        leaves=row.leaves,
        queued_at=row.queued_at,
        connected_at=row.connected_at,
        wait_seconds=row.wait_seconds,
        agent=row.agent,
        left_number=left_number,
        result=row.result,
        promised_low=row.promised_low,
        promised_high=row.promised_high,
        sent_to=row.sent_to,
        place=row.place,
        contact_id=row.contact_id,
        after_hours=AFTER_HOURS_STEP in way,
        shed=SHED_STEP in way,
    )


AFTER_HOURS_STEP: Final = "after_hours"
SHED_STEP: Final = "shed"
_RANK: Final = {result: rank for rank, result in enumerate(SelfServiceResult)}


class CallBook:
    """Every call that has begun and not ended, by unique id."""

    def __init__(
        self,
        node: str,
        journal: Journal,
        publisher: Publisher,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._node = node
        self._journal = journal
        self._publisher = publisher
        self._clock = clock
        self._calls: dict[str, Call] = {}
        self._choices: dict[tuple[str, str, str], Counter] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._met: set[str] = set()

    def __iter__(self) -> Iterator[Call]:
        return iter(tuple(self._calls.values()))

    def __len__(self) -> int:
        return len(self._calls)

    def get(self, unique_id: str) -> Call | None:
        return self._calls.get(unique_id)

    def now(self) -> float:
        return self._clock()

    def in_person_now(self) -> frozenset[str]:
        """Tokens of the kept places whose owners wait on the line."""
        return self._in_person(lambda call: call.waiting)

    def met_in_person(self) -> frozenset[str]:
        """Tokens of the kept places whose owners met an agent on the line, until each was
        ``settled``: the call may be over by the time that somebody asks."""
        return frozenset(self._met)

    def settled(self, token: str) -> None:
        """This place is over, and the store knows it."""
        self._met.discard(token)

    def calling_in(self, token: str) -> bool:
        """Whether the owner of a kept place is on the line to take it in person, or did so."""
        return token in self._met or any(call.in_person_at == token for call in self)

    def _in_person(self, which: Callable[[Call], bool]) -> frozenset[str]:
        found = (call.in_person_at for call in self if which(call))
        return frozenset(token for token in found if token is not None)

    def begin(
        self,
        unique_id: str,
        incident: str,
        *,
        via: str,
        key: IncidentKey | None = None,
        caller: str = "",
        content_version: str | None = None,
        at: float | None = None,
    ) -> Call:
        """A call that is new to us. ``caller``: the number as the carrier gave it, or ""."""
        call = Call(unique_id, incident, via, self._clock() if at is None else at)
        if caller and key is not None:
            number = _normal(caller)
            call.ani_enc, call.ani_hash = key.encrypt(number), key.lookup_hash(number)
        call.content_version = content_version
        self._calls[unique_id] = call
        self.save(call)
        self._tell(call, "started", call.started_at)
        return call

    def adopt(self, call: Call) -> None:
        """Take over a call that the store knows as open."""
        self._calls.setdefault(call.id, call)
        self._note_met(call)

    def save(self, call: Call) -> None:
        """Have the call written as it stands."""
        self._journal.call(call.stored(self._node))

    def step(self, call: Call, menu: str, choice: str) -> None:
        """The caller pressed a key in a menu."""
        self.note(call, f"{menu}:{choice}")
        label = (call.incident, menu, choice)
        counter = self._choices.get(label)
        if counter is None:
            counter = self._choices[label] = MENU_CHOICES.labels(*label)
        counter.inc()

    @staticmethod
    def note(call: Call, step: str) -> None:
        """Something on the caller's way that is no key: what a flow came to."""
        if len(call.way) < _WAY:
            call.way.append(step)

    def leaf(self, call: Call) -> None:
        """The caller reached an answer."""
        call.leaves += 1
        self.save(call)

    def came_to(self, call: Call, result: SelfServiceResult) -> None:
        """Self-service came to this; counted once a call, and kept unless it came to more."""
        if result in call.results:
            return
        call.results.add(result)
        SELF_SERVICE.labels(call.incident, result.value).inc()
        if call.result is None or _RANK[result] < _RANK[SelfServiceResult(call.result)]:
            call.result = result.value
            self.save(call)

    def about(self, call: Call, contact: int) -> None:
        """The caller gave the reference number of this contact's letter."""
        if call.contact_id != contact:
            call.contact_id = contact
            self.save(call)

    def closed(self, call: Call) -> None:
        """The caller wanted an agent outside of hours, and hears so."""
        if not call.after_hours:
            call.after_hours = True
            self.note(call, AFTER_HOURS_STEP)
            self.save(call)

    def kept(self, call: Call, token: str) -> None:
        """The caller has a place in line that is kept."""
        call.left_number, call.place = True, token
        self.save(call)

    def in_person(self, call: Call, token: str) -> None:
        """The caller has a place that is kept, and takes it in person."""
        call.place = token
        self.save(call)

    def shed(self, call: Call) -> None:
        """The caller gets the short way."""
        if not call.shed:
            call.shed = True
            SHED_CALLS.labels(call.incident).inc()
            self.note(call, SHED_STEP)
            self.save(call)

    def sent(self, call: Call, carrier: str, at: float) -> None:
        """The caller is sent to the outsourcer's trunk, and waits from now on."""
        call.sent_to = carrier
        if call.queued_at is None:
            call.queued_at = at
            self._tell(call, "queued", at)
        self.save(call)

    def came_back(self, call: Call, why: str) -> None:
        """The outsourcer did not take the caller, who goes on waiting in the own line."""
        call.sent_to = None
        self.note(call, f"overflow:{why}")
        self.save(call)

    def queued(self, call: Call, language: str, at: float) -> None:
        if call.queued_at is not None and not call.queue_ended:
            return
        call.queued_at, call.queue_ended, call.language = at, False, language
        self.save(call)
        self._tell(call, "queued", at)

    def connected(self, call: Call, agent: str, at: float) -> None:
        if call.connected_at is not None:
            return
        call.connected_at, call.agent = at, agent[:32]
        self._note_met(call)
        self._waited(call, at)
        self.save(call)
        self._tell(call, "connected", at)

    def left_queue(self, call: Call, at: float) -> None:
        """Queue() gave the caller back, without an agent."""
        if call.waiting:
            call.queue_ended = True
            self._waited(call, at)
            self.save(call)

    def line_gone(self, call: Call) -> None:
        """The flow found the line dead. Asterisk reports the end; if it cannot, it ends here."""
        if call.ended_at is None and call.id not in self._timers:
            loop = asyncio.get_running_loop()
            self._timers[call.id] = loop.call_later(_GONE_SECONDS, self._overdue, call)

    def end(self, call: Call, at: float, outcome: CallOutcome | None = None) -> None:
        """The call is over; ``outcome`` only where it is known otherwise than from the call."""
        timer = self._timers.pop(call.id, None)
        if timer is not None:
            timer.cancel()
        if call.ended_at is not None:
            return
        if call.waiting:
            self._waited(call, at)
        call.outcome = outcome or call.so_far()
        call.ended_at = at
        self._calls.pop(call.id, None)
        INBOUND_CALLS.labels(call.incident, call.outcome.value).inc()
        self.save(call)
        self._tell(call, "ended", at)

    def close(self) -> None:
        """Drop the timers (at stop); the calls go on without us."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    def _note_met(self, call: Call) -> None:
        if call.connected_at is not None and call.in_person_at is not None:
            self._met.add(call.in_person_at)

    def _overdue(self, call: Call) -> None:
        self._timers.pop(call.id, None)
        self.end(call, self._clock())

    def _waited(self, call: Call, until: float) -> None:
        if call.queued_at is not None and call.wait_seconds is None:
            call.wait_seconds = max(0.0, until - call.queued_at)
            QUEUE_WAIT.observe(call.wait_seconds)

    def _tell(self, call: Call, event: str, at: float) -> None:
        send(
            self._publisher,
            CallEvent(
                call=call.id,
                event=event,
                incident=call.incident,
                at=round(at, 3),
                language=call.language,
                agent=call.agent,
                outcome=call.outcome.value if call.outcome else None,
                wait_seconds=None if call.wait_seconds is None else round(call.wait_seconds, 3),
                result=call.result,
            ),
        )


def _normal(caller: str) -> str:
    """E.164 where the carrier's text is a number, else the text: it may be all there is."""
    try:
        return to_e164(caller)
    except BadPhone:
        return caller
