"""Places in line: one for each number and incident, looked up and changed.

Every function is one transaction. A change locks the place first (on SQLite the whole file), so
that what it decides on stays true until it is written.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from incident.booking import DAY, HOUR, BookingLimits
from incident.store.callbacks.requests import CallbackRequest, insert_request
from incident.store.engine import Store
from incident.store.schema import CallbackRow, DoNotCallRow

_ROUNDS: Final = 5
_DETAIL: Final = 200
SPOKEN: Final = ("menu", "after_hours", "waiting")
"""Sources of requests that the hotline itself took, and knows whose call it was."""


class PlaceState(StrEnum):
    """``open``: in line, or due later. ``calling``: an agent is held and the person is called, or
    talks. The others are final."""

    OPEN = "open"
    CALLING = "calling"
    DONE = "done"
    GIVEN_UP = "given_up"
    CANCELLED = "cancelled"


LIVING: Final = (PlaceState.OPEN.value, PlaceState.CALLING.value)


class Why(StrEnum):
    """Why something was refused. ``over``: the place is done, given up or cancelled.
    ``number_taken``: another living place of the incident has the number. ``attempt_over``: this
    attempt id was used before, and has ended or belongs to another place. ``too_many``: the caller
    or the number has asked too often (``incident.booking``). ``not_callable``: the number costs
    whoever calls it, or is of a country that is not called."""

    UNKNOWN_PLACE = "unknown_place"
    OVER = "over"
    CALLING = "calling"
    NOT_DUE = "not_due"
    DO_NOT_CALL = "do_not_call"
    NUMBER_TAKEN = "number_taken"
    ATTEMPT_OVER = "attempt_over"
    TOO_MANY = "too_many"
    NOT_CALLABLE = "not_callable"


@dataclass(frozen=True, slots=True)
class Place:
    """A place, as the store has it. ``phone``: sealed with the incident's key. Times: Unix
    seconds. ``attempts``: how many tries have begun. ``agent``: of the last try. ``relay``: a
    relay operator will speak for the person, and the agent is told."""

    id: int
    token: str
    incident: str
    language: str
    rank: float
    not_before: float
    state: PlaceState
    attempts: int
    call_id: str | None
    phone: bytes
    phone_hash: bytes
    source: str
    requested_at: float
    ended_at: float | None
    agent: str | None
    detail: str | None
    relay: bool = False


@dataclass(frozen=True, slots=True)
class Kept:
    """``new`` is False when the number had this place before, or the request was handed in before:
    then it keeps its own token and rank, and a placeholder of another token has to go."""

    place: Place
    new: bool


@dataclass(frozen=True, slots=True)
class Refusal:
    """Nothing was done, and why. ``place``: the one in the way, or the one asked for."""

    why: Why
    place: Place | None = None


def place_of(row: CallbackRow) -> Place:
    return Place(
        id=row.id,
        token=row.token,
        incident=row.incident_id,
        language=row.language,
        rank=row.rank,
        not_before=row.not_before,
        state=PlaceState(row.state),
        attempts=row.attempts,
        call_id=row.call_id,
        phone=row.phone_enc,
        phone_hash=row.phone_hash,
        source=row.source,
        requested_at=row.requested_at,
        ended_at=row.ended_at,
        agent=row.agent,
        detail=row.detail,
        relay=row.relay,
    )


async def keep(
    store: Store, wanted: CallbackRequest, limits: BookingLimits | None = None
) -> Kept | Refusal:
    """Give the caller a place, or find the one that the number has already.

    Committed when it returns. Handing in the same request again gives the same place, whatever
    became of it. Refuses DO_NOT_CALL: the owner of the number asked not to be called; and, with
    ``limits``, TOO_MANY.
    """
    for _ in range(_ROUNDS):
        async with store.write() as session:
            if await on_do_not_call(session, wanted.incident_id, wanted.phone_hash):
                return Refusal(Why.DO_NOT_CALL)
            there = limits is None or await _same(session, wanted) is not None
            if limits is not None and not there and await _too_many(session, wanted, limits):
                return Refusal(Why.TOO_MANY)
            new = await insert_request(session, store.dialect, wanted)
            row = await _same(session, wanted)
            if row is not None:
                return Kept(place_of(row), new)
        # The place that was in the way ended meanwhile: now there is room.
    raise RuntimeError("a place for this number ends as often as one is looked for")


async def _too_many(session: AsyncSession, wanted: CallbackRequest, limits: BookingLimits) -> bool:
    """Whether this number was given enough places, or this caller left enough numbers."""
    row, day = CallbackRow, wanted.requested_at - DAY
    if await _count(session, wanted, row.phone_hash == wanted.phone_hash, day) >= (
        limits.number_a_day
    ):
        return True
    if wanted.source not in SPOKEN:
        return False  # nobody could tell then whose call it was
    if wanted.asked_by is None:
        unknown = row.asked_by.is_(None) & row.source.in_(SPOKEN)
        hour = wanted.requested_at - HOUR
        return await _count(session, wanted, unknown, hour) >= limits.unknown_an_hour
    if wanted.asked_by == wanted.phone_hash:
        return False
    others = (row.asked_by == wanted.asked_by) & (row.phone_hash != wanted.asked_by)
    return await _count(session, wanted, others, day) >= limits.others_a_day


async def _count(
    session: AsyncSession, wanted: CallbackRequest, which: ColumnElement[bool], since: float
) -> int:
    found = await session.scalar(
        select(func.count())
        .select_from(CallbackRow)
        .where(
            CallbackRow.incident_id == wanted.incident_id,
            which,
            CallbackRow.requested_at > since,
        )
    )
    return found or 0


async def _same(session: AsyncSession, wanted: CallbackRequest) -> CallbackRow | None:
    """The request's own row, or the living one of its number. The former first: the number may
    have another place by now."""
    own = await session.scalar(
        select(CallbackRow).where(
            (CallbackRow.source_key == wanted.source_key) | (CallbackRow.token == wanted.token)
        )
    )
    if own is not None:
        return own
    living: CallbackRow | None = await session.scalar(
        _living(wanted.incident_id, wanted.phone_hash)
    )
    return living


def _living(incident: str, phone_hash: bytes) -> Select[CallbackRow]:
    return select(CallbackRow).where(
        CallbackRow.incident_id == incident,
        CallbackRow.phone_hash == phone_hash,
        CallbackRow.state.in_(LIVING),
    )


async def on_do_not_call(session: AsyncSession, incident: str, phone_hash: bytes) -> bool:
    return await session.get(DoNotCallRow, (incident, phone_hash)) is not None


async def open_places(store: Store, incident: str | None = None) -> tuple[Place, ...]:
    """Every place that is not over (open or calling), in the order of the line: (rank, id)."""
    query = select(CallbackRow).where(CallbackRow.state.in_(LIVING))
    if incident is not None:
        query = query.where(CallbackRow.incident_id == incident)
    async with store.read() as session:
        rows = await session.scalars(query.order_by(CallbackRow.rank, CallbackRow.id))
        return tuple(place_of(row) for row in rows)


async def place_by_token(store: Store, token: str) -> Place | None:
    """The place, whatever its state."""
    async with store.read() as session:
        row = await session.scalar(select(CallbackRow).where(CallbackRow.token == token))
        return None if row is None else place_of(row)


async def place_by_phone(store: Store, incident: str, phone_hash: bytes) -> Place | None:
    """The living (open or calling) place of a number."""
    async with store.read() as session:
        row = await session.scalar(_living(incident, phone_hash))
        return None if row is None else place_of(row)


async def place_by_call(store: Store, call_id: str) -> Place | None:
    """The living place that was asked for in a call (Asterisk's unique id).

    A caller who is on the line again, after a crash say, has it all the same: while they wait
    there it needs no placeholder, and once they talk with an agent it is to be cancelled.
    """
    async with store.read() as session:
        row = await session.scalar(
            select(CallbackRow)
            .where(CallbackRow.call_id == call_id, CallbackRow.state.in_(LIVING))
            .order_by(CallbackRow.id)
            .limit(1)
        )
        return None if row is None else place_of(row)


async def known_tokens(store: Store, tokens: Iterable[str]) -> frozenset[str]:
    """Which of these tokens the store has a place for, whatever its state."""
    return await _among(store, tokens)


async def over_tokens(store: Store, tokens: Iterable[str]) -> frozenset[str]:
    """Which of these tokens are of a place that is over. A place that was kept a moment ago is not
    among them, as one that was looked up before would be among those that are not open."""
    return await _among(store, tokens, CallbackRow.state.not_in(LIVING))


async def _among(
    store: Store, tokens: Iterable[str], *which: ColumnElement[bool]
) -> frozenset[str]:
    wanted = list(tokens)
    found: set[str] = set()
    async with store.read() as session:
        for start in range(0, len(wanted), 500):
            query = select(CallbackRow.token).where(
                CallbackRow.token.in_(wanted[start : start + 500]), *which
            )
            found.update(await session.scalars(query))
    return frozenset(found)


async def locked(session: AsyncSession, token: str) -> CallbackRow | None:
    """The row of a place, locked until the transaction ends (SQLite locks as a whole)."""
    row: CallbackRow | None = await session.scalar(
        select(CallbackRow)
        .where(CallbackRow.token == token)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    return row


def close(row: CallbackRow, state: PlaceState, why: str, now: float) -> None:
    row.state = state.value
    row.ended_at = now
    row.detail = why[:_DETAIL] or None


async def cancel(store: Store, token: str, why: str, now: float) -> Place | Refusal:
    """End a place for good; ``why`` is a short phrase without personal data.

    One that is being called is cancelled too: its attempt goes on to its own end, but no other
    follows. Refuses UNKNOWN_PLACE and OVER (with the place, which stays as it is).
    """
    async with store.write() as session:
        row = await locked(session, token)
        if row is None:
            return Refusal(Why.UNKNOWN_PLACE)
        if row.state not in LIVING:
            return Refusal(Why.OVER, place_of(row))
        close(row, PlaceState.CANCELLED, why, now)
        return place_of(row)


async def cancel_for_number(
    session: AsyncSession, incident: str, phone_hash: bytes, why: str, now: float
) -> tuple[str, ...]:
    """Cancel the living place of a number, within the caller's transaction (that which notes the
    stop-calling request); gives the tokens whose placeholders have to go."""
    rows = await session.scalars(
        _living(incident, phone_hash).with_for_update().execution_options(populate_existing=True)
    )
    tokens = []
    for row in rows:
        close(row, PlaceState.CANCELLED, why, now)
        tokens.append(row.token)
    await session.flush()
    return tuple(tokens)


async def reschedule(store: Store, token: str, not_before: float) -> Place | Refusal:
    """Set the time from which the person may be called; the rank stays.

    Refuses UNKNOWN_PLACE, OVER, and CALLING.
    """
    async with store.write() as session:
        row = await _changeable(session, token)
        if isinstance(row, Refusal):
            return row
        row.not_before = not_before
        return place_of(row)


async def change_number(
    store: Store, token: str, phone_enc: bytes, phone_hash: bytes
) -> Place | Refusal:
    """Call this place at another number.

    Refuses UNKNOWN_PLACE, OVER, CALLING, DO_NOT_CALL, and NUMBER_TAKEN (with the place that the
    number has: both stay as they are).
    """
    try:
        async with store.write() as session:
            row = await _changeable(session, token)
            if isinstance(row, Refusal):
                return row
            if await on_do_not_call(session, row.incident_id, phone_hash):
                return Refusal(Why.DO_NOT_CALL, place_of(row))
            other = await session.scalar(_living(row.incident_id, phone_hash))
            if other is not None and other.id != row.id:
                return Refusal(Why.NUMBER_TAKEN, place_of(other))
            row.phone_enc, row.phone_hash = phone_enc, phone_hash
            await session.flush()
            return place_of(row)
    except IntegrityError:
        # Another transaction gave the number a place since we looked.
        mine = await place_by_token(store, token)
        other_place = (
            None if mine is None else await place_by_phone(store, mine.incident, phone_hash)
        )
        return Refusal(Why.NUMBER_TAKEN, other_place)


async def _changeable(session: AsyncSession, token: str) -> CallbackRow | Refusal:
    row = await locked(session, token)
    if row is None:
        return Refusal(Why.UNKNOWN_PLACE)
    if row.state not in LIVING:
        return Refusal(Why.OVER, place_of(row))
    if row.state != PlaceState.OPEN.value:
        return Refusal(Why.CALLING, place_of(row))
    return row
