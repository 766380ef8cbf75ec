"""What a letter's reference number stands for, for whoever may hear it (``incident.guessing``).

Every look-up asks and writes the same rows, whether the number exists or not: how long the answer
takes tells nothing either.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Insert, Table, and_, delete, func, or_, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from incident.guessing import DAY, Bucket, GuessLimits, Ruling, Try, Verdict, fresh_number, rule
from incident.privacy import IncidentKey
from incident.store.engine import Store
from incident.store.schema import ContactRow, ImportRow, ReferenceGuardRow

_LIKE_AN_SSN: Final = re.compile(r"[0-9]{9}|[0-9]{3}\*[0-9]{2}\*[0-9]{4}")
_BUDGET: Final = "budget"
_NUMBER: Final = "number"
_REFUSED: Final = "refused"
_HOUR: Final = 3600.0


@dataclass(frozen=True, slots=True)
class Letter:
    """What a reference number stands for: never a name or a telephone number. ``kind``: minor,
    deceased or None. ``activation``: the enrolment code, sealed with the incident's key."""

    contact: int
    data_types: tuple[str, ...]
    kind: str | None
    activation: bytes | None


@dataclass(frozen=True, slots=True)
class _Who:
    """Who asks for what, as the guard's rows name it. ``pair``: this caller with this number."""

    incident: str
    caller: bytes | None
    pair: bytes | None

    def rows(self, ruling: Ruling, refused: Bucket | None, now: float) -> list[dict[str, Any]]:
        rows = [_row(self.incident, _BUDGET, b"", ruling.budget)]
        if self.caller is not None and ruling.number is not None:
            rows.append(_row(self.incident, _NUMBER, self.caller, ruling.number))
        if self.pair is not None and ruling.remember:
            at = now if refused is None or now - refused.at > DAY else refused.at
            rows.append(_row(self.incident, _REFUSED, self.pair, Bucket(0.0, at)))
        return rows


def like_an_ssn(keys: str) -> bool:
    """Whether these keys may be a Social Security number: such are not looked up, not repeated
    and not kept."""
    return _LIKE_AN_SSN.fullmatch(keys) is not None


async def look_up(
    store: Store,
    key: IncidentKey,
    incident: str,
    reference: str,
    *,
    caller: bytes | None,
    limits: GuessLimits,
    now: float,
) -> tuple[Verdict, Letter | None]:
    """Look a reference number up for a caller; a letter comes with ANSWERED alone.

    ``caller``: the hash of the caller's number, None when it is withheld. A contact of an import
    that was not completed does not count. ``now``: Unix seconds.
    """
    pair = None if caller is None else key.lookup_hash(f"{caller.hex()} {reference}")
    who = _Who(incident, caller, pair)
    async with store.write() as session:
        # First of all, and locked: two nodes rule one after the other.
        stored = await _buckets(session, store.dialect, who, now)
        row = await _contact(session, incident, reference)
        refused = stored.get(_REFUSED)
        ruling = rule(
            Try(
                found=row is not None,
                own_phone=row is not None and caller is not None and row.phone_hash == caller,
                refused_at=None if refused is None or now - refused.at > DAY else refused.at,
            ),
            stored.get(_BUDGET),
            None if caller is None else stored.get(_NUMBER) or fresh_number(limits, now),
            limits,
            now,
        )
        await session.execute(_UPSERTS[store.dialect], who.rows(ruling, refused, now))
    if row is None or ruling.verdict is not Verdict.ANSWERED:
        return ruling.verdict, None
    data_types = tuple(code for code in row.data_types.split(",") if code)
    return ruling.verdict, Letter(row.id, data_types, row.kind, row.activation_enc)


async def _contact(session: AsyncSession, incident: str, reference: str) -> Any:
    found = await session.execute(
        select(
            ContactRow.id,
            ContactRow.data_types,
            ContactRow.kind,
            ContactRow.activation_enc,
            ContactRow.phone_hash,
        )
        .join(ImportRow, ImportRow.id == ContactRow.import_id)
        .where(
            ContactRow.incident_id == incident,
            ContactRow.reference == reference,
            ImportRow.committed_at.is_not(None),
        )
    )
    return found.one_or_none()


async def _buckets(session: AsyncSession, dialect: str, who: _Who, now: float) -> dict[str, Bucket]:
    row = ReferenceGuardRow
    wanted = [and_(row.kind == _BUDGET, row.key == b"")]
    if who.caller is not None:
        wanted.append(and_(row.kind == _NUMBER, row.key == who.caller))
        wanted.append(and_(row.kind == _REFUSED, row.key == who.pair))
    query = (
        select(row.kind, row.value, row.at, row.closed_until)
        .where(row.incident_id == who.incident, or_(*wanted))
        .order_by(row.kind)
    )
    if dialect == "postgresql":
        query = query.with_for_update()
    found = await session.execute(query)
    buckets = {kind: Bucket(value, at, closed) for kind, value, at, closed in found}
    budget = buckets.get(_BUDGET)
    if budget is not None and budget.at // _HOUR != now // _HOUR:
        await session.execute(
            delete(row).where(row.kind.in_((_NUMBER, _REFUSED)), row.at < now - 2 * DAY)
        )
    return buckets


def _row(incident: str, kind: str, key: bytes, bucket: Bucket) -> dict[str, Any]:
    return {
        "incident_id": incident,
        "kind": kind,
        "key": key,
        "value": bucket.tokens,
        "closed_until": bucket.closed_until,
        "at": bucket.at,
    }


def _upsert(dialect: str) -> Insert:
    table = ReferenceGuardRow.__table__
    assert isinstance(table, Table)
    make: Any = sqlite.insert if dialect == "sqlite" else postgresql.insert
    statement = make(table)
    upsert: Insert = statement.on_conflict_do_update(
        index_elements=["incident_id", "kind", "key"],
        set_={name: statement.excluded[name] for name in ("value", "closed_until", "at")},
    )
    return upsert


_UPSERTS: Final = {dialect: _upsert(dialect) for dialect in ("sqlite", "postgresql")}

_DENSE: Final = 0.001
"""Of the numbers between the first and the last, so many are somebody's: they can be guessed."""


@dataclass(frozen=True, slots=True)
class Guessable:
    """Reference numbers of one length lie so close that guessing finds some: ``taken`` of
    ``among`` numbers between the first and the last."""

    digits: int
    taken: int
    among: int


async def guessable(store: Store, incident: str) -> tuple[Guessable, ...]:
    """Where the incident's all-digit reference numbers are too close together (numbered one
    after the other, or too short for so many). A guard can slow guessing down; it cannot make up
    for this."""
    length = func.length(ContactRow.reference)
    async with store.read() as session:
        rows = await session.execute(
            select(
                length,
                func.count(),
                func.min(ContactRow.reference),
                func.max(ContactRow.reference),
            )
            .join(ImportRow, ImportRow.id == ContactRow.import_id)
            .where(ContactRow.incident_id == incident, ImportRow.committed_at.is_not(None))
            .group_by(length)
        )
        return tuple(_dense(list(rows)))


def _dense(rows: Sequence[Any]) -> list[Guessable]:
    found = []
    for digits, taken, first, last in rows:
        if taken > 1 and first.isdecimal() and last.isdecimal():
            among = int(last) - int(first) + 1
            if taken > _DENSE * among:
                found.append(Guessable(digits, taken, among))
    return found
