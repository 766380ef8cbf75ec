"""Tries to reach a person who keeps a place: committed before anything is dialled, ended once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from incident.outcomes import CallbackOutcome
from incident.store.callbacks.places import (
    LIVING,
    Place,
    PlaceState,
    Refusal,
    Why,
    close,
    locked,
    on_do_not_call,
    place_of,
)
from incident.store.engine import Store
from incident.store.schema import CallbackAttemptRow, CallbackRow

STOPPED = "asked not to be called"


@dataclass(frozen=True, slots=True)
class Begun:
    """A committed attempt: its person may be dialled now, once. ``number``: 1 for the first try.
    ``again``: it had begun before (the order was repeated), so it may have been dialled."""

    attempt: str
    number: int
    carrier: str
    agent: str | None
    place: Place
    again: bool = False


@dataclass(frozen=True, slots=True)
class Tries:
    """What is known when an attempt has ended: how, when (Unix seconds), whether anything
    answered, and how many of the place's attempts ended in which way, this one included."""

    outcome: CallbackOutcome
    at: float
    answered: bool
    outcomes: Mapping[CallbackOutcome, int]


@dataclass(frozen=True, slots=True)
class Next:
    """What becomes of the place: done, given_up, or open again from ``not_before`` on."""

    state: PlaceState
    not_before: float = 0.0
    detail: str = ""


Decide = Callable[[Tries], Next]
"""See `ivr.keeping.rules`."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How the attempt stands ended. ``first`` is False when it had ended before: then nothing was
    changed, and ``outcome`` is that of the first ending."""

    attempt: str
    outcome: CallbackOutcome
    place: Place
    first: bool


@dataclass(frozen=True, slots=True)
class UnfinishedAttempt:
    """An attempt without an end: it is going on, or its end was not observed."""

    attempt: str
    number: int
    carrier: str
    agent: str | None
    created_at: float
    answered_at: float | None
    place: Place


async def begin_attempt(
    store: Store,
    token: str,
    *,
    attempt_id: str,
    node: str,
    carrier: str,
    agent: str | None,
    now: float,
) -> Begun | Refusal:
    """Note that the person will be dialled now: the place goes from open to calling.

    Committed when it returns Begun; only then may anything be dialled, under ``attempt_id``, by
    the Asterisk of ``node``.
    The same order repeated gives the same Begun, marked ``again``. Refuses UNKNOWN_PLACE, OVER,
    CALLING (an attempt of the place or of its number has not ended), NOT_DUE, DO_NOT_CALL (which
    cancels the place), ATTEMPT_OVER.
    """
    async with store.write() as session:
        row = await locked(session, token)
        before = await session.get(CallbackAttemptRow, attempt_id)
        if before is not None:
            return _begun_before(row, before)
        if row is None:
            return Refusal(Why.UNKNOWN_PLACE)
        if row.state not in LIVING:
            return Refusal(Why.OVER, place_of(row))
        if row.state != PlaceState.OPEN.value or await _number_in_call(session, row):
            return Refusal(Why.CALLING, place_of(row))
        if row.not_before > now:
            return Refusal(Why.NOT_DUE, place_of(row))
        if await on_do_not_call(session, row.incident_id, row.phone_hash):
            close(row, PlaceState.CANCELLED, STOPPED, now)
            return Refusal(Why.DO_NOT_CALL, place_of(row))
        row.state = PlaceState.CALLING.value
        row.attempts += 1
        row.agent = agent
        attempt = CallbackAttemptRow(
            id=attempt_id,
            callback_id=row.id,
            node=node,
            number=row.attempts,
            carrier=carrier,
            agent=agent,
            created_at=now,
        )
        session.add(attempt)
        await session.flush()
        return Begun(attempt_id, attempt.number, carrier, agent, place_of(row))


def _begun_before(row: CallbackRow | None, before: CallbackAttemptRow) -> Begun | Refusal:
    if row is None or before.callback_id != row.id or before.ended_at is not None:
        return Refusal(Why.ATTEMPT_OVER, None if row is None else place_of(row))
    return Begun(before.id, before.number, before.carrier, before.agent, place_of(row), again=True)


async def _number_in_call(session: AsyncSession, row: CallbackRow) -> bool:
    """Also by a place that was cancelled while its attempt went on."""
    found = await session.scalar(
        select(CallbackAttemptRow.id)
        .join(CallbackRow, CallbackRow.id == CallbackAttemptRow.callback_id)
        .where(
            CallbackRow.incident_id == row.incident_id,
            CallbackRow.phone_hash == row.phone_hash,
            CallbackAttemptRow.ended_at.is_(None),
        )
        .limit(1)
    )
    return found is not None


async def note_answered(store: Store, attempt_id: str, at: float) -> None:
    """The person (or a machine) answered. The first time stays; an ended attempt too."""
    async with store.write() as session:
        await session.execute(
            update(CallbackAttemptRow)
            .where(
                CallbackAttemptRow.id == attempt_id,
                CallbackAttemptRow.ended_at.is_(None),
                CallbackAttemptRow.answered_at.is_(None),
            )
            .values(answered_at=at)
            .execution_options(synchronize_session=False)
        )


async def end_attempt(
    store: Store,
    attempt_id: str,
    outcome: CallbackOutcome,
    now: float,
    decide: Decide,
    *,
    cause: int | None = None,
    answered_at: float | None = None,
) -> Ended | None:
    """End an attempt, and say with ``decide`` what becomes of its place; one transaction.

    The first ending stays: another changes nothing. A place that was cancelled meanwhile stays
    cancelled. ``cause``: of the hang-up (Q.850). None when there is no such attempt.
    """
    async with store.write() as session:
        token = await session.scalar(
            select(CallbackRow.token)
            .join(CallbackAttemptRow, CallbackAttemptRow.callback_id == CallbackRow.id)
            .where(CallbackAttemptRow.id == attempt_id)
        )
        # The place first, as begin_attempt does: two orders of locks would deadlock.
        row = None if token is None else await locked(session, token)
        attempt = await session.get(CallbackAttemptRow, attempt_id, populate_existing=True)
        if row is None or attempt is None:
            return None
        if attempt.ended_at is not None:
            ended = CallbackOutcome(attempt.outcome or CallbackOutcome.UNKNOWN)
            return Ended(attempt_id, ended, place_of(row), first=False)
        attempt.ended_at = now
        attempt.outcome = outcome.value
        attempt.cause = cause
        if attempt.answered_at is None:
            attempt.answered_at = answered_at
        await session.flush()
        if row.state == PlaceState.CALLING.value:
            answered = attempt.answered_at is not None
            tries = Tries(outcome, now, answered, await _outcomes(session, row.id))
            _move(row, decide(tries), now)
        return Ended(attempt_id, outcome, place_of(row), first=True)


def _move(row: CallbackRow, step: Next, now: float) -> None:
    if step.state is PlaceState.OPEN:
        row.state = PlaceState.OPEN.value
        row.not_before = step.not_before
        row.detail = step.detail or None
    else:
        close(row, step.state, step.detail, now)


async def _outcomes(session: AsyncSession, callback: int) -> dict[CallbackOutcome, int]:
    rows = await session.execute(
        select(CallbackAttemptRow.outcome, func.count())
        .where(CallbackAttemptRow.callback_id == callback, CallbackAttemptRow.outcome.is_not(None))
        .group_by(CallbackAttemptRow.outcome)
    )
    return {CallbackOutcome(outcome): count for outcome, count in rows if outcome is not None}


async def unfinished_attempts(store: Store, node: str) -> tuple[UnfinishedAttempt, ...]:
    """Every attempt of a node that has not ended, oldest first. After a restart each is either
    still a call in its Asterisk, or has to be ended: as UNKNOWN, when nothing tells how."""
    async with store.read() as session:
        rows = await session.execute(
            select(CallbackAttemptRow, CallbackRow)
            .join(CallbackRow, CallbackRow.id == CallbackAttemptRow.callback_id)
            .where(CallbackAttemptRow.ended_at.is_(None), CallbackAttemptRow.node == node)
            .order_by(CallbackAttemptRow.created_at, CallbackAttemptRow.id)
        )
        return tuple(
            UnfinishedAttempt(
                attempt=attempt.id,
                number=attempt.number,
                carrier=attempt.carrier,
                agent=attempt.agent,
                created_at=attempt.created_at,
                answered_at=attempt.answered_at,
                place=place_of(row),
            )
            for attempt, row in rows
        )
