"""The tries to call people back that are going on, and how each ends: exactly once, in the store.

A try is committed before anything is dialled. Its end comes as an event of the dialplan, which
writes it into Asterisk's queue log as well; whatever nobody heard is read there, and a try of which
not even the log knows an end is *unknown*. Nothing is dialled here.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy.exc import SQLAlchemyError

from incident.messages import CallEvent, Publisher, send
from incident.metrics import CALLBACKS
from incident.outcomes import CallbackOutcome
from incident.store.callbacks import (
    Begun,
    Refusal,
    UnfinishedAttempt,
    cancel,
    end_attempt,
    note_answered,
    open_places,
    unfinished_attempts,
)
from incident.store.engine import Store, StoreError
from ivr.calls import CallBook
from ivr.keeping.outcomes import classify
from ivr.keeping.rules import CallbackRules
from ivr.kept_log import KeptLog, KeptLogFile, TryFacts
from ivr.served import Incidents
from ivr.trunks import Trunks
from pbx import names
from pbx.ami import AmiClient, Event

log: Final = logging.getLogger(__name__)

EVENTS: Final = ("UserEvent",)
YOUNG_SECONDS: Final = 3.0
"""So long a try may be committed without a sign of it: its placeholder is still asking."""
SWEEP_SECONDS: Final = 30.0
_RETRY_SECONDS: Final = 1.0
ANSWER: Final = "ANSWER"
JOINED: Final = "was still on the line when an agent was free"


@dataclass(slots=True)
class _Going:
    begun: Begun
    answered_at: float | None = None
    met: bool = False
    machine: bool = False

    @property
    def token(self) -> str:
        return self.begun.place.token


class CallbackTries:
    """Tell it every UserEvent; have ``run`` running. ``changed``: told when a place has changed."""

    def __init__(
        self,
        *,
        store: Store,
        incidents: Incidents,
        book: CallBook,
        publisher: Publisher,
        rules: CallbackRules,
        trunks: Trunks,
        log_file: Path,
        node: str,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._incidents = incidents
        self._book = book
        self._publisher = publisher
        self._rules = rules
        self._trunks = trunks
        self._log = KeptLogFile(log_file)
        self._node = node
        self._clock = clock
        self._going: dict[str, _Going] = {}
        self._work: asyncio.Queue[Callable[[], Awaitable[None]]] = asyncio.Queue()
        self.changed: Callable[[], None] = lambda: None
        self._handlers = {
            names.EVENT_KEPT_ANSWERED: self._answered,
            names.EVENT_KEPT_MET: self._met,
            names.EVENT_KEPT_OVER: self._over,
            names.EVENT_KEPT_JOINED: self._joined,
            names.EVENT_KEPT_MACHINE: self._machine,
        }

    def begun(self, begun: Begun) -> None:
        """A try was committed; it may be dialled now."""
        self._going[begun.attempt] = _Going(begun)
        self._trunks.take(begun.carrier)
        self._tell(begun, "placed", self._clock())

    def calling_in(self, token: str) -> bool:
        """Whether the owner of the place is on the line in person: nobody is called then."""
        return self._book.calling_in(token)

    def on_event(self, event: Event) -> None:
        handler = self._handlers.get(event.get("UserEvent"))
        if handler is not None:
            handler(event)

    async def run(self) -> None:
        """Write what the events told, in their order; a database that is away is waited for."""
        while True:
            work = await self._work.get()
            while True:
                try:
                    await work()
                except (SQLAlchemyError, StoreError, OSError) as error:
                    log.warning("a call-back cannot be noted (%s)", type(error).__name__)
                    await asyncio.sleep(_RETRY_SECONDS)
                else:
                    break

    async def end(
        self,
        attempt: str,
        incident: str,
        outcome: CallbackOutcome,
        *,
        cause: int | None = None,
        answered_at: float | None = None,
    ) -> None:
        """The try is over. Raises what the store raises; harmless when it had ended before."""
        served = self._incidents.get(incident)
        if served is None:
            return  # its rules are not known now; the next sweep asks again
        now = self._clock()
        ended = await end_attempt(
            self._store,
            attempt,
            outcome,
            now,
            self._rules.deciding(served.plan.hours),
            cause=cause,
            answered_at=answered_at,
        )
        going = self._going.pop(attempt, None)
        if going is not None:
            self._trunks.give_back(going.begun.carrier)
        if ended is not None and ended.first:
            CALLBACKS.labels(incident, outcome.value).inc()
            if going is not None:
                self._tell(going.begun, "ended", now, outcome)
            log.info("call-back %s ended: %s; the place is %s", attempt, outcome, ended.place.state)
        self.changed()

    async def settle(self, client: AmiClient) -> None:
        """End the tries whose calls are gone, as the queue log knows. Raises AmiError, OSError and
        what the store raises."""
        open_now = await unfinished_attempts(self._store, self._node)
        gone = await self._gone(client, open_now) if open_now else []
        living = {place.token for place in await open_places(self._store)}
        if not (gone or living):
            return  # nothing is asked of the log
        history = await asyncio.to_thread(self._log.read)
        for each in gone:
            if self._known_over(each, history):
                await self._settle(each, history)
        for token in living & history.joined.keys():
            await self._cancel_joined(token)

    async def taken(self, token: str) -> None:
        """A request of this token came out of the spool. Whoever met an agent before that is not
        called any more. Raises OSError and what the store raises."""
        history = await asyncio.to_thread(self._log.read)
        if token in history.joined:
            await self._cancel_joined(token)

    async def _gone(
        self, client: AmiClient, open_now: Sequence[UnfinishedAttempt]
    ) -> list[UnfinishedAttempt]:
        """Those of which there is no call in Asterisk."""
        channels = await client.collect("CoreShowChannels", timeout=15.0)
        alive = {names.kept_token(event.get("Channel")) for event in channels}
        return [each for each in open_now if each.place.token not in alive]

    def _known_over(self, attempt: UnfinishedAttempt, history: KeptLog) -> bool:
        """The log says so, or the try is no longer so young that nothing need be heard of it."""
        facts = history.tries.get(attempt.attempt, TryFacts())
        return facts.over is not None or self._clock() - attempt.created_at >= YOUNG_SECONDS

    async def settle_one(self, token: str) -> None:
        """Somebody asks whom to call for this place while a try of it has no end: end it if the
        queue log knows that it is over. Raises OSError and what the store raises."""
        history = await asyncio.to_thread(self._log.read)
        for each in await unfinished_attempts(self._store, self._node):
            facts = history.tries.get(each.attempt, TryFacts())
            old = self._clock() - each.created_at >= YOUNG_SECONDS
            over = facts.over is not None or (facts.dialled_at is None and old)
            if each.place.token == token and over:
                await self._settle(each, history)

    async def _settle(self, attempt: UnfinishedAttempt, history: KeptLog) -> None:
        facts = history.tries.get(attempt.attempt, TryFacts())
        outcome, cause = _read(facts, attempt, history)
        await self.end(
            attempt.attempt,
            attempt.place.incident,
            outcome,
            cause=cause,
            answered_at=facts.answered_at,
        )

    def _answered(self, event: Event) -> None:
        now = self._clock()
        going = self._going.get(event.get("Try"))
        if going is not None:
            going.answered_at = now
            self._tell(going.begun, "answered", now)
        attempt = event.get("Try")
        self._work.put_nowait(lambda: note_answered(self._store, attempt, now))

    def _met(self, event: Event) -> None:
        going = self._going.get(event.get("Try"))
        if going is not None:
            going.met = True

    def _machine(self, event: Event) -> None:
        for going in self._going.values():
            if going.token == event.get("Token"):
                going.machine = True

    def _over(self, event: Event) -> None:
        attempt = event.get("Try")
        going = self._going.get(attempt)
        status, cause = event.get("Status"), _cause(event.get("Cause"))
        self._work.put_nowait(lambda: self._note_over(attempt, going, status, cause))

    async def _note_over(
        self, attempt: str, going: _Going | None, status: str, cause: int | None
    ) -> None:
        if going is None:
            await self._end_from_log(attempt)
            return
        met = going.met or (status == ANSWER and await self._met_by_log(attempt))
        outcome = classify(
            status,
            cause,
            answered=going.answered_at is not None,
            met=met,
            machine=going.machine,
        )
        incident = going.begun.place.incident
        await self.end(attempt, incident, outcome, cause=cause, answered_at=going.answered_at)

    async def _met_by_log(self, attempt: str) -> bool:
        """For when the link was down at that moment. A log without the dial has lost the rest."""
        history = await asyncio.to_thread(self._log.read)
        facts = history.tries.get(attempt, TryFacts())
        return facts.met_at is not None or facts.dialled_at is None

    async def _end_from_log(self, attempt: str) -> None:
        """A try of before our time: what was told of it then is in the log."""
        history = await asyncio.to_thread(self._log.read)
        for each in await unfinished_attempts(self._store, self._node):
            if each.attempt == attempt:
                await self._settle(each, history)

    def _joined(self, event: Event) -> None:
        token, unique_id = event.get("Token"), event.get("Call")
        call = self._book.get(unique_id)
        if call is not None:
            self._book.connected(call, event.get("Agent"), self._clock())
        self._work.put_nowait(lambda: self._cancel_joined(token))

    async def _cancel_joined(self, token: str) -> None:
        found = await cancel(self._store, token, JOINED, self._clock())
        if not isinstance(found, Refusal):
            self.changed()

    def _tell(
        self, begun: Begun, event: str, at: float, outcome: CallbackOutcome | None = None
    ) -> None:
        send(
            self._publisher,
            CallEvent(
                call=begun.attempt,
                event=event,
                incident=begun.place.incident,
                at=round(at, 3),
                direction="callback",
                language=begun.place.language,
                agent=begun.agent,
                outcome=None if outcome is None else outcome.value,
            ),
        )


def _read(
    facts: TryFacts, attempt: UnfinishedAttempt, history: KeptLog
) -> tuple[CallbackOutcome, int | None]:
    """Where the log may have lost lines, nobody who may have talked is called once more."""
    # The log knows whole seconds. What the store knows and the log does not, was lost with a disk.
    lost = attempt.answered_at is not None and facts.answered_at is None
    seen = history.since is not None and history.since <= attempt.created_at - 1 and not lost
    answered = facts.answered_at is not None or attempt.answered_at is not None
    if facts.over is not None:
        status, cause = facts.over[0], _cause(facts.over[1])
        answered = answered or status == ANSWER
        met = facts.met_at is not None or (answered and not (seen and facts.dialled_at))
        found = classify(status, cause, answered=answered, met=met, machine=facts.machine)
        return found, cause
    if facts.machine:
        return CallbackOutcome.MACHINE, None
    # The dialplan writes before it dials, and before it joins them.
    if seen and facts.met_at is None and (answered or facts.dialled_at is None):
        return CallbackOutcome.NOT_CARRIED, None
    return CallbackOutcome.UNKNOWN, None


def _cause(text: str) -> int | None:
    return int(text) if text.isdigit() else None
