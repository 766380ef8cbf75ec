"""Takes over the call-back requests that the emergency path spooled, each exactly once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from incident.metrics import EMERGENCY_CALLBACKS
from incident.privacy import IncidentKey
from incident.store import callbacks
from incident.store.engine import Store, StoreError
from incident.store.schema import CallbackRow
from pbx.spool import (
    CallbackRequest,
    SpoolDamaged,
    SpoolNotOurs,
    list_spooled,
    read_spooled,
    remove_spooled,
    source_key,
)

log: Final = logging.getLogger(__name__)

SOURCE: Final = "emergency"
_BATCH: Final = 200


class CallbackSpool:
    """``keys``: of the incidents that are served now. ``taken``: told of each new
    request, once."""

    def __init__(
        self,
        store: Store,
        folder: Path,
        keys: Callable[[], dict[str, IncidentKey]],
        taken: Callable[[CallbackRequest], Awaitable[None]],
    ) -> None:
        self._store = store
        self._folder = folder
        self._keys = keys
        self._taken = taken
        self._told: set[Path] = set()
        self._failing = False

    async def take(self) -> int:
        """Take over what is there; how many were new. A file goes once the store has it."""
        paths = await asyncio.to_thread(list_spooled, self._folder)
        read: dict[Path, CallbackRequest] = {}
        keys = self._keys()
        for path in paths[:_BATCH]:
            request = await self._read(path, keys)
            if request is not None:
                read[path] = request
        if not read:
            return 0
        try:
            new = await self._store_all(read, keys)
        except (SQLAlchemyError, StoreError, OSError) as error:
            level = logging.DEBUG if self._failing else logging.WARNING
            self._failing = True
            log.log(
                level,
                "%d spooled call-backs wait for the database (%s)",
                len(read),
                type(error).__name__,
            )
            return 0
        self._failing = False
        for path, request in read.items():
            await asyncio.to_thread(remove_spooled, path)
            if source_key(path) in new:
                EMERGENCY_CALLBACKS.labels(request.incident).inc()
                await self._taken(request)
        return len(new)

    async def _read(self, path: Path, keys: dict[str, IncidentKey]) -> CallbackRequest | None:
        try:
            return await asyncio.to_thread(read_spooled, path, keys)
        except SpoolNotOurs as error:
            if path not in self._told:
                self._told.add(path)
                log.warning("%s", error)
        except SpoolDamaged:
            pass  # set aside and told by pbx.spool
        except OSError as error:
            log.warning("a spooled call-back cannot be read (%s)", type(error).__name__)
        return None

    async def _store_all(
        self, read: dict[Path, CallbackRequest], keys: dict[str, IncidentKey]
    ) -> frozenset[str]:
        rows = [
            callbacks.request(
                keys[request.incident],
                incident=request.incident,
                language=request.language[:8],
                e164=request.phone,
                source=SOURCE,
                source_key=source_key(path),
                call=request.call_id[:64] or None,
                now=request.requested_at,
            )
            for path, request in read.items()
        ]
        wanted = [row.source_key for row in rows]
        async with self._store.write() as session:
            there = set(
                await session.scalars(
                    select(CallbackRow.source_key).where(CallbackRow.source_key.in_(wanted))
                )
            )
            await callbacks.save_callbacks(session, self._store.dialect, rows)
        return frozenset(wanted) - there
