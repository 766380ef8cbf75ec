"""Writes calls and call-back requests to the store in groups; nobody on the telephone waits.

Every write is a call's whole row as it stands, so that a repeated or a late write does no harm.
While the database is away, what is to be written stays in memory, bounded; calls go on.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Final, TypeVar

from sqlalchemy.exc import DataError, IntegrityError, SQLAlchemyError

from incident.store.callbacks import CallbackRequest, save_callbacks
from incident.store.calls import StoredCall, save_calls
from incident.store.engine import Store, StoreError
from pbx.spool import write_spooled

log: Final = logging.getLogger(__name__)
T = TypeVar("T")

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
    """``dropped``: calls lost because the database was away until the memory was full."""

    def __init__(self, store: Store, spool: Path | None = None) -> None:
        self._store = store
        self._spool = spool
        self._calls: dict[str, StoredCall] = {}
        self._callbacks: dict[str, CallbackRequest] = {}
        self._some = asyncio.Event()
        self._written = asyncio.Condition()
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

    def callback(self, request: CallbackRequest) -> None:
        """Have a call-back request written; handing it in again does nothing."""
        self._callbacks[request.source_key] = request
        self._some.set()

    async def settled(self, source_key: str, timeout: float) -> bool:
        """Wait until a call-back request is in the store; says whether it is."""
        try:
            async with asyncio.timeout(timeout), self._written:
                await self._written.wait_for(lambda: source_key not in self._callbacks)
        except TimeoutError:
            return False
        return True

    async def set_aside(self, source_key: str, incident: str, sealed: bytes) -> None:
        """Put a call-back request that the store has not taken yet where a restart finds it.

        The same ``source_key`` makes it count once, whichever way it reaches the store.
        """
        if self._spool is None:
            return
        try:
            await asyncio.to_thread(write_spooled, self._spool, incident, sealed, source_key)
        except OSError as error:
            kind = type(error).__name__
            log.error("a call-back request is in memory only (%s)", kind)  # noqa: TRY400 - no trace

    async def _run(self) -> None:
        delay, window = _FIRST_RETRY, GROUP_SECONDS
        while True:
            await self._some.wait()
            self._some.clear()
            if not self._stopping.is_set():
                await self._pause(window)
            wanted = _SECONDS_PER_ROW * len(self._calls)
            window = min(max(GROUP_SECONDS, wanted), LONGEST_GROUP_SECONDS)
            while self._calls or self._callbacks:
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
        callbacks = dict(list(self._callbacks.items())[: self._batch])
        dialect = self._store.dialect
        try:
            async with self._store.write() as session:
                await save_calls(session, dialect, list(calls.values()))
                await save_callbacks(session, dialect, list(callbacks.values()))
        except (IntegrityError, DataError) as error:
            self._refused(error, calls, callbacks)
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
        _forget(self._callbacks, callbacks)
        async with self._written:
            self._written.notify_all()
        return True

    def _refused(
        self,
        error: Exception,
        calls: Mapping[str, StoredCall],
        callbacks: Mapping[str, CallbackRequest],
    ) -> None:
        """One row that the database will never take must not hold up all others."""
        if self._batch > 1:
            self._batch = 1
            return
        for key in (*calls, *callbacks):
            log.error("the database refuses what call %s wrote (%s)", key, type(error).__name__)
            self.dropped += 1
        _forget(self._calls, calls)
        _forget(self._callbacks, callbacks)


def _forget(waiting: dict[str, T], written: Mapping[str, T]) -> None:
    """Take off what was written, unless it has changed again meanwhile."""
    for key, value in written.items():
        if waiting.get(key) is value:
            del waiting[key]
