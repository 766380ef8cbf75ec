"""After a restart, a lost link or a lost reply: which calls live on, and how the others ended.

An attempt is open in the store from before its Originate until its outcome is known. Whenever we
may have missed something, every open attempt is looked up by its channel's unique id, which is
the attempt's id: if the channel is there, it is followed; if not, the store and Asterisk's
queue log say what happened; what they do not say is *unknown*. Nothing is ever dialled here.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from sqlalchemy.exc import SQLAlchemyError

from dialer import queue_log
from dialer.agents_watch import AgentsWatch
from dialer.books import Books
from dialer.lines import Line, Lines
from dialer.outcomes import classify
from dialer.tracker import Tracker
from incident.store.attempts import open_attempts
from incident.store.engine import Store, StoreError
from pbx.ami import AmiClient, AmiError

log: Final = logging.getLogger(__name__)

SETTLE_SECONDS = 2.0
"""Between two looks for a channel: an order that was read late may still become one."""

SWEEP_SECONDS = 60.0
"""A call of which nothing is heard any more is looked up that often."""

OVERDUE_SECONDS = 30.0
"""Beyond its ring time: a line that still rings is in doubt."""

OPENING_SECONDS = 15.0
"""So long a lease may wait for its commit's reply: its attempts are in the store already."""

_RETRY_SECONDS = 1.0
_UP: Final = "6"
_RINGING: Final = "5"


class Recovery:
    """``ready`` is set while everything in flight is accounted for: only then is dialled."""

    def __init__(
        self,
        ami: AmiClient,
        store: Store,
        *,
        lines: Lines,
        books: Books,
        tracker: Tracker,
        watch: AgentsWatch,
        log_file: Path,
        changed: Callable[[], None],
        settle: float = SETTLE_SECONDS,
        sweep: float = SWEEP_SECONDS,
    ) -> None:
        self._sweep_seconds = sweep
        self._born = time.time()
        self._opening = False
        self._ami = ami
        self._store = store
        self._lines = lines
        self._books = books
        self._tracker = tracker
        self._watch = watch
        self._log_file = log_file
        self._changed = changed
        self._settle = settle
        self._wanted = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.ready = False
        self.link = 0
        """Number of the AMI link, counted up at each login."""
        self._undo = ami.on_link(self._on_link)

    def start(self) -> None:
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="dialer-recovery")
            self._task.add_done_callback(_report_failure)

    @property
    def failed(self) -> bool:
        """The task ended by itself: nothing is looked up any more."""
        return self._task is not None and self._task.done()

    async def stop(self) -> None:
        self._undo()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait((self._task,))
            self._task = None

    def check(self) -> None:
        """Some call is in doubt: look at all of them soon."""
        self._wanted.set()

    def _on_link(self, up: bool) -> None:
        self.ready = False
        if up:
            self.link += 1
            self._wanted.set()
        else:
            self._watch.forget()
            self._changed()

    async def _run(self) -> None:
        while True:
            await self._wait()
            link = self.link
            try:
                await self._sweep(link)
            except (AmiError, StoreError, SQLAlchemyError, OSError) as error:
                log.warning("recovery: %s; trying again", type(error).__name__)
                await asyncio.sleep(_RETRY_SECONDS)
                if self._ami.connected:
                    self._wanted.set()
                continue
            if link == self.link and self._ami.connected:
                self.ready = True
                self._changed()

    async def _wait(self) -> None:
        """Until a look is wanted, or it is time for one."""
        pause = min(self._sweep_seconds, OPENING_SECONDS if self._opening else self._sweep_seconds)
        while True:
            try:
                async with asyncio.timeout(pause):
                    await self._wanted.wait()
            except TimeoutError:
                if not self.ready:
                    continue  # without a link there is nothing to ask; the next one asks
                self._doubt_overdue()
            self._wanted.clear()
            return

    def _doubt_overdue(self) -> None:
        now = time.monotonic()
        for line in self._lines:
            if line.ringing and now - line.placed > line.ring_seconds + OVERDUE_SECONDS:
                line.doubtful = True

    async def _sweep(self, link: int) -> None:
        if not self.ready:
            await self._watch.refresh()
        suspects = await self._suspects(link)
        if not suspects:
            return
        log.info("recovery: looking %d open attempts up", len(suspects))
        alive = await self._channels()
        await self._restore(suspects, alive)
        missing = [line for line in suspects if self._is_lost(line, alive)]
        if missing:
            await asyncio.sleep(self._settle)
            alive = await self._channels()
            missing = [line for line in missing if self._is_lost(line, alive)]
            await self._restore(missing, alive)
            for line in missing:
                classified = classify(line.facts())
                log.warning("attempt %s: ended unobserved: %s", line.id, classified.outcome.value)
                self._tracker.end(line, classified)
        for line in suspects:
            line.link = link
            line.doubtful = False
        await self._books.settled()

    async def _suspects(self, link: int) -> list[Line]:
        """Lines that were not placed on this link or are in doubt, and what the store has more.

        They are followed from now on: events that come during the look-up are not missed.
        """
        await self._books.settled()
        self._opening = False
        young = max(self._born, time.time() - OPENING_SECONDS)
        for attempt in await open_attempts(self._store):
            if self._lines.get(attempt.id) is not None:
                continue
            if attempt.created_at > young:
                # Ours, and about to be placed, or its commit's reply is late: not lost yet.
                self._opening = True
                continue
            self._lines.add(Line.restored(attempt))
        return [line for line in self._lines if line.link != link or line.doubtful]

    async def _channels(self) -> dict[str, str]:
        """Unique id to channel state."""
        events = await self._ami.collect("CoreShowChannels", timeout=15)
        return {event.get("Uniqueid"): event.get("ChannelState") for event in events}

    def _is_lost(self, line: Line, alive: dict[str, str]) -> bool:
        known = self._lines.get(line.id) is line
        return known and not line.ended and line.id not in alive

    async def _restore(self, suspects: list[Line], alive: dict[str, str]) -> None:
        """Facts that events would have told, from the queue's log and the channels' states."""
        oldest = time.time() - max(
            (time.monotonic() - line.placed for line in suspects), default=0.0
        )
        ids = [line.id for line in suspects]
        found = await asyncio.to_thread(queue_log.read, self._log_file, ids, oldest)
        for line in suspects:
            facts = found.get(line.id)
            if facts is not None:
                line.answered_at = line.answered_at or facts.entered_at
                line.connected_at = line.connected_at or facts.connected_at
                line.agent = line.agent or facts.agent
                line.abandoned = line.abandoned or facts.abandoned
                line.waiting_ended = line.waiting_ended or facts.hung_up
                line.machine = line.machine or facts.machine
            line.rang = line.rang or alive.get(line.id) == _RINGING
            if alive.get(line.id) == _UP and line.answered_at is None:
                line.answered_at = time.time()


def _report_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("%s failed: %r", task.get_name(), error)
