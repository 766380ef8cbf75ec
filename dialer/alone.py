"""One dialer for one database: on PostgreSQL, dialers of several machines could share it."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from incident.store.engine import Store, StoreError

log: Final = logging.getLogger(__name__)

LOCK: Final = 0x424C4449
"""Of PostgreSQL's advisory locks; any number that nothing else here locks on ("BLDI")."""

_PATIENCE = 5.0
"""Seconds until the server has noticed that a dialer before us was killed."""
_ASK_SECONDS = 0.2
_LOOK_SECONDS = 5.0
_TAKE: Final = text("SELECT pg_try_advisory_lock(:number)")


class AnotherDialer(StoreError):
    """Another dialer works with this database: two would end each other's attempts."""

    def __init__(self) -> None:
        super().__init__(
            "another dialer works with this database; one dialer serves one database: stop that "
            "one first, or give this home a database of its own"
        )


class Alone:
    """Holds the database for this dialer. On SQLite there is nothing to hold: the file belongs
    to one home, and the home has a lock of its own."""

    def __init__(self, store: Store, patience: float = _PATIENCE) -> None:
        self._store = store
        self._patience = patience
        self._connection: AsyncConnection | None = None

    async def take(self) -> None:
        """Raises AnotherDialer, SQLAlchemyError."""
        if self._store.dialect != "postgresql":
            return
        connection = await self._store.engine.connect()
        got = False
        try:
            await connection.execution_options(isolation_level="AUTOCOMMIT")
            for _ in range(1 + int(self._patience / _ASK_SECONDS)):
                got = bool(await connection.scalar(_TAKE, {"number": LOCK}))
                if got:
                    self._connection = connection
                    return
                await asyncio.sleep(_ASK_SECONDS)
            raise AnotherDialer
        finally:
            if not got:
                await _drop(connection)

    async def keep(self) -> None:
        """Take it again when the connection was lost. Ends only with AnotherDialer."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            try:
                if self._connection is None:
                    await self.take()
                else:
                    await self._connection.execute(text("SELECT 1"))
            except (SQLAlchemyError, OSError) as error:
                log.warning("the hold on the database is lost (%s)", type(error).__name__)
                await self.release()

    async def release(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await _drop(connection)


async def _drop(connection: AsyncConnection) -> None:
    # Not back into the pool: the lock belongs to the server's session.
    try:
        await connection.invalidate()
    finally:
        await connection.close()
