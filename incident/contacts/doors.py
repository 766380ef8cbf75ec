"""How an import writes: each database's own bulk door, one short transaction for each batch.

Everything here blocks and belongs to the import's thread. What is written counts only when
``commit`` has set the import's ``committed_at``; until then it can be taken back, by
``abandon`` or, when the process died, by the next import's ``clean``.
"""

from __future__ import annotations

import fcntl
import json
import os
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

import psycopg
from sqlalchemy.engine import URL

from incident.contacts.batches import Row
from incident.contacts.errors import ImportRunning
from incident.store.upgrade import BUSY_SECONDS

DATABASE_ERRORS = (sqlite3.Error, psycopg.Error)

_CLEAN_ROWS = 5000
_PAUSE_SECONDS = 0.02
_LOCK_SPACE = 0x42524C49
"""First half of PostgreSQL's advisory lock of imports; the second is the incident's hash."""


class Stored(NamedTuple):
    """A contact that the store has under a reference."""

    reference: str
    import_id: int
    line: int
    phone_hash: bytes
    name_enc: bytes | None
    state: str | None
    postal_code: str | None
    language: str
    data_types: str
    activation_enc: bytes | None
    kind: str | None


@dataclass(frozen=True, slots=True)
class Begun:
    """What an import is: into which incident, from which file."""

    incident: str
    source: str
    source_hash: str
    now: float


class Door(Protocol):
    """One import's way into the store."""

    def begin(self, begun: Begun) -> int:
        """Record the import; returns its id. Raises ImportRunning."""
        ...

    def insert(self, rows: Sequence[Row]) -> int:
        """Add the rows whose reference is free; returns how many that were."""
        ...

    def stored(self, references: Sequence[str]) -> dict[str, Stored]:
        """What the store has under these references."""
        ...

    def commit(self, now: float, added: int, known: int, rejected: int) -> None:
        """Make everything that was inserted count."""
        ...

    def abandon(self) -> None:
        """Take back everything that was inserted."""
        ...


@contextmanager
def open_door(url: URL) -> Iterator[Door]:
    """The bulk door of the database at ``url``."""
    if url.drivername.startswith("sqlite"):
        with _open_sqlite(Path(url.database or "")) as door:
            yield door
    else:
        conninfo = url.set(drivername="postgresql").render_as_string(hide_password=False)
        with psycopg.connect(conninfo, autocommit=True, connect_timeout=10) as connection:
            yield PostgresDoor(connection)


@contextmanager
def _open_sqlite(file: Path) -> Iterator[SqliteDoor]:
    connection = sqlite3.connect(file, timeout=BUSY_SECONDS, isolation_level=None)
    lock = -1
    try:
        connection.execute("PRAGMA synchronous=NORMAL")
        # Rows that do not count yet cannot be referred to, and their incident and import are
        # there: checking that for each row would only cost time.
        connection.execute("PRAGMA foreign_keys=OFF")
        connection.execute("PRAGMA cache_size=-65536")
        connection.execute("PRAGMA wal_autocheckpoint=16000")
        lock = os.open(
            file.with_name(file.name + ".import.lock"),
            os.O_RDWR | os.O_CREAT | os.O_CLOEXEC,
            0o600,
        )
        yield SqliteDoor(connection, lock)
    finally:
        connection.close()
        if lock >= 0:
            os.close(lock)


_SQLITE_INSERT = """
INSERT INTO contacts (import_line, reference, phone_enc, phone_hash, name_enc, state,
                      postal_code, language, data_types, activation_enc, kind, incident_id,
                      import_id)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (incident_id, reference) DO NOTHING
"""
_SQLITE_STORED = """
SELECT reference, import_id, import_line, phone_hash, name_enc, state, postal_code, language,
       data_types, activation_enc, kind
FROM contacts WHERE incident_id = ? AND reference IN (SELECT value FROM json_each(?))
"""


class SqliteDoor:
    def __init__(self, connection: sqlite3.Connection, lock: int) -> None:
        self._connection = connection
        self._lock = lock
        self._incident = ""
        self._import = 0

    def begin(self, begun: Begun) -> int:
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ImportRunning from error
        # The lock is free, so whoever began these imports is dead.
        dead = self._connection.execute(
            "SELECT id FROM imports WHERE committed_at IS NULL"
        ).fetchall()
        for (import_id,) in dead:
            self._remove(import_id)
        self._incident = begun.incident
        with self._write():
            cursor = self._connection.execute(
                "INSERT INTO imports (incident_id, source, source_hash, started_at, added, known,"
                " rejected) VALUES (?, ?, ?, ?, 0, 0, 0)",
                (begun.incident, begun.source, begun.source_hash, begun.now),
            )
        self._import = cursor.lastrowid or 0
        return self._import

    def insert(self, rows: Sequence[Row]) -> int:
        before = self._connection.total_changes
        belongs = (self._incident, self._import)
        with self._write():
            self._connection.executemany(_SQLITE_INSERT, [row + belongs for row in rows])
        return self._connection.total_changes - before

    def stored(self, references: Sequence[str]) -> dict[str, Stored]:
        found = self._connection.execute(
            _SQLITE_STORED, (self._incident, json.dumps(list(references)))
        )
        return _by_reference(found)

    def commit(self, now: float, added: int, known: int, rejected: int) -> None:
        with self._write():
            self._connection.execute(
                "UPDATE imports SET committed_at = ?, added = ?, known = ?, rejected = ?"
                " WHERE id = ?",
                (now, added, known, rejected, self._import),
            )

    def abandon(self) -> None:
        self._remove(self._import)

    def _remove(self, import_id: int) -> None:
        removed = 1
        while removed:
            with self._write():
                removed = self._connection.execute(
                    "DELETE FROM contacts WHERE id IN"
                    " (SELECT id FROM contacts WHERE import_id = ? LIMIT ?)",
                    (import_id, _CLEAN_ROWS),
                ).rowcount
            time.sleep(_PAUSE_SECONDS)
        with self._write():
            self._connection.execute("DELETE FROM imports WHERE id = ?", (import_id,))

    @contextmanager
    def _write(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")


_POSTGRES_INCOMING = """
CREATE TEMPORARY TABLE incoming (
    import_line integer, reference text, phone_enc bytea, phone_hash bytea, name_enc bytea,
    state text, postal_code text, language text, data_types text, activation_enc bytea, kind text
) ON COMMIT DELETE ROWS
"""
_POSTGRES_TYPES = ["int4", "text", *["bytea"] * 3, *["text"] * 4, "bytea", "text"]
_POSTGRES_INSERT = """
INSERT INTO contacts (import_line, reference, phone_enc, phone_hash, name_enc, state,
                      postal_code, language, data_types, activation_enc, kind, incident_id,
                      import_id)
SELECT import_line, reference, phone_enc, phone_hash, name_enc, state,
       postal_code, language, data_types, activation_enc, kind, %s, %s
FROM incoming ORDER BY import_line
ON CONFLICT (incident_id, reference) DO NOTHING
"""
_POSTGRES_STORED = """
SELECT reference, import_id, import_line, phone_hash, name_enc, state, postal_code, language,
       data_types, activation_enc, kind
FROM contacts WHERE incident_id = %s AND reference = ANY(%s)
"""


class PostgresDoor:
    def __init__(self, connection: psycopg.Connection) -> None:
        self._connection = connection
        self._incident = ""
        self._import = 0

    def begin(self, begun: Begun) -> int:
        # Held by this connection until it ends, however it ends.
        got = self._connection.execute(
            "SELECT pg_try_advisory_lock(%s, hashtext(%s))", (_LOCK_SPACE, begun.incident)
        ).fetchone()
        if got is None or not got[0]:
            raise ImportRunning
        dead = self._connection.execute(
            "SELECT id FROM imports WHERE committed_at IS NULL AND incident_id = %s",
            (begun.incident,),
        ).fetchall()
        for (import_id,) in dead:
            self._remove(import_id)
        self._incident = begun.incident
        row = self._connection.execute(
            "INSERT INTO imports (incident_id, source, source_hash, started_at, added, known,"
            " rejected) VALUES (%s, %s, %s, %s, 0, 0, 0) RETURNING id",
            (begun.incident, begun.source, begun.source_hash, begun.now),
        ).fetchone()
        self._import = row[0] if row is not None else 0
        self._connection.execute(_POSTGRES_INCOMING)
        return self._import

    def insert(self, rows: Sequence[Row]) -> int:
        with self._connection.transaction(), self._connection.cursor() as cursor:
            with cursor.copy("COPY incoming FROM STDIN (FORMAT BINARY)") as copy:
                copy.set_types(_POSTGRES_TYPES)
                for row in rows:
                    copy.write_row(row)
            return cursor.execute(_POSTGRES_INSERT, (self._incident, self._import)).rowcount

    def stored(self, references: Sequence[str]) -> dict[str, Stored]:
        found = self._connection.execute(_POSTGRES_STORED, (self._incident, list(references)))
        return _by_reference(found)

    def commit(self, now: float, added: int, known: int, rejected: int) -> None:
        self._connection.execute(
            "UPDATE imports SET committed_at = %s, added = %s, known = %s, rejected = %s"
            " WHERE id = %s",
            (now, added, known, rejected, self._import),
        )

    def abandon(self) -> None:
        self._remove(self._import)

    def _remove(self, import_id: int) -> None:
        removed = 1
        while removed:
            removed = self._connection.execute(
                "DELETE FROM contacts WHERE id IN"
                " (SELECT id FROM contacts WHERE import_id = %s LIMIT %s)",
                (import_id, _CLEAN_ROWS),
            ).rowcount
        self._connection.execute("DELETE FROM imports WHERE id = %s", (import_id,))


def _by_reference(found: Iterable[tuple[object, ...]]) -> dict[str, Stored]:
    stored = (Stored._make(row) for row in found)
    return {contact.reference: contact for contact in stored}
