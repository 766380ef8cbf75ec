"""Inbound calls in the store: written again and again as they go on, found again after a crash."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Final

from sqlalchemy import Insert, Table, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from incident.store.engine import Store
from incident.store.schema import CallbackRow, CallRow

_CHUNK: Final = 500


@dataclass(frozen=True, slots=True)
class StoredCall:
    """One row of ``calls``; see `incident.store.schema.CallRow`."""

    id: str
    incident_id: str
    node: str
    via: str
    language: str | None
    ani_enc: bytes | None
    ani_hash: bytes | None
    content_version: str | None
    menu_path: str
    leaves: int
    started_at: float
    queued_at: float | None
    connected_at: float | None
    ended_at: float | None
    wait_seconds: float | None
    agent: str | None
    outcome: str | None
    result: str | None = None
    promised_low: float | None = None
    promised_high: float | None = None
    sent_to: str | None = None
    place: str | None = None
    contact_id: int | None = None


_COLUMNS: Final = tuple(StoredCall.__dataclass_fields__)
_values = attrgetter(*_COLUMNS)
_FIXED: Final = frozenset({"id", "incident_id", "node", "started_at"})


def _table() -> Table:
    table = CallRow.__table__
    assert isinstance(table, Table)
    return table


def _upsert(dialect: str) -> Insert:
    make: Any = sqlite.insert if dialect == "sqlite" else postgresql.insert
    statement = make(_table())
    changed = {name: statement.excluded[name] for name in _COLUMNS if name not in _FIXED}
    upsert: Insert = statement.on_conflict_do_update(index_elements=["id"], set_=changed)
    return upsert


_UPSERTS: Final = {dialect: _upsert(dialect) for dialect in ("sqlite", "postgresql")}


async def save_calls(session: AsyncSession, dialect: str, calls: Sequence[StoredCall]) -> None:
    """Write the calls as they stand now, whether or not they were written before."""
    if calls:
        await session.execute(_UPSERTS[dialect], [_row(call) for call in calls])


def _row(call: StoredCall) -> dict[str, Any]:
    # Not dataclasses.asdict: it copies every value, and this runs for every call.
    return dict(zip(_COLUMNS, _values(call), strict=True))


async def open_calls(store: Store, node: str) -> tuple[StoredCall, ...]:
    """This node's calls that have not ended, as far as the store knows."""
    wanted = [_table().c[name] for name in _COLUMNS]
    async with store.read() as session:
        rows = await session.execute(
            select(*wanted).where(CallRow.ended_at.is_(None), CallRow.node == node)
        )
        return tuple(StoredCall(*row) for row in rows)


async def known_calls(store: Store, ids: Collection[str]) -> frozenset[str]:
    """Which of these unique ids the store has a call for."""
    found: set[str] = set()
    async with store.read() as session:
        for chunk in _chunks(ids):
            found.update(await session.scalars(select(CallRow.id).where(CallRow.id.in_(chunk))))
    return frozenset(found)


async def calls_with_callback(store: Store, ids: Collection[str]) -> frozenset[str]:
    """Which of these calls left a number to be called back on."""
    found: set[str] = set()
    async with store.read() as session:
        for chunk in _chunks(ids):
            rows = await session.scalars(
                select(CallbackRow.call_id).where(CallbackRow.call_id.in_(chunk))
            )
            found.update(row for row in rows if row is not None)
    return frozenset(found)


def _chunks(ids: Iterable[str]) -> Iterable[list[str]]:
    every = list(ids)
    return (every[start : start + _CHUNK] for start in range(0, len(every), _CHUNK))
