"""Writes what happened to attempts into the store, in order, by one task, until it is written."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncSession

from incident.store import attempts
from incident.store.attempts import Decide, Ending
from incident.store.engine import Store, StoreBusy

log: Final = logging.getLogger(__name__)

_BATCH = 200
_FIRST_RETRY = 0.2
_LAST_RETRY = 5.0


@dataclass(frozen=True, slots=True)
class _Entry:
    attempt: str
    write: Callable[[AsyncSession], Awaitable[bool]]
    written: Callable[[bool], None]


class Books:
    """What is entered is written in the order of entry; a database that is away is waited for.

    Whatever is not written when the process dies is found out again by recovery.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._entries: deque[_Entry] = deque()
        self._filled = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="dialer-books")
            self._task.add_done_callback(_report_failure)

    @property
    def failed(self) -> bool:
        """The task ended by itself: nothing is written any more."""
        return self._task is not None and self._task.done()

    async def stop(self, grace: float) -> None:
        """Write what is entered, for ``grace`` seconds at most."""
        try:
            async with asyncio.timeout(grace):
                await self.settled()
        except TimeoutError:
            log.warning("stopping with %d facts of attempts unwritten", len(self._entries))
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait((self._task,))
            self._task = None

    async def settled(self) -> None:
        """Wait until everything that was entered is written."""
        await self._empty.wait()

    def note(self, attempt: str, **facts: Any) -> None:
        """Enter facts of an attempt under way; see ``attempts.mark``."""

        async def write(session: AsyncSession) -> bool:
            await attempts.mark(session, attempt, **facts)
            return True

        self._enter(_Entry(attempt, write, lambda _done: None))

    def end(
        self, attempt: str, ending: Ending, decide: Decide, written: Callable[[bool], None]
    ) -> None:
        """Enter an attempt's end. ``written``: called once it is committed; False: it had ended
        before."""

        async def write(session: AsyncSession) -> bool:
            return await attempts.finish(session, attempt, ending, decide)

        self._enter(_Entry(attempt, write, written))

    def _enter(self, entry: _Entry) -> None:
        self._entries.append(entry)
        self._empty.clear()
        self._filled.set()

    async def _run(self) -> None:
        while True:
            await self._filled.wait()
            self._filled.clear()
            while self._entries:
                batch = [self._entries[i] for i in range(min(_BATCH, len(self._entries)))]
                await self._write(batch)
                for _ in batch:
                    self._entries.popleft()
            self._empty.set()

    async def _write(self, batch: list[_Entry]) -> None:
        delay = _FIRST_RETRY
        while True:
            try:
                await self._commit(batch)
            except (StoreBusy, SQLAlchemyError, OSError) as error:
                if isinstance(error, SQLAlchemyError) and _is_our_fault(error):
                    await self._write_singly(batch, error)
                    return
                log.warning("the store takes no writes (%s); trying again", type(error).__name__)
                await asyncio.sleep(delay)
                delay = min(_LAST_RETRY, delay * 2)
            else:
                return

    async def _write_singly(self, batch: list[_Entry], error: SQLAlchemyError) -> None:
        """One entry is wrong: the others must not wait for it for ever."""
        if len(batch) == 1:
            log.error("attempt %s could not be written: %s", batch[0].attempt, type(error).__name__)
            return
        for entry in batch:
            await self._write([entry])

    async def _commit(self, batch: list[_Entry]) -> None:
        results = []
        async with self._store.write() as session:
            for entry in batch:
                results.append(await entry.write(session))
        for entry, result in zip(batch, results, strict=True):
            try:
                entry.written(result)
            except Exception:  # it is written: whoever wanted to hear of it must not stop the rest
                log.exception("attempt %s: what follows its end failed", entry.attempt)


def _is_our_fault(error: SQLAlchemyError) -> bool:
    # A broken statement or value, against a server that is away, locked or restarting.
    if not isinstance(error, DBAPIError):
        return not isinstance(error, PoolTimeout)
    kind = type(error).__name__
    return kind in {"IntegrityError", "DataError", "ProgrammingError", "NotSupportedError"}


def _report_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("%s failed: %r", task.get_name(), error)
