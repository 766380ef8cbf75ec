"""Takes over the call-back requests that the emergency path spooled, each exactly once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from sqlalchemy.exc import DataError, IntegrityError, SQLAlchemyError

from incident.booking import BookingLimits
from incident.contacts.phones import BadPhone, to_e164
from incident.metrics import CALLBACKS_SET_ASIDE, EMERGENCY_CALLBACKS
from incident.privacy import IncidentKey
from incident.settings import CallbackSettings
from incident.store import callbacks
from incident.store.callbacks import Kept, Refusal, Why
from incident.store.engine import Store, StoreError
from pbx.spool import (
    CallbackRequest,
    SpoolDamaged,
    SpoolNotOurs,
    count_refused,
    list_spooled,
    offer_again,
    read_spooled,
    refuse_spooled,
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
        booking: BookingLimits | None = None,
    ) -> None:
        self._store = store
        self._folder = folder
        self._keys = keys
        self._taken = taken
        self._booking = booking or BookingLimits.of(CallbackSettings())
        self._told: set[Path] = set()
        self._failing = False
        self._begun = False

    async def take(self) -> int:
        """Take over what is there; how many were new. A file goes once the store has it; one that
        the store will never take is set aside, and holds up no other."""
        if not self._begun:
            # What the database refused may have been put right since.
            self._begun = True
            await asyncio.to_thread(offer_again, self._folder)
        paths = await asyncio.to_thread(list_spooled, self._folder)
        read: dict[Path, CallbackRequest] = {}
        keys = self._keys()
        for path in paths:
            request = await self._read(path, keys)
            if request is not None:
                read[path] = request
            if len(read) == _BATCH:
                break
        new = 0
        for path, request in read.items():
            try:
                kept = await self._keep(request, source_key(path), keys[request.incident])
            except (IntegrityError, DataError) as error:
                await self._set_aside(path, error)
                continue
            if kept is None:
                break
            await asyncio.to_thread(remove_spooled, path)
            if isinstance(kept, Refusal):
                log.warning("a spooled call-back is not kept: %s", kept.why)
            elif kept.new:
                new += 1
                EMERGENCY_CALLBACKS.labels(request.incident).inc()
                await self._taken(request)
        CALLBACKS_SET_ASIDE.set(await asyncio.to_thread(count_refused, self._folder))
        return new

    async def _keep(
        self, request: CallbackRequest, key: str, incident: IncidentKey
    ) -> Kept | Refusal | None:
        """None: the database is away. Raises IntegrityError and DataError: it is there, and
        refuses this very request."""
        if not self._callable(request.phone):
            return Refusal(Why.NOT_CALLABLE)
        wanted = callbacks.request(
            incident,
            incident=request.incident,
            language=request.language[:8],
            e164=request.phone,
            source=SOURCE,
            source_key=key,
            call=request.call_id[:64] or None,
            now=request.requested_at,
            # The placeholder that holds the place already is found by it.
            token=request.token or None,
            rank=request.rank,
            not_before=request.not_before,
            relay=request.relay,
        )
        try:
            kept = await callbacks.keep(self._store, wanted, self._booking)
        except (IntegrityError, DataError):
            raise
        except (SQLAlchemyError, StoreError, OSError) as error:
            level = logging.DEBUG if self._failing else logging.WARNING
            self._failing = True
            log.log(level, "spooled call-backs wait for the database (%s)", type(error).__name__)
            return None
        self._failing = False
        return kept

    @staticmethod
    async def _set_aside(path: Path, error: SQLAlchemyError) -> None:
        aside = await asyncio.to_thread(refuse_spooled, path)
        # The error quotes the values: its type alone is told.
        log.error(
            "the database refuses the spooled call-back %s (%s): nobody is called; see %s",
            path.name,
            type(error).__name__,
            aside.name,
        )

    def _callable(self, phone: str) -> bool:
        """The emergency path knows forms of numbers, not what each one costs."""
        try:
            return self._booking.reaches(to_e164(phone))
        except BadPhone:
            return False

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
