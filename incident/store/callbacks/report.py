"""What became of kept places: counts, one place explained, and what must never have happened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import func, or_, select
from sqlalchemy.orm import aliased

from incident.outcomes import CallbackOutcome
from incident.store.callbacks.places import LIVING, Place, PlaceState, place_of
from incident.store.engine import Store
from incident.store.schema import CallbackAttemptRow, CallbackRow


@dataclass(frozen=True, slots=True)
class Try:
    """One attempt. Times: Unix seconds; ``outcome`` is None while it goes on."""

    attempt: str
    number: int
    carrier: str
    agent: str | None
    created_at: float
    answered_at: float | None
    ended_at: float | None
    outcome: CallbackOutcome | None
    cause: int | None


@dataclass(frozen=True, slots=True)
class Explanation:
    """A place and its tries, oldest first. ``sentence``: for people, without personal data."""

    place: Place
    tries: tuple[Try, ...]

    @property
    def sentence(self) -> str:
        place, tries = self.place, len(self.tries)
        times = f"{tries} {'try' if tries == 1 else 'tries'}"
        detail = f" ({place.detail})" if place.detail else ""
        match place.state:
            case PlaceState.OPEN:
                return f"in line, or due later; {times} so far{detail}"
            case PlaceState.CALLING:
                return f"being called: {times}"
            case PlaceState.DONE:
                return f"called back after {times}{detail}"
            case PlaceState.GIVEN_UP:
                return f"given up after {times}{detail}"
            case PlaceState.CANCELLED:
                return f"cancelled after {times}{detail}"


async def explain(store: Store, token: str) -> Explanation | None:
    """What became of a place, and why. None: there is no such place."""
    async with store.read() as session:
        row = await session.scalar(select(CallbackRow).where(CallbackRow.token == token))
        if row is None:
            return None
        rows = await session.scalars(
            select(CallbackAttemptRow)
            .where(CallbackAttemptRow.callback_id == row.id)
            .order_by(CallbackAttemptRow.number)
        )
        tries = tuple(
            Try(
                attempt=item.id,
                number=item.number,
                carrier=item.carrier,
                agent=item.agent,
                created_at=item.created_at,
                answered_at=item.answered_at,
                ended_at=item.ended_at,
                outcome=None if item.outcome is None else CallbackOutcome(item.outcome),
                cause=item.cause,
            )
            for item in rows
        )
        return Explanation(place_of(row), tries)


async def count_places(store: Store, incident: str) -> Mapping[PlaceState, int]:
    """How many places of an incident are in each state; every state is there."""
    found = dict.fromkeys(PlaceState, 0)
    async with store.read() as session:
        rows = await session.execute(
            select(CallbackRow.state, func.count())
            .where(CallbackRow.incident_id == incident)
            .group_by(CallbackRow.state)
        )
        found.update((PlaceState(state), count) for state, count in rows)
    return found


@dataclass(frozen=True, slots=True)
class Audit:
    """What must be zero, ever: places whose person talked twice, that were called after their
    end, or twice at once; and those that ended without a reason (``unexplained``)."""

    talked_twice: int
    called_after_end: int
    twice_at_once: int
    unexplained: int

    @property
    def clean(self) -> bool:
        return not (
            self.talked_twice or self.called_after_end or self.twice_at_once or self.unexplained
        )


async def audit(store: Store, incident: str) -> Audit:
    """Check an incident's places against what was promised to the callers."""
    mine = CallbackRow.incident_id == incident
    attempt, other = aliased(CallbackAttemptRow), aliased(CallbackAttemptRow)
    talks = (
        select(attempt.callback_id)
        .join(CallbackRow, CallbackRow.id == attempt.callback_id)
        .where(mine, attempt.outcome == CallbackOutcome.CONNECTED.value)
        .group_by(attempt.callback_id)
        .having(func.count() > 1)
        .subquery()
    )
    late = (
        select(func.count(func.distinct(CallbackRow.id)))
        .join(attempt, attempt.callback_id == CallbackRow.id)
        .where(mine, CallbackRow.ended_at.is_not(None), attempt.created_at > CallbackRow.ended_at)
    )
    overlapping = (
        select(func.count(func.distinct(attempt.callback_id)))
        .join(
            other,
            (other.callback_id == attempt.callback_id) & (other.number > attempt.number),
        )
        .join(CallbackRow, CallbackRow.id == attempt.callback_id)
        .where(mine, or_(attempt.ended_at.is_(None), attempt.ended_at > other.created_at))
    )
    talked = (
        select(attempt.id)
        .where(attempt.callback_id == CallbackRow.id, attempt.answered_at.is_not(None))
        .exists()
    )
    connected = (
        select(attempt.id)
        .where(
            attempt.callback_id == CallbackRow.id,
            attempt.outcome == CallbackOutcome.CONNECTED.value,
        )
        .exists()
    )
    unexplained = (
        select(func.count())
        .select_from(CallbackRow)
        .where(
            mine,
            CallbackRow.state.not_in(LIVING),
            or_(
                CallbackRow.ended_at.is_(None),
                (CallbackRow.state == PlaceState.DONE.value) & ~talked & ~connected,
                (CallbackRow.state != PlaceState.DONE.value) & CallbackRow.detail.is_(None),
            ),
        )
    )
    async with store.read() as session:
        return Audit(
            talked_twice=await session.scalar(select(func.count()).select_from(talks)) or 0,
            called_after_end=await session.scalar(late) or 0,
            twice_at_once=await session.scalar(overlapping) or 0,
            unexplained=await session.scalar(unexplained) or 0,
        )
