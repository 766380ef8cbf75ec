"""The store: one SQLAlchemy engine over SQLite (WAL) or PostgreSQL, and its migrations.

Writes on SQLite start with ``BEGIN IMMEDIATE``: whoever writes holds the file's one write lock
from the start, so a transaction never fails half-way because another process wrote first. The
writers of one process queue on an asyncio lock (fair, and without SQLite's polling); those of
several processes (hotline, dialer, command line) wait for each other up to ``BUSY_SECONDS``.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from sqlalchemy import Connection, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine

from incident.privacy import Keyring
from incident.store.upgrade import BUSY_SECONDS, upgrade

__all__ = ["BUSY_SECONDS", "Store", "StoreBusy", "StoreError", "migrate", "open_store"]

_WRITE = {"breachline_write": True}
_CONNECT_SECONDS = 10
_POOL = 10


class StoreError(Exception):
    """The store cannot be used as asked."""


class StoreBusy(StoreError):
    """Another process kept the database's write lock for longer than ``seconds``; nothing was
    written, so the same write may be tried again."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        super().__init__(
            f"the database was locked by another process for more than {seconds:g} s; "
            "nothing was written, try again"
        )


def store_url(url: str) -> URL:
    """Parse a store's URL: ``sqlite+aiosqlite:///file`` or ``postgresql+psycopg://...``.

    Raises StoreError for anything else, and for a SQLite database without a file.
    """
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise StoreError("[database] url is not a database URL") from error
    if parsed.drivername == "sqlite+aiosqlite":
        if parsed.database in (None, "", ":memory:"):
            raise StoreError("[database] url: SQLite needs a file, several processes share it")
    elif parsed.drivername != "postgresql+psycopg":
        raise StoreError(
            f"[database] url: driver {parsed.drivername!r} is not supported; "
            "use sqlite+aiosqlite:///FILE or postgresql+psycopg://USER@HOST/NAME"
        )
    return parsed


class Store:
    """An open store. ``dialect``: ``sqlite`` or ``postgresql``."""

    def __init__(self, engine: AsyncEngine, reader: AsyncEngine, keyring: Keyring) -> None:
        self.engine = engine
        self.keyring = keyring
        self.dialect: str = engine.dialect.name
        self._reader = reader
        self._writer = engine.execution_options(**_WRITE)
        self._write_lock = asyncio.Lock()

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncSession]:
        """A session in a read-only transaction; the database refuses to write through it."""
        async with AsyncSession(self._reader, expire_on_commit=False) as session:
            yield session

    def write(self) -> AbstractAsyncContextManager[AsyncSession]:
        """A session in a write transaction: committed at the end, rolled back on any error.

        Keep it short: on SQLite everybody else's writes wait for it.

        Raises StoreBusy when another process does not let go of the write lock.
        """
        return self._write_sqlite() if self.dialect == "sqlite" else self._write()

    @asynccontextmanager
    async def _write_sqlite(self) -> AsyncIterator[AsyncSession]:
        async with self._write_lock, self._write() as session:
            yield session

    @asynccontextmanager
    async def _write(self) -> AsyncIterator[AsyncSession]:
        async with AsyncSession(self._writer, expire_on_commit=False) as session:
            try:
                await session.connection()
            except OperationalError as error:
                if _is_locked(error):
                    raise StoreBusy(BUSY_SECONDS) from error
                raise
            yield session
            await session.commit()

    async def close(self) -> None:
        await self.engine.dispose()
        if self._reader is not self.engine:
            await self._reader.dispose()


def _is_locked(error: DBAPIError) -> bool:
    return getattr(error.orig, "sqlite_errorname", "").startswith("SQLITE_BUSY") or (
        "database is locked" in str(error.orig)
    )


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get("breachline_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _sqlite_engine(url: URL, *, read_only: bool) -> AsyncEngine:
    engine = create_async_engine(
        url,
        pool_size=_POOL if read_only else 2,
        max_overflow=0,
        pool_timeout=30,
        connect_args={"timeout": BUSY_SECONDS},
        hide_parameters=True,
    )

    def prepare(connection: Any, _record: object) -> None:
        # The driver's own idea of when to begin a transaction is off; _begin_sqlite does it.
        connection.isolation_level = None
        cursor = connection.cursor()
        # A call is placed once its attempt is committed: a power cut must not undo the commit.
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.execute("PRAGMA temp_store=MEMORY")
        # What an import or a flood made of the log does not stay on the disk for ever.
        cursor.execute("PRAGMA journal_size_limit=67108864")
        if read_only:
            cursor.execute("PRAGMA query_only=ON")
        cursor.close()

    event.listen(engine.sync_engine, "connect", prepare)
    event.listen(engine.sync_engine, "begin", _begin_sqlite)
    return engine


def _postgresql_engine(url: URL) -> AsyncEngine:
    return create_async_engine(
        url,
        pool_size=_POOL,
        max_overflow=0,
        pool_timeout=30,
        pool_pre_ping=True,
        connect_args={"connect_timeout": _CONNECT_SECONDS, "application_name": "breachline"},
        hide_parameters=True,
    )


@asynccontextmanager
async def open_store(url: str, keyring: Keyring) -> AsyncIterator[Store]:
    """Open the store at a SQLAlchemy URL; its tables must have been made by ``migrate``.

    Raises StoreError for a URL that cannot be used.
    """
    parsed = store_url(url)
    if parsed.drivername.startswith("sqlite"):
        engine = _sqlite_engine(parsed, read_only=False)
        reader = _sqlite_engine(parsed, read_only=True)
    else:
        engine = _postgresql_engine(parsed)
        reader = engine.execution_options(postgresql_readonly=True)
    store = Store(engine, reader, keyring)
    try:
        yield store
    finally:
        await store.close()


async def migrate(url: str) -> None:
    """Bring the database at ``url`` to the newest schema, creating it where there is none.

    Safe when several processes start at once: one migrates, the others wait for it.
    """
    await asyncio.to_thread(upgrade, store_url(url))
