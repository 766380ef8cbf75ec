"""Alembic, run from the program: no alembic.ini, no command line, no shared working folder.

Everything here blocks; ``incident.store.engine.migrate`` runs it in a thread.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import URL
from sqlalchemy.pool import NullPool

MIGRATIONS = Path(__file__).parent / "migrations"
BUSY_SECONDS = 10.0
_LOCK_SECONDS = 60.0
_ADVISORY_LOCK = 0x42524C4E
"""Any number that nothing else in the database locks on ("BRLN")."""


class MigrationBusy(Exception):
    """Another process has been migrating this database for longer than ``seconds``."""

    def __init__(self, lock: Path, seconds: float) -> None:
        self.lock = lock
        self.seconds = seconds
        super().__init__(f"another process has held {lock} for {seconds:g} s; is it stuck?")


class SchemaTooNew(Exception):
    """The database was migrated by a newer version of the program (``revision``)."""

    def __init__(self, revision: str) -> None:
        self.revision = revision
        super().__init__(
            f"the database has schema {revision!r}, which this version does not know: a newer "
            "Breachline made it; run that version, or restore a backup of this one"
        )


def alembic_config(connection: Connection) -> Config:
    """Alembic's configuration for one connection, on which the caller has begun."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def upgrade(url: URL, revision: str = "head") -> None:
    """Migrate the database at ``url`` up to ``revision`` in one transaction.

    Raises SchemaTooNew, and MigrationBusy when another process is stuck migrating.
    """
    with locked_connection(url) as connection:
        config = alembic_config(connection)
        current = MigrationContext.configure(connection).get_current_revision()
        known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
        if current is not None and current not in known:
            raise SchemaTooNew(current)
        command.upgrade(config, revision)


def downgrade(url: URL, revision: str) -> None:
    """Migrate the database at ``url`` back to ``revision`` (``base``: no tables at all)."""
    with locked_connection(url) as connection:
        command.downgrade(alembic_config(connection), revision)


@contextmanager
def locked_connection(url: URL) -> Iterator[Connection]:
    """A connection in a transaction that no other migration of this database runs beside."""
    if url.drivername.startswith("sqlite"):
        with _sqlite_file(Path(url.database or "")), _connect(_sqlite_engine(url)) as connection:
            yield connection
    else:
        engine = create_engine(
            url, poolclass=NullPool, connect_args={"connect_timeout": 10}, hide_parameters=True
        )
        with _connect(engine) as connection:
            connection.execute(text("SELECT pg_advisory_xact_lock(:n)"), {"n": _ADVISORY_LOCK})
            yield connection


@contextmanager
def _connect(engine: Engine) -> Iterator[Connection]:
    try:
        with engine.begin() as connection:
            yield connection
    finally:
        engine.dispose()


@contextmanager
def _sqlite_file(file: Path) -> Iterator[None]:
    """Hold the database's migration lock; the file is made readable by its owner alone."""
    file.parent.mkdir(parents=True, exist_ok=True)
    lock = file.with_name(file.name + ".lock")
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        deadline = time.monotonic() + _LOCK_SECONDS
        while not _try_lock(descriptor):
            if time.monotonic() > deadline:
                raise MigrationBusy(lock, _LOCK_SECONDS)
            time.sleep(0.02)
        os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        yield
    finally:
        os.close(descriptor)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _sqlite_engine(url: URL) -> Engine:
    engine = create_engine(
        url.set(drivername="sqlite+pysqlite"),
        poolclass=NullPool,
        connect_args={"timeout": BUSY_SECONDS},
        hide_parameters=True,
    )

    def prepare(connection: Any, _record: object) -> None:
        connection.isolation_level = None
        # WAL stays set in the file, so that nobody else has to ask for it.
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")

    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    event.listen(engine, "connect", prepare)
    event.listen(engine, "begin", begin)
    return engine
