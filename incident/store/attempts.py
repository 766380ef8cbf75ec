"""Outbound attempts: opened before anything is dialled, ended once, never forgotten."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from sqlalchemy import CursorResult, and_, case, func, literal, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from incident.outcomes import AttemptOutcome
from incident.store.campaigns import Desired
from incident.store.do_not_call import asked_not, contact_asked_not, set_aside
from incident.store.engine import Store
from incident.store.schema import (
    AttemptRow,
    CampaignContactRow,
    CampaignRow,
    ContactRow,
    ContactState,
    IncidentRow,
)

NOT_SENT = "not sent"
"""An attempt's ``detail`` begins so when Asterisk never got the order to dial: nobody was called,
and the try does not count against the contact."""

LIVE = (AttemptOutcome.CONNECTED, AttemptOutcome.ABANDONED, AttemptOutcome.LIVE_ANSWERED)
"""Answered by a person (47 CFR 64.1200(a)(7): the 3 % is of calls answered live by a person)."""

_MOST_LOOKED_AT = 1000
_ROUNDS = 20
"""Of looking for due contacts within one lease: those put off, or done, make room for others."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A due contact, before it is leased; what the eligibility rules need to know."""

    contact: int
    language: str
    state: str | None
    postal_code: str | None
    attempts: int


@dataclass(frozen=True, slots=True)
class Opened:
    """A committed attempt that may be dialled now. ``phone``: sealed with the incident's key."""

    id: str
    campaign: str
    contact: int
    number: int
    language: str
    phone: bytes
    did: str
    created_at: float


@dataclass(frozen=True, slots=True)
class OpenAttempt:
    """An attempt that has not ended, as the store knows it. Times: Unix seconds."""

    id: str
    campaign: str
    incident: str
    contact: int
    number: int
    language: str
    carrier: str
    created_at: float
    answered_at: float | None
    connected_at: float | None
    detail: str | None
    agent: str | None


@dataclass(frozen=True, slots=True)
class Ending:
    """How an attempt ended, as the dialer classified it."""

    outcome: AttemptOutcome
    at: float
    detail: str = ""
    cause: int | None = None
    agent: str | None = None
    answered_at: float | None = None
    connected_at: float | None = None
    counts: bool = True
    """Whether it uses up one of the contact's tries (not when nothing was sent)."""


@dataclass(frozen=True, slots=True)
class NextStep:
    """What becomes of the contact. ``not_before``: Unix seconds."""

    state: ContactState
    not_before: float = 0.0


Decide = Callable[[int, int], NextStep]
"""Tries made so far, and how many of them ended with this same outcome -> what comes next."""

Held = Callable[[Candidate], float | None]
"""Until when (Unix seconds) this contact may not be called; None: it may be called now."""


async def lease_and_open(
    store: Store,
    campaign: str,
    language: str,
    limit: int,
    now: float,
    *,
    lease_seconds: float = 3600.0,
    held: Held = lambda _candidate: None,
    again: bool = False,
) -> tuple[Opened, ...]:
    """Lease up to ``limit`` due contacts and open their attempts, in one transaction.

    When this returns, the attempts are committed: only then may anything be dialled. Opens
    nothing when the campaign is not to run (any more). Contacts that ``held`` keeps back are
    put off to its time. Two dialers never get the same contact.

    What other campaigns did counts for the person: whoever was reached is done here too, and a
    pause after another campaign's call is kept (``again``: neither). One telephone number is in
    one call at a time, whoever shares it. Whose number asked not to be called is never leased.
    """
    async with store.write() as session:
        wanted = (
            await session.execute(
                select(
                    CampaignRow.desired,
                    CampaignRow.carrier,
                    IncidentRow.content_version,
                    IncidentRow.did,
                )
                .join(IncidentRow, IncidentRow.id == CampaignRow.incident_id)
                .where(CampaignRow.id == campaign)
            )
        ).one_or_none()
        if wanted is None or wanted.desired != Desired.RUNNING:
            return ()
        opened: list[Opened] = []
        for attempted in range(_ROUNDS):
            rows = await _due(
                session,
                store.dialect,
                campaign,
                language=language,
                limit=max(limit - len(opened), min(_MOST_LOOKED_AT, limit * 2**attempted)),
                now=now,
            )
            chosen: list[Opened] = []
            refusing = [row.contact_id for row in rows if row.asked_not]
            if refusing:
                await set_aside(session, campaign, refusing)
            callable_ = [row for row in rows if not row.asked_not]
            reached = [row.contact_id for row in callable_ if row.reached and not again]
            if reached:
                await _done_elsewhere(session, campaign, reached)
            for row in _one_for_each_number([row for row in callable_ if again or not row.reached]):
                if len(opened) + len(chosen) >= limit:
                    break
                candidate = Candidate(
                    row.contact_id, language, row.state, row.postal_code, row.attempts
                )
                until = None if again else row.paused_until
                if until is None:
                    until = held(candidate)
                if until is not None:
                    await _put_off(session, campaign, row.contact_id, until)
                    continue
                attempt = AttemptRow(
                    id=uuid.uuid4().hex,
                    campaign_id=campaign,
                    contact_id=row.contact_id,
                    number=row.attempts + 1,
                    carrier=wanted.carrier,
                    content_version=wanted.content_version,
                    created_at=now,
                )
                session.add(attempt)
                chosen.append(
                    Opened(
                        id=attempt.id,
                        campaign=campaign,
                        contact=row.contact_id,
                        number=attempt.number,
                        language=language,
                        phone=row.phone_enc,
                        did=wanted.did,
                        created_at=now,
                    )
                )
            if chosen:
                await session.flush()
                await _leased(session, campaign, chosen, now + lease_seconds)
                opened += chosen
            if not rows or len(opened) >= limit:
                break
    return tuple(opened)


def _one_for_each_number(rows: Sequence[Any]) -> list[Any]:
    # The others of a household come once this call is over.
    return list({row.phone_hash: row for row in reversed(rows)}.values())[::-1]


async def _leased(
    session: AsyncSession, campaign: str, chosen: Sequence[Opened], until: float
) -> None:
    await session.execute(
        update(CampaignContactRow)
        .where(
            CampaignContactRow.campaign_id == campaign,
            CampaignContactRow.contact_id.in_([item.contact for item in chosen]),
        )
        .values(
            state=ContactState.LEASED.value,
            attempts=CampaignContactRow.attempts + 1,
            lease_until=until,
        )
        .execution_options(synchronize_session=False)
    )


async def _due(
    session: AsyncSession, dialect: str, campaign: str, *, language: str, limit: int, now: float
) -> Sequence[Any]:
    # By contact first: so few are open that nothing of the contacts has to be scanned.
    calling = select(AttemptRow.contact_id).where(AttemptRow.ended_at.is_(None))
    engaged = await session.scalars(
        select(ContactRow.phone_hash).where(ContactRow.id.in_(calling)).distinct()
    )
    # A contact of two campaigns is in one call at a time.
    in_flight = select(AttemptRow.id).where(
        AttemptRow.contact_id == CampaignContactRow.contact_id, AttemptRow.ended_at.is_(None)
    )
    reached = select(AttemptRow.id).where(
        AttemptRow.contact_id == CampaignContactRow.contact_id,
        AttemptRow.campaign_id != campaign,
        AttemptRow.outcome == AttemptOutcome.CONNECTED.value,
    )
    elsewhere = aliased(CampaignContactRow)
    pause = (
        select(func.max(elsewhere.not_before))
        .where(
            elsewhere.contact_id == CampaignContactRow.contact_id,
            elsewhere.campaign_id != campaign,
            elsewhere.last_outcome.is_not(None),
            elsewhere.not_before > now,
        )
        .correlate(CampaignContactRow)
        .scalar_subquery()
    )
    query = (
        select(
            CampaignContactRow.contact_id,
            CampaignContactRow.attempts,
            ContactRow.phone_enc,
            ContactRow.phone_hash,
            ContactRow.state,
            ContactRow.postal_code,
            reached.exists().label("reached"),
            asked_not(ContactRow.phone_hash, ContactRow.incident_id).label("asked_not"),
            pause.label("paused_until"),
        )
        .join(ContactRow, ContactRow.id == CampaignContactRow.contact_id)
        .where(
            CampaignContactRow.campaign_id == campaign,
            CampaignContactRow.state == ContactState.READY,
            CampaignContactRow.not_before <= now,
            ContactRow.language == language,
            ~in_flight.exists(),
            ContactRow.phone_hash.not_in(engaged.all()),
        )
        .order_by(CampaignContactRow.not_before, CampaignContactRow.contact_id)
        .limit(limit)
    )
    if dialect == "postgresql":
        query = query.with_for_update(of=CampaignContactRow, skip_locked=True)
    return (await session.execute(query)).all()


async def _done_elsewhere(session: AsyncSession, campaign: str, contacts: Sequence[int]) -> None:
    await session.execute(
        update(CampaignContactRow)
        .where(
            CampaignContactRow.campaign_id == campaign,
            CampaignContactRow.contact_id.in_(contacts),
        )
        .values(state=ContactState.DONE.value)
        .execution_options(synchronize_session=False)
    )


async def _put_off(session: AsyncSession, campaign: str, contact: int, until: float) -> None:
    await session.execute(
        update(CampaignContactRow)
        .where(CampaignContactRow.campaign_id == campaign, CampaignContactRow.contact_id == contact)
        .values(not_before=until)
        .execution_options(synchronize_session=False)
    )


async def mark(session: AsyncSession, attempt: str, **facts: Any) -> None:
    """Note facts of an attempt that is under way: ``answered_at``, ``connected_at``, ``agent``,
    ``detail``. Those of an ended one stay as they are."""
    await session.execute(
        update(AttemptRow)
        .where(AttemptRow.id == attempt, AttemptRow.ended_at.is_(None))
        .values(**facts)
        .execution_options(synchronize_session=False)
    )


async def finish(session: AsyncSession, attempt: str, ending: Ending, decide: Decide) -> bool:
    """End an attempt and say what becomes of its contact; False when it had ended already.

    Both are written in the caller's transaction. The first ending stays.
    """
    values: dict[str, Any] = {
        "ended_at": ending.at,
        "outcome": ending.outcome.value,
        "detail": ending.detail[:200] or None,
        "cause": ending.cause,
        "agent": func.coalesce(literal(ending.agent), AttemptRow.agent),
        "answered_at": func.coalesce(AttemptRow.answered_at, literal(ending.answered_at)),
        "connected_at": func.coalesce(AttemptRow.connected_at, literal(ending.connected_at)),
    }
    result = await session.execute(
        update(AttemptRow)
        .where(AttemptRow.id == attempt, AttemptRow.ended_at.is_(None))
        .values(**values)
        .execution_options(synchronize_session=False)
    )
    if cast("CursorResult[Any]", result).rowcount == 0:
        return False
    row = (
        await session.execute(
            select(AttemptRow.campaign_id, AttemptRow.contact_id, CampaignContactRow.attempts)
            .join(
                CampaignContactRow,
                and_(
                    CampaignContactRow.campaign_id == AttemptRow.campaign_id,
                    CampaignContactRow.contact_id == AttemptRow.contact_id,
                ),
            )
            .where(AttemptRow.id == attempt)
        )
    ).one()
    same = await session.scalar(
        select(func.count())
        .select_from(AttemptRow)
        .where(
            AttemptRow.contact_id == row.contact_id,
            AttemptRow.campaign_id == row.campaign_id,
            AttemptRow.outcome == ending.outcome.value,
            ~_not_sent(),
        )
    )
    tries = row.attempts if ending.counts else max(0, row.attempts - 1)
    step = decide(tries, same or 0)
    if step.state is ContactState.READY and await contact_asked_not(session, row.contact_id):
        step = NextStep(ContactState.DO_NOT_CALL)
    await session.execute(
        update(CampaignContactRow)
        .where(
            CampaignContactRow.campaign_id == row.campaign_id,
            CampaignContactRow.contact_id == row.contact_id,
        )
        .values(
            state=step.state.value,
            not_before=step.not_before,
            attempts=tries,
            lease_until=None,
            last_outcome=ending.outcome.value,
        )
        .execution_options(synchronize_session=False)
    )
    return True


async def open_attempts(store: Store) -> tuple[OpenAttempt, ...]:
    """Every attempt that has not ended, oldest first."""
    async with store.read() as session:
        rows = await session.execute(
            select(AttemptRow, CampaignRow.incident_id, ContactRow.language)
            .join(CampaignRow, CampaignRow.id == AttemptRow.campaign_id)
            .join(ContactRow, ContactRow.id == AttemptRow.contact_id)
            .where(AttemptRow.ended_at.is_(None))
            .order_by(AttemptRow.created_at)
        )
        return tuple(
            OpenAttempt(
                id=row.id,
                campaign=row.campaign_id,
                incident=incident,
                contact=row.contact_id,
                number=row.number,
                language=language,
                carrier=row.carrier,
                created_at=row.created_at,
                answered_at=row.answered_at,
                connected_at=row.connected_at,
                detail=row.detail,
                agent=row.agent,
            )
            for row, incident, language in rows
        )


async def outcomes(store: Store, campaign: str) -> Mapping[str, int]:
    """Ended attempts that were dialled, by outcome; every outcome is there."""
    found = dict.fromkeys((outcome.value for outcome in AttemptOutcome), 0)
    async with store.read() as session:
        rows = await session.execute(
            select(AttemptRow.outcome, func.count())
            .where(
                AttemptRow.campaign_id == campaign, AttemptRow.outcome.is_not(None), ~_not_sent()
            )
            .group_by(AttemptRow.outcome)
        )
        found.update((row[0] or "", row[1]) for row in rows)
    return found


@dataclass(frozen=True, slots=True)
class Audit:
    """What has to be zero when a campaign has ended, and how much was done.

    ``dialled``: attempts for which Asterisk was asked to dial. ``contacts``: how many people
    that were. ``in_flight``: not ended. ``unexplained``: not ended, or ended without an outcome.
    ``dialled_twice``: contacts with two attempts at once, with an attempt after one that should
    have been the last, sooner than its retry rule allows, or beyond the number of tries.
    """

    dialled: int
    contacts: int
    in_flight: int
    not_sent: int
    unexplained: int
    dialled_twice: int


async def audit(
    store: Store,
    campaign: str,
    *,
    pauses: Mapping[str, float],
    last: Sequence[str],
    max_attempts: int,
    slack: float = 1.0,
) -> Audit:
    """Check a campaign's attempts against its retry rules.

    ``pauses``: seconds after each outcome before the next try; ``last``: outcomes after which
    there is none. Attempts that were never sent are left out: they called nobody.
    """
    order = (AttemptRow.created_at, AttemptRow.number, AttemptRow.id)
    window: dict[str, Any] = {"partition_by": AttemptRow.contact_id, "order_by": order}
    steps = (
        select(
            AttemptRow.contact_id,
            AttemptRow.created_at,
            func.lag(AttemptRow.id).over(**window).label("before"),
            func.lag(AttemptRow.ended_at).over(**window).label("before_ended"),
            func.lag(AttemptRow.outcome).over(**window).label("before_outcome"),
            func.row_number().over(**window).label("place"),
        )
        .where(AttemptRow.campaign_id == campaign, ~_not_sent())
        .subquery()
    )
    known = {name: seconds for name, seconds in pauses.items() if name not in last}
    pause = case(known, value=steps.c.before_outcome, else_=0.0) if known else literal(0.0)
    wrong = or_(
        steps.c.place > max_attempts,
        and_(
            steps.c.before.is_not(None),
            or_(
                steps.c.before_ended.is_(None),
                steps.c.before_outcome.in_(list(last)),
                steps.c.created_at < steps.c.before_ended + pause - slack,
            ),
        ),
    )
    async with store.read() as session:
        twice = await session.scalar(
            select(func.count(func.distinct(steps.c.contact_id))).where(wrong)
        )
        row = (
            await session.execute(
                select(
                    func.count().filter(~_not_sent()),
                    func.count(func.distinct(AttemptRow.contact_id)).filter(~_not_sent()),
                    func.count().filter(AttemptRow.ended_at.is_(None)),
                    func.count().filter(_not_sent()),
                    func.count().filter(
                        or_(AttemptRow.ended_at.is_(None), AttemptRow.outcome.is_(None))
                    ),
                ).where(AttemptRow.campaign_id == campaign)
            )
        ).one()
    return Audit(row[0], row[1], row[2], row[3], row[4], twice or 0)


@dataclass(frozen=True, slots=True)
class Abandonment:
    """Calls answered live since some time, and how many of them were abandoned."""

    live: int
    abandoned: int

    @property
    def ratio(self) -> float:
        return self.abandoned / self.live if self.live else 0.0


async def abandonment(store: Store, campaign: str, since: float) -> Abandonment:
    """Attempts created at ``since`` (Unix seconds) or later."""
    live = AttemptRow.outcome.in_([outcome.value for outcome in LIVE])
    abandoned = AttemptRow.outcome == AttemptOutcome.ABANDONED.value
    async with store.read() as session:
        row = (
            await session.execute(
                select(func.count().filter(live), func.count().filter(abandoned)).where(
                    AttemptRow.campaign_id == campaign, AttemptRow.created_at >= since
                )
            )
        ).one()
    return Abandonment(row[0], row[1])


def _not_sent() -> Any:
    return func.coalesce(AttemptRow.detail, "").like(f"{NOT_SENT}%")
