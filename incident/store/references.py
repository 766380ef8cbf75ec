"""What a letter's reference number stands for, for whoever may hear it (``incident.guessing``).

Every look-up asks and writes the same rows, whether the number exists or not: how long the answer
takes tells nothing either.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

from sqlalchemy import Insert, Table, and_, delete, or_, select
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

_LOOKED_AT: Final = 20_000
_NEAR: Final = 100
_MOST_NEAR: Final = 0.1
"""Of random numbers one in a thousand of which is taken, a tenth lie that near to the next."""


@dataclass(frozen=True, slots=True)
class Guessable:
    """Reference numbers of ``digits`` digits lie so close that guessing finds some: of ``among``
    that were looked at, ``near`` are at most 100 from the next."""

    digits: int
    near: int
    among: int


async def guessable(store: Store, incident: str) -> tuple[Guessable, ...]:
    """Where the incident's all-digit reference numbers are too close together (numbered one
    after the other, or too short for so many). A guard can slow guessing down; it cannot make up
    for this. Looks at 20,000 of them."""
    async with store.read() as session:
        found = await session.scalars(
            select(ContactRow.reference)
            .join(ImportRow, ImportRow.id == ContactRow.import_id)
            .where(ContactRow.incident_id == incident, ImportRow.committed_at.is_not(None))
            .order_by(ContactRow.reference)
            .limit(_LOOKED_AT)
        )
        return close_together(found.all())


def close_together(references: Iterable[str]) -> tuple[Guessable, ...]:
    """``guessable`` of these."""
    by_length: dict[int, list[int]] = {}
    for reference in references:
        if reference.isascii() and reference.isdecimal():
            by_length.setdefault(len(reference), []).append(int(reference))
    found = []
    for digits, numbers in sorted(by_length.items()):
        numbers.sort()
        near = sum(after - before <= _NEAR for before, after in pairwise(numbers))
        if near > _MOST_NEAR * len(numbers):
            found.append(Guessable(digits, near, len(numbers)))
    return tuple(found)
