"""Follows each call in flight by Asterisk's events, and ends its attempt once."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Final

from dialer.books import Books
from dialer.lines import Line, Lines
from dialer.outcomes import Classified, classify
from dialer.retry import NOT_SENT_PAUSE, RetryRules
from incident import metrics
from incident.messages import CallEvent, Publisher, send
from incident.outcomes import AttemptOutcome
from incident.store.attempts import NOT_SENT, Ending, NextStep
from incident.store.schema import ContactState
from pbx import names
from pbx.ami import AmiClient, Event

log: Final = logging.getLogger(__name__)

_EVENTS: Final = (
    "Newchannel",
    "Newstate",
    "DialState",
    "DialEnd",
    "OriginateResponse",
    "UserEvent",
    "AgentConnect",
    "Hangup",
)
_UP: Final = "6"
_RINGING: Final = "5"

STRAGGLERS = 1.0
"""Seconds to wait for the rest of a failed call's events: they come in any order."""


class Tracker:
    """``rules``: the retry rules of a campaign. ``changed``: called when lines came free.
    ``ended``: called with each call's outcome."""

    def __init__(
        self,
        ami: AmiClient,
        lines: Lines,
        books: Books,
        *,
        publisher: Publisher,
        rules: Callable[[str], RetryRules],
        changed: Callable[[], None],
        ended: Callable[[Line, AttemptOutcome], None] = lambda _line, _outcome: None,
    ) -> None:
        self._ended = ended
        self._lines = lines
        self._books = books
        self._publisher = publisher
        self._rules = rules
        self._changed = changed
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._undo = ami.subscribe(_EVENTS, self.take)

    def close(self) -> None:
        self._undo()
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    def take(self, event: Event) -> None:
        """One event; those of calls that are not ours are left alone."""
        line = self._lines.get(self._attempt_of(event))
        if line is None:
            return
        line.doubtful = False
        match event.name:
            case "Newstate":
                self._state(line, event.get("ChannelState"))
            case "DialState":
                line.rang = line.rang or event.get("DialStatus") in {"RINGING", "PROGRESS"}
            case "DialEnd":
                line.dial_status = event.get("DialStatus")
            case "UserEvent":
                self._user_event(line, event)
            case "AgentConnect":
                self._connected(line, event.get("MemberName"))
            case "OriginateResponse":
                self._responded(line, event)
            case "Hangup":
                line.ended = True
                line.cause = _number(event.get("Cause"))
                line.tech_cause = event.get("TechCause")
                self._settle(line)
            case _:
                pass

    @staticmethod
    def _attempt_of(event: Event) -> str:
        if event.name in {"DialState", "DialEnd"}:
            return event.get("DestUniqueid")
        if event.name == "UserEvent":
            return event.get("Attempt")
        return event.get("Uniqueid")

    def _state(self, line: Line, state: str) -> None:
        if state == _RINGING:
            line.rang = True
        elif state == _UP:
            self._answered(line)

    def _user_event(self, line: Line, event: Event) -> None:
        match event.get("UserEvent"):
            case names.EVENT_ANSWERED:
                self._answered(line)
            case names.EVENT_ABANDONED:
                line.abandoned = True
                self._books.note(line.id, detail="abandoned")
            case names.EVENT_DISPOSITION if event.get("Disposition") == "machine":
                line.machine = True
                self._books.note(line.id, detail="machine")

    def _answered(self, line: Line) -> None:
        if line.answered_at is None:
            line.answered_at = time.time()
            self._books.note(line.id, answered_at=line.answered_at)
            self._tell(line, "answered")

    def _connected(self, line: Line, agent: str) -> None:
        if line.connected_at is None:
            line.connected_at = time.time()
            line.agent = agent
            if line.answered_at is None:
                line.answered_at = line.connected_at
            self._books.note(line.id, connected_at=line.connected_at, agent=agent)
            metrics.CONNECT.observe(max(0.0, line.connected_at - line.answered_at))
            self._tell(line, "connected")

    def _responded(self, line: Line, event: Event) -> None:
        line.responded = True
        if event.get("Response") == "Failure":
            line.originate_failed = True
            line.reason = _number(event.get("Reason"))
            self._settle(line)

    def _settle(self, line: Line) -> None:
        """End the attempt now if nothing more is to come, else in a moment."""
        if line.ended and (line.answered_at is not None or line.responded):
            self.finish(line)
        elif line.id not in self._timers:
            loop = asyncio.get_running_loop()
            self._timers[line.id] = loop.call_later(STRAGGLERS, self.finish, line)

    def finish(self, line: Line) -> None:
        """Classify what is known of this call and end its attempt."""
        self.end(line, classify(line.facts()))

    def end(self, line: Line, classified: Classified, *, tries: bool = True) -> None:
        """End an attempt with this outcome. ``tries``: it uses up one of the contact's tries."""
        timer = self._timers.pop(line.id, None)
        if timer is not None:
            timer.cancel()
        if self._lines.remove(line.id) is None:
            return  # ended already
        now = time.time()
        outcome = classified.outcome
        ending = Ending(
            outcome=outcome,
            at=now,
            detail=classified.detail,
            cause=line.cause,
            agent=line.agent,
            answered_at=line.answered_at,
            connected_at=line.connected_at,
            counts=tries,
        )

        def decide(made: int, same: int) -> NextStep:
            if not tries:
                return NextStep(ContactState.READY, now + NOT_SENT_PAUSE)
            return self._rules(line.campaign).next_step(outcome, made, same, now)

        def written(first: bool) -> None:
            if first and not classified.detail.startswith(NOT_SENT):
                metrics.DIALS.labels(line.campaign, outcome.value).inc()
                self._tell(line, "ended", outcome)

        self._books.end(line.id, ending, decide, written)
        self._ended(line, outcome)
        self._changed()

    def not_sent(self, line: Line, why: str, *, tries: bool = False) -> None:
        """Asterisk never got the order: nobody was called, and the contact is ready again."""
        self.end(line, Classified(AttemptOutcome.FAILED, f"{NOT_SENT}: {why}"), tries=tries)

    def placed(self, line: Line) -> None:
        self._tell(line, "placed")

    def _tell(self, line: Line, event: str, outcome: AttemptOutcome | None = None) -> None:
        message = CallEvent(
            call=line.id,
            event=event,
            incident=line.incident,
            at=time.time(),
            direction="outbound",
            language=line.language,
            agent=line.agent,
            outcome=None if outcome is None else outcome.value,
            campaign=line.campaign,
        )
        send(self._publisher, message)


def _number(text: str) -> int | None:
    return int(text) if text.isdigit() else None
