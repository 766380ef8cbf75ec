"""Importing a contacts file: all of its good rows, or, when it is refused, none.

Rows go in by batches, so that the store's other writers are never held up for long, under an
import that counts only once its last row is in. Memory does not grow with the file: what
repeats a reference is found by the database.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.engine import URL

from incident.contacts.batches import Batch, Row, batches
from incident.contacts.doors import DATABASE_ERRORS, Begun, Door, Stored, open_door
from incident.contacts.errors import DatabaseRefused
from incident.contacts.report import Rejection, Report
from incident.contacts.rows import Accepts
from incident.contacts.source import Source, examine
from incident.privacy import IncidentKey
from incident.store.engine import Store
from incident.store.incidents import ActiveIncident


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an import is. ``done`` and ``size``: bytes of the file; the rest: rows."""

    done: int
    size: int
    added: int
    known: int
    rejected: int


@dataclass(frozen=True, slots=True)
class ImportReport:
    """``known``: rows that the store had already, with the same data. ``report_path``: the
    report of rejected rows, none when there is nothing to report."""

    added: int
    known: int
    rejected: int
    report_path: Path | None


def default_report(source: Path) -> Path:
    """Where the report goes when nobody says: beside the file."""
    return source.with_name(source.stem + ".rejected.csv")


async def import_contacts(
    store: Store,
    incident: ActiveIncident,
    source: Path,
    *,
    report: Path | None = None,
    progress: Callable[[Progress], None] = lambda _: None,
    now: float,
) -> ImportReport:
    """Import a CSV file of contacts into an incident; ``now``: Unix seconds.

    ``progress`` is called in this event loop. Cancelling takes back what was written.

    Raises ContactsError (its kinds say why); then nothing was imported.
    """
    loop = asyncio.get_running_loop()
    stop = threading.Event()

    def tell(at: Progress) -> None:
        loop.call_soon_threadsafe(progress, at)

    task = _Import(
        url=store.engine.url,
        incident=incident.id,
        key=incident.key,
        accepts=Accepts(tuple(incident.plan.languages), tuple(incident.plan.data_types)),
        path=source,
        report=report,
        now=now,
        progress=tell,
        stop=stop,
    )
    work = asyncio.ensure_future(asyncio.to_thread(task.run))
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        stop.set()
        await asyncio.wait([work])
        if not work.cancelled():
            work.exception()
        raise


def _abandoned(door: Door) -> bool:
    """Whether what was written could be taken back; if not, the next import does it."""
    try:
        door.abandon()
    except DATABASE_ERRORS:
        return False
    return True


class _Stopped(Exception):
    """The import was cancelled; nothing of it stays."""


@dataclass(slots=True)
class _Import:
    url: URL
    incident: str
    key: IncidentKey
    accepts: Accepts
    path: Path
    report: Path | None
    now: float
    progress: Callable[[Progress], None]
    stop: threading.Event
    added: int = 0
    known: int = 0
    rejected: int = 0

    def run(self) -> ImportReport:
        source = examine(self.path)
        where = self.report or default_report(self.path)
        with (
            Report(where, always=self.report is not None) as report,
            open_door(self.url) as door,
        ):
            name = self.path.name[:300]
            import_id = door.begin(Begun(self.incident, name, source.sha256, self.now))
            try:
                with contextlib.closing(batches(source, self.accepts, self.key)) as read:
                    for batch in read:
                        self._write(door, import_id, batch, report)
                        self._tell(source, batch)
                door.commit(self.now, self.added, self.known, self.rejected)
            except DATABASE_ERRORS as error:
                raise DatabaseRefused(str(error), cleaned=_abandoned(door)) from error
            except BaseException:
                _abandoned(door)
                raise
            return ImportReport(self.added, self.known, self.rejected, report.keep())

    def _tell(self, source: Source, batch: Batch) -> None:
        if self.stop.is_set():
            raise _Stopped
        self.progress(Progress(batch.done, source.size, self.added, self.known, self.rejected))

    def _write(self, door: Door, import_id: int, batch: Batch, report: Report) -> None:
        rejections = batch.rejections
        if batch.rows:
            added = door.insert(batch.rows)
            self.added += added
            if added < len(batch.rows):
                stored = door.stored([row.reference for row in batch.rows])
                refused = self._refused(import_id, batch.rows, stored)
                self.known += len(batch.rows) - added - len(refused)
                rejections = sorted(rejections + refused)
        self.rejected += len(rejections)
        report.add(rejections)

    def _refused(
        self, import_id: int, rows: list[Row], stored: dict[str, Stored]
    ) -> list[Rejection]:
        """The rows whose reference was taken, but for those that say what the store says."""
        refused = []
        for row in rows:
            there = stored[row.reference]
            if there.import_id == import_id:
                if there.line != row.line:
                    reason = f"is on line {there.line} already"
                    refused.append(Rejection(row.line, row.reference, "reference", reason))
            elif not self._same(row, there):
                reason = "was imported before with other data"
                refused.append(Rejection(row.line, row.reference, "reference", reason))
        return refused

    def _same(self, row: Row, there: Stored) -> bool:
        return (
            row.phone_hash == there.phone_hash
            and (row.state, row.postal_code) == (there.state, there.postal_code)
            and (row.language, row.data_types) == (there.language, there.data_types)
            and row.kind == there.kind
            and self._opened(row.name_enc) == self._opened(there.name_enc)
            and self._opened(row.activation_enc) == self._opened(there.activation_enc)
        )

    def _opened(self, sealed: bytes | None) -> str | None:
        return None if sealed is None else self.key.decrypt(sealed)
