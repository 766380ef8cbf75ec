"""What the system's own books say of a drill's calls: outcomes, promises, places kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import select

from incident.store.engine import Store
from incident.store.incidents import ActiveIncident
from incident.store.schema import CallbackAttemptRow, CallbackRow, CallRow


@dataclass(frozen=True, slots=True)
class Noted:
    """One stored call. Times are Unix seconds, the rest seconds."""

    id: str
    caller: bytes | None
    started_at: float
    queued_at: float | None
    connected_at: float | None
    ended_at: float | None
    wait: float | None
    outcome: str | None
    promised_high: float | None
    sent_to: str | None
    place: str | None
    language: str | None


@dataclass(frozen=True, slots=True)
class Kept:
    """One place in line that was kept. ``tries``: outcomes of the calls to this person (None: a
    try that has not ended); ``tried_at``: when the first began."""

    person: bytes
    language: str
    requested_at: float
    rank: float
    not_before: float
    state: str
    ended_at: float | None
    detail: str | None
    tries: tuple[str | None, ...]
    tried_at: float | None


@dataclass(frozen=True, slots=True)
class Books:
    """Both, of one incident since the drill began."""

    calls: Sequence[Noted]
    kept: Sequence[Kept]

    def by_caller(self) -> Mapping[bytes, list[Noted]]:
        """Calls of each caller's number (its keyed hash), oldest first."""
        found: dict[bytes, list[Noted]] = {}
        for call in self.calls:
            if call.caller is not None:
                found.setdefault(call.caller, []).append(call)
        return found

    def by_person(self) -> Mapping[bytes, Kept]:
        """The latest place of each person."""
        return {each.person: each for each in self.kept}


def is_due(place: Kept, now: float) -> bool:
    """Whether a call-back is still to come in this drill: not those that wait for a time that
    was chosen, or for a second try after an unanswered one."""
    if place.state == "calling":
        return True
    return place.state == "open" and not place.tries and place.not_before <= now


async def read_books(store: Store, incident: ActiveIncident, began: float) -> Books:
    """Everything that began since then (Unix seconds)."""
    calls = (
        select(CallRow)
        .where(CallRow.incident_id == incident.id, CallRow.started_at >= began)
        .order_by(CallRow.started_at)
    )
    places = (
        select(CallbackRow)
        .where(CallbackRow.incident_id == incident.id, CallbackRow.requested_at >= began)
        .order_by(CallbackRow.id)
    )
    tries: dict[int, list[str | None]] = {}
    first: dict[int, float] = {}
    async with store.read() as session:
        noted = [
            Noted(
                row.id,
                row.ani_hash,
                row.started_at,
                row.queued_at,
                row.connected_at,
                row.ended_at,
                row.wait_seconds,
                row.outcome,
                row.promised_high,
                row.sent_to,
                row.place,
                row.language,
            )
            for row in await session.scalars(calls)
        ]
        rows = list(await session.scalars(places))
        wanted = select(CallbackAttemptRow).order_by(CallbackAttemptRow.number)
        for attempt in await session.scalars(wanted):
            ended = None if attempt.ended_at is None else attempt.outcome or "unknown"
            first.setdefault(attempt.callback_id, attempt.created_at)
            tries.setdefault(attempt.callback_id, []).append(ended)
    kept = [
        Kept(
            row.phone_hash,
            row.language,
            row.requested_at,
            row.rank,
            row.not_before,
            row.state,
            row.ended_at,
            row.detail,
            tuple(tries.get(row.id, ())),
            first.get(row.id),
        )
        for row in rows
    ]
    return Books(noted, kept)
