"""Sees to it that those who wait hear how long it may take, once, and again when it got better.

Asterisk makes the announcements by itself (asterisk-conf/queues.conf); which one a caller hears
next is chosen by the language of the caller's channel (`pbx.prompts.waits`). An announcement has
begun when the music stops, and is over when it goes on.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from incident.metrics import WAIT_PROMISES
from ivr.calls import Call, CallBook, is_inbound
from ivr.forecasts import Forecasts
from ivr.lineup import Lineup, is_placeholder
from ivr.predictor import Promise, promise
from pbx.ami import AmiClient, AmiError, Event, NotConnected, Refused
from pbx.prompts.waits import variant

log: Final = logging.getLogger(__name__)

EVENTS: Final = (
    "QueueCallerJoin",
    "QueueEntry",
    "QueueCallerLeave",
    "QueueCallerAbandon",
    "AgentConnect",
    "Hangup",
    "MusicOnHoldStart",
    "MusicOnHoldStop",
)
LOOK_SECONDS: Final = 1.0
ACTION_SECONDS: Final = 5.0


@dataclass(slots=True)
class _Listener:
    """A caller in line. ``at`` is when ``said`` was spoken, ``deadline`` the earliest moment by
    which an agent was promised; Unix seconds. ``next``: what the next announcement will say.

    ``language``: of the channel as we know it; none where we do not know.
    """

    unique_id: str
    channel: str
    plain: str
    language: str | None
    said: Promise | None = None
    at: float = 0.0
    deadline: float = math.inf
    next: Promise | None = None
    offer: bool = True
    listening: bool = False


class Announcer:
    """One for all callers' queues. Tell it every one of ``EVENTS``; have ``run`` running."""

    def __init__(
        self,
        ami: AmiClient,
        book: CallBook,
        lineup: Lineup,
        forecasts: Forecasts,
        queues: Callable[[], Mapping[str, tuple[str, str]]],
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._ami = ami
        self._book = book
        self._lineup = lineup
        self._forecasts = forecasts
        self._queues = queues
        self._clock = clock
        self._listeners: dict[str, _Listener] = {}
        self._leaving: dict[str, _Listener] = {}
        self._wake = asyncio.Event()
        self._handlers: Mapping[str, Callable[[Event], None]] = {
            "queuecallerjoin": self._joined,
            "queueentry": self._listed,
            "queuecallerleave": self._left,
            "queuecallerabandon": self._abandoned,
            "agentconnect": self._connected,
            "hangup": self._hangup,
            "musiconholdstop": self._begins,
            "musiconholdstart": self._over,
        }

    def on_event(self, event: Event) -> None:
        """Any of ``EVENTS``, after the lineup has heard it."""
        handler = self._handlers.get(event.name.lower())
        if handler is not None:
            handler(event)

    async def run(self) -> None:
        """Choose what is said next to each of them, until cancelled."""
        while True:
            try:
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._wake.wait()
            except TimeoutError:
                pass
            self._wake.clear()
            await self._choose()

    def lost(self) -> None:
        """The link is down. What callers hear meanwhile is not known."""
        for listener in self._listeners.values():
            listener.language = None
            listener.listening = False
        self._leaving.clear()

    async def _choose(self) -> None:
        for listener in list(self._listeners.values()):
            if listener.listening:
                continue
            wanted = self._look(listener)
            if wanted == listener.language:
                continue
            listener.language = wanted
            try:
                await self._ami.action(
                    "Setvar",
                    {
                        "Channel": listener.channel,
                        "Variable": "CHANNEL(language)",
                        "Value": wanted,
                    },
                    timeout=ACTION_SECONDS,
                )
            except Refused:
                # The caller is gone, or has become another channel's business.
                self._listeners.pop(listener.unique_id, None)
            except NotConnected:
                return
            except AmiError as error:
                listener.language = None
                log.warning("what a caller hears next is uncertain: %s", error)

    def _look(self, listener: _Listener) -> str:
        """The channel language that says what there is to say to this caller now."""
        forecast = self._forecasts.of(listener.unique_id)
        if forecast is None:
            listener.next = None
        else:
            listener.offer = forecast.offer
            if forecast.first is None:  # nothing may be promised, or nothing is to be
                listener.next = None
            else:
                elapsed = self._clock() - listener.at
                listener.next = promise(listener.said, forecast.prediction, elapsed)
        return spoken_language(listener.plain, listener.next, offer=listener.offer)

    def _joined(self, event: Event) -> None:
        listener = self._meet(event)
        if listener is None:
            return
        call = self._book.get(listener.unique_id)
        first = call.first_words if call is not None else None
        if call is not None and first is not None:
            call.first_words = None
            low, high, listener.offer = first
            listener.next = Promise(low, high) if high else None
        listener.language = spoken_language(listener.plain, listener.next, offer=listener.offer)

    def _listed(self, event: Event) -> None:
        """QueueEntry: was in line before us; which language its channel has is not known."""
        if event.get("Uniqueid") in self._listeners:
            return
        listener = self._meet(event)
        call = self._book.get(event.get("Uniqueid"))
        if listener is None or call is None or call.promised_high is None:
            return
        since = call.queued_at or call.started_at
        low, high = (call.promised_low or 0.0) // 60, math.ceil(call.promised_high / 60)
        listener.said, listener.at = Promise(int(low), max(1, high)), since
        listener.deadline = since + call.promised_high

    def _meet(self, event: Event) -> _Listener | None:
        queue = self._queues().get(event.get("Queue"))
        unique_id, channel = event.get("Uniqueid"), event.get("Channel")
        if queue is None or is_placeholder(channel) or not is_inbound(unique_id):
            return None
        # The language in which the caller is served, which is not the queue's where the
        # language's own queue was not there.
        call = self._book.get(unique_id)
        plain = (call.language if call else None) or queue[1]
        before = self._leaving.pop(unique_id, None)
        listener = _Listener(unique_id, channel, plain, None)
        if before is not None:  # back from keeping a place that was not kept in the end
            listener.said, listener.at = before.said, before.at
            listener.deadline = before.deadline
        self._listeners[unique_id] = listener
        return listener

    def _left(self, event: Event) -> None:
        listener = self._listeners.pop(event.get("Uniqueid"), None)
        if listener is not None:
            self._leaving[listener.unique_id] = listener

    def _connected(self, event: Event) -> None:
        listener = self._gone(event)
        if listener is not None and listener.deadline < math.inf:
            kept = self._clock() <= listener.deadline
            self._count(event, kept=kept)

    def _abandoned(self, event: Event) -> None:
        """Whoever gives up earlier than was promised says nothing about the promise."""
        listener = self._gone(event)
        if listener is not None and self._clock() > listener.deadline:
            self._count(event, kept=False)

    def _hangup(self, event: Event) -> None:
        self._gone(event)

    def _gone(self, event: Event) -> _Listener | None:
        unique_id = event.get("Uniqueid")
        left = self._leaving.pop(unique_id, None)
        return self._listeners.pop(unique_id, None) or left

    def _count(self, event: Event, *, kept: bool) -> None:
        queue = self._queues().get(event.get("Queue"))
        if queue is not None:
            WAIT_PROMISES.labels(queue[0], "yes" if kept else "no").inc()

    def _begins(self, event: Event) -> None:
        listener = self._listeners.get(event.get("Uniqueid"))
        if listener is not None:
            listener.listening = True

    def _over(self, event: Event) -> None:
        """The music goes on: what was chosen has been said. (It begins once before anything was
        said, when the caller joins.)"""
        listener = self._listeners.get(event.get("Uniqueid"))
        if listener is None or not listener.listening:
            return
        listener.listening = False
        if listener.next is not None and listener.language is not None:
            self._said(listener, listener.next)
        listener.next = None
        self._wake.set()

    def _said(self, listener: _Listener, spoken: Promise) -> None:
        now = self._clock()
        deadline = now + spoken.high_minutes * 60.0
        # A correction takes back what was said before; nothing else does.
        listener.deadline = (
            listener.deadline if spoken.correction else min(listener.deadline, deadline)
        )
        listener.said, listener.at = spoken, now
        call = self._book.get(listener.unique_id)
        if call is not None and call.promised_high is None:
            _note(call, spoken, now)
            self._book.save(call)


def _note(call: Call, spoken: Promise, now: float) -> None:
    """What was announced first, as seconds in line altogether."""
    waited = max(0.0, now - call.queued_at) if call.queued_at is not None else 0.0
    call.promised_low = waited + spoken.low_minutes * 60.0 if spoken.low_minutes else 0.0
    call.promised_high = waited + spoken.high_minutes * 60.0


def spoken_language(language: str, spoken: Promise | None, *, offer: bool) -> str:
    """The channel language with which somebody hears a range, or none."""
    if spoken is None:
        return variant(language, offer=offer)
    return variant(language, spoken.low_minutes, spoken.high_minutes, offer=offer)
