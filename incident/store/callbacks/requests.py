"""Requests to be called back: each is taken exactly once, however often it is handed in."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from sqlalchemy import Insert, Table, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from incident.privacy import IncidentKey
from incident.store.engine import Store
from incident.store.schema import CallbackRow


@dataclass(frozen=True, slots=True)
class CallbackRequest:
    """``source``: menu, after_hours, waiting or emergency. ``source_key`` names the request itself,
    so that handing it in twice does nothing. The number is sealed and hashed already.

    ``token`` names the place in Asterisk; ``rank`` and ``not_before`` as in `CallbackRow`."""

    incident_id: str
    language: str
    phone_enc: bytes
    phone_hash: bytes
    source: str
    source_key: str
    call_id: str | None
    requested_at: float
    token: str = field(default_factory=lambda: uuid.uuid4().hex)
    rank: float = 0.0
    not_before: float = 0.0
    state: str = "open"
    asked_by: bytes | None = None
    relay: bool = False


def request(
    key: IncidentKey,
    *,
    incident: str,
    language: str,
    e164: str,
    source: str,
    source_key: str,
    call: str | None,
    now: float,
    token: str | None = None,
    rank: float | None = None,
    not_before: float = 0.0,
    caller: str = "",
    relay: bool = False,
) -> CallbackRequest:
    """Seal a number into a request. ``now``, ``rank`` and ``not_before``: Unix seconds.

    ``token``: that of the placeholder which holds the place already, else a new one. ``rank``:
    when the caller joined the line, else ``now``. ``caller``: the caller's own number in E.164, ""
    where it is not known. ``relay``: a relay operator will speak for the person."""
    return CallbackRequest(
        incident_id=incident,
        language=language,
        phone_enc=key.encrypt(e164),
        phone_hash=key.lookup_hash(e164),
        source=source,
        source_key=source_key,
        call_id=call,
        requested_at=now,
        token=token or uuid.uuid4().hex,
        rank=now if rank is None else rank,
        not_before=not_before,
        asked_by=key.lookup_hash(caller) if caller else None,
        relay=relay,
    )


def _insert(dialect: str) -> Insert:
    table = CallbackRow.__table__
    assert isinstance(table, Table)
    make: Any = sqlite.insert if dialect == "sqlite" else postgresql.insert
    statement: Insert = make(table).on_conflict_do_nothing()
    return statement


_INSERTS: Final = {dialect: _insert(dialect) for dialect in ("sqlite", "postgresql")}


async def save_callbacks(
    session: AsyncSession, dialect: str, requests: Sequence[CallbackRequest]
) -> None:
    """Write requests; those that are there already stay as they are, and so does the place that
    a number has already (no second entry). To learn which of the two, use ``keep``."""
    if requests:
        await session.execute(_INSERTS[dialect], [asdict(item) for item in requests])


async def insert_request(session: AsyncSession, dialect: str, wanted: CallbackRequest) -> bool:
    """Write one request; says whether it was new."""
    # Not the row count: on PostgreSQL it tells nothing here.
    statement = _INSERTS[dialect].returning(CallbackRow.id)
    return await session.scalar(statement, asdict(wanted)) is not None


async def count_callbacks(store: Store, incident: str, state: str = "open") -> int:
    """How many requests of an incident are in ``state``."""
    async with store.read() as session:
        found = await session.scalar(
            select(func.count())
            .select_from(CallbackRow)
            .where(CallbackRow.incident_id == incident, CallbackRow.state == state)
        )
    return found or 0
