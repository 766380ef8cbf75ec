"""Writes calls to the store in groups, and kept places at once: for those alone somebody waits.

Every write is a call's whole row as it stands, so that a repeated or a late write does no harm.
While the database is away, what is to be written stays in memory, bounded; calls go on.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from sqlalchemy.exc import DataError, IntegrityError, SQLAlchemyError

from incident.booking import BookingLimits
from incident.settings import CallbackSettings
from incident.store.callbacks import CallbackRequest, Kept, Refusal, keep
from incident.store.calls import StoredCall, save_calls
from incident.store.engine import Store, StoreError
from pbx.spool import write_spooled

log: Final = logging.getLogger(__name__)

GROUP_SECONDS: Final = 0.05
"""How long the first write of a group waits for others."""
LONGEST_GROUP_SECONDS: Final = 0.5
"""The same, where very many come: a transaction costs as much as a hundred rows."""
_SECONDS_PER_ROW: Final = 0.02
_BATCH: Final = 500
_MEMORY: Final = 100_000
"""Calls kept while the database is away; some 100 MB."""
_FIRST_RETRY: Final = 0.2
_LAST_RETRY: Final = 5.0


class Journal:
    """``dropped``: calls lost because the database was away until the memory was full.
    ``booking``: whose places are kept."""

    def __init__(
        self, store: Store, spool: Path | None = None, booking: BookingLimits | None = None
    ) -> None:
        self._store = store
        self.booking = booking or BookingLimits.of(CallbackSettings())
        self._spool = spool
        self._kept: list[Callable[[], None]] = []
        self._calls: dict[str, StoredCall] = {}
        self._some = asyncio.Event()
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._failing = False
        self._batch = _BATCH
        self.dropped = 0

    async def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="journal")

    @property
    def broken(self) -> bool:
        """Its task ended by itself: a fault of ours, and nothing is written any more."""
        return self._task is not None and self._task.done()

    async def stop(self, timeout: float = 5.0) -> None:
        """Write what is left, for ``timeout`` seconds at most."""
        if self._task is None:
            return
        self._stopping.set()
        self._some.set()
        done, _ = await asyncio.wait({self._task}, timeout=timeout)
        if not done:
            log.error("the database did not take the last %d calls", len(self._calls))
            self._task.cancel()
            await asyncio.wait({self._task})
        self._task = None

    def call(self, call: StoredCall) -> None:
        """Have a call written; an earlier state of it that still waits is replaced."""
        if len(self._calls) >= _MEMORY and call.id not in self._calls:
            self._calls.pop(next(iter(self._calls)))
            self.dropped += 1
        self._calls[call.id] = call
        self._some.set()

    async def keep(
        self, wanted: CallbackRequest, sealed: bytes, timeout: float
    ) -> Kept | Refusal | None:
        """Give a caller a place in line, for certain: what the store has not taken within
        ``timeout`` seconds is in the spool when this returns None.

        ``sealed``: the same request, for the spool; whichever way it reaches the store, it counts
        once. Raises OSError when neither takes it; without a spool, what the store raises.
        """
        try:
            async with asyncio.timeout(timeout):
                found = await keep(self._store, wanted, self.booking)
        except (SQLAlchemyError, StoreError, OSError, TimeoutError) as error:
            if self._spool is None:
                raise
            log.warning("a kept place goes into the spool (%s)", type(error).__name__)
            await asyncio.to_thread(
                write_spooled, self._spool, wanted.incident_id, sealed, wanted.token
            )
            return None
        for handler in self._kept:
            handler()
        return found

    def on_kept(self, handler: Callable[[], None]) -> None:
        """To be told when somebody was given a place."""
        self._kept.append(handler)

    async def _run(self) -> None:
        delay, window = _FIRST_RETRY, GROUP_SECONDS
        while True:
            await self._some.wait()
            self._some.clear()
            if not self._stopping.is_set():
                await self._pause(window)
            wanted = _SECONDS_PER_ROW * len(self._calls)
            window = min(max(GROUP_SECONDS, wanted), LONGEST_GROUP_SECONDS)
            while self._calls:
                if await self._flush():
                    delay = _FIRST_RETRY
                else:
                    await self._pause(delay)
                    if self._stopping.is_set():
                        delay = _FIRST_RETRY
                        await asyncio.sleep(delay)
                    delay = min(2 * delay, _LAST_RETRY)
            if self._stopping.is_set():
                return

    async def _pause(self, seconds: float) -> None:
        # Not asyncio.wait_for: up to Python 3.11 it can lose a cancellation, and stop() would hang.
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            return

    async def _flush(self) -> bool:
        """One transaction. Says whether it was committed."""
        calls = dict(list(self._calls.items())[: self._batch])
        try:
            async with self._store.write() as session:
                await save_calls(session, self._store.dialect, list(calls.values()))
        except (IntegrityError, DataError) as error:
            self._refused(error, calls)
            return True
        except (SQLAlchemyError, StoreError, OSError) as error:
            # The message of a database error quotes the values: its type alone is told.
            level = logging.DEBUG if self._failing else logging.ERROR
            self._failing = True
            log.log(
                level,
                "%d calls are not in the database yet (%s); trying again",
                len(self._calls),
                type(error).__name__,
            )
            return False
        if self._failing:
            log.info("the database takes calls again; %d were dropped", self.dropped)
        self._failing = False
        self._batch = min(2 * self._batch, _BATCH)
        _forget(self._calls, calls)
        return True

    def _refused(self, error: Exception, calls: Mapping[str, StoredCall]) -> None:
        """One row that the database will never take must not hold up all others."""
        if self._batch > 1:
            self._batch = 1
            return
        for key in calls:
            log.error("the database refuses what call %s wrote (%s)", key, type(error).__name__)
            self.dropped += 1
        _forget(self._calls, calls)


def _forget(waiting: dict[str, StoredCall], written: Mapping[str, StoredCall]) -> None:
    """Take off what was written, unless it has changed again meanwhile."""
    for key, value in written.items():
        if waiting.get(key) is value:
            del waiting[key]
