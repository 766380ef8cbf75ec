"""How busy each node's hotline is, for the dialer: one row for each node and incident."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from sqlalchemy import Insert, Table, select
from sqlalchemy.dialects import postgresql, sqlite

from incident.store.engine import Store
from incident.store.schema import InboundLoadRow

FRESH_SECONDS: Final = 5.0
"""An older row counts as none: the hotline that wrote it is not there any more."""


@dataclass(frozen=True, slots=True)
class InboundLoad:
    """See `incident.store.schema.InboundLoadRow`. ``at``: Unix seconds."""

    node: str
    incident_id: str
    level: str
    waiting: int
    channels: int
    predicted_seconds: float | None
    at: float

    def fresh(self, now: float) -> bool:
        """Whether it still counts at ``now`` (Unix seconds)."""
        return now - self.at <= FRESH_SECONDS


def _upsert(dialect: str) -> Insert:
    table = InboundLoadRow.__table__
    assert isinstance(table, Table)
    make: Any = sqlite.insert if dialect == "sqlite" else postgresql.insert
    statement = make(table)
    changed = {
        name: statement.excluded[name]
        for name in InboundLoad.__dataclass_fields__
        if name not in {"node", "incident_id"}
    }
    upsert: Insert = statement.on_conflict_do_update(
        index_elements=["node", "incident_id"], set_=changed
    )
    return upsert


_UPSERTS: Final = {dialect: _upsert(dialect) for dialect in ("sqlite", "postgresql")}


async def save_loads(store: Store, loads: Sequence[InboundLoad]) -> None:
    """Write a node's rows as they stand now."""
    if loads:
        async with store.write() as session:
            await session.execute(_UPSERTS[store.dialect], [asdict(load) for load in loads])


async def fresh_loads(store: Store, now: float) -> tuple[InboundLoad, ...]:
    """Rows of all nodes that are not too old at ``now`` (Unix seconds)."""
    names = tuple(InboundLoad.__dataclass_fields__)
    table = InboundLoadRow.__table__
    async with store.read() as session:
        rows = await session.execute(
            select(*(table.c[name] for name in names)).where(
                InboundLoadRow.at >= now - FRESH_SECONDS
            )
        )
        return tuple(InboundLoad(*row) for row in rows)
