"""Campaigns: what an operator wants, and which contacts belong to it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, cast

from sqlalchemy import CursorResult, case, func, insert, literal, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from incident.outcomes import AttemptOutcome
from incident.store.do_not_call import asked_not
from incident.store.engine import Store, StoreError
from incident.store.schema import (
    AttemptRow,
    CampaignContactRow,
    CampaignRow,
    ContactRow,
    ContactState,
    ImportRow,
    IncidentRow,
)

_SLUG = re.compile(r"[a-z][a-z0-9-]{0,31}")
_CHUNK = 50_000
"""Contacts taken into a campaign per transaction: other writers come in between."""


class Desired(StrEnum):
    """What a campaign should do. ``stopped`` is for good."""

    DRAFT = "draft"
    RUNNING = "running"
    PAUSED = "paused"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Campaign:
    """``max_lines``: the operator's ceiling of calls at once; ``calls_per_second``: how fast they
    are placed; ``ring_seconds``: how long a telephone rings. ``retry_rules`` and
    ``calling_hours``: JSON that the dialer reads. Times: Unix seconds."""

    id: str
    incident: str
    carrier: str
    mode: str
    desired: Desired
    max_lines: int
    calls_per_second: float
    ring_seconds: int
    retry_rules: str
    calling_hours: str
    created_at: float
    changed_at: float


class CampaignUnknown(StoreError):
    """No campaign has this id; ``known``: those there are."""

    def __init__(self, campaign: str, known: tuple[str, ...]) -> None:
        self.campaign = campaign
        self.known = known
        there = ", ".join(known) if known else "none; run: breachline campaign create"
        super().__init__(f"there is no campaign {campaign!r} (there are: {there})")


class CampaignExists(StoreError):
    """The id is taken."""

    def __init__(self, campaign: str) -> None:
        self.campaign = campaign
        super().__init__(f"campaign {campaign!r} exists already; choose another name")


class AlreadyStopped(StoreError):
    """A stopped campaign stays stopped."""

    def __init__(self, campaign: str) -> None:
        self.campaign = campaign
        super().__init__(
            f"campaign {campaign!r} was stopped for good; create a new one for who is left"
        )


class NoContacts(StoreError):
    """The incident has no imported contact that this campaign could call."""

    def __init__(self, incident: str, languages: tuple[str, ...]) -> None:
        self.incident = incident
        self.languages = languages
        super().__init__(
            f"incident {incident!r} has no imported contact in {', '.join(languages)} who was not "
            f"reached yet; run: breachline contacts import {incident} FILE.csv"
        )


class BadCampaign(StoreError):
    """What was asked for is no campaign; the message says which part and why."""


async def create(
    store: Store, campaign: Campaign, languages: tuple[str, ...], *, again: bool = False
) -> int:
    """Write a draft and take in the incident's contacts in ``languages``; returns their number.
    ``again``: see ``take_in_contacts``.

    Contacts come in by parts, each its own transaction. After a crash in the middle the draft
    is there with some of them; ``take_in_contacts``, which every start does, brings the rest.

    Raises BadCampaign, CampaignExists, NoContacts.
    """
    if not _SLUG.fullmatch(campaign.id):
        raise BadCampaign(
            f"{campaign.id!r} is no campaign name: small letters, digits and dashes, 32 at most"
        )
    if campaign.max_lines < 1 or not 0 < campaign.calls_per_second <= 1000:
        raise BadCampaign("a campaign needs at least one line, and 0 to 1000 calls per second")
    if not 1 <= campaign.ring_seconds <= 120:
        raise BadCampaign("ring time: 1 to 120 seconds")
    async with store.write() as session:
        if await session.get(IncidentRow, campaign.incident) is None:
            raise BadCampaign(f"there is no incident {campaign.incident!r}")
        if await session.get(CampaignRow, campaign.id) is not None:
            raise CampaignExists(campaign.id)
        if not await _any_contact(session, campaign.incident, languages):
            raise NoContacts(campaign.incident, languages)
        session.add(
            CampaignRow(
                id=campaign.id,
                incident_id=campaign.incident,
                carrier=campaign.carrier,
                mode=campaign.mode,
                desired=campaign.desired.value,
                max_lines=campaign.max_lines,
                calls_per_second=campaign.calls_per_second,
                ring_seconds=campaign.ring_seconds,
                retry_rules=campaign.retry_rules,
                calling_hours=campaign.calling_hours,
                created_at=campaign.created_at,
                changed_at=campaign.changed_at,
            )
        )
    return await take_in_contacts(store, campaign.id, languages, again=again)


async def take_in_contacts(
    store: Store, campaign: str, languages: Iterable[str], *, again: bool = False
) -> int:
    """Add the incident's committed contacts that the campaign does not have; returns how many.

    Whoever any campaign has reached is left out, unless they are to be called ``again``. Whose
    number asked not to be called comes in as such, and is never called.
    """
    spoken = tuple(languages)
    row = await get(store, campaign)
    added = last = 0
    while True:
        async with store.write() as session:
            upper = await session.scalar(
                select(
                    func.max(
                        select(ContactRow.id)
                        .where(ContactRow.id > last)
                        .order_by(ContactRow.id)
                        .limit(_CHUNK)
                        .subquery()
                        .c.id
                    )
                )
            )
            if upper is None:
                return added
            has = select(CampaignContactRow.contact_id).where(
                CampaignContactRow.campaign_id == campaign,
                CampaignContactRow.contact_id == ContactRow.id,
            )
            reached = select(AttemptRow.id).where(
                AttemptRow.contact_id == ContactRow.id,
                AttemptRow.outcome == AttemptOutcome.CONNECTED.value,
            )
            chosen = (
                select(
                    literal(campaign),
                    ContactRow.id,
                    case(
                        (
                            asked_not(ContactRow.phone_hash, ContactRow.incident_id),
                            ContactState.DO_NOT_CALL.value,
                        ),
                        else_=ContactState.READY.value,
                    ),
                    literal(0),
                    literal(0.0),
                )
                .join(ImportRow, ImportRow.id == ContactRow.import_id)
                .where(
                    ContactRow.id > last,
                    ContactRow.id <= upper,
                    ContactRow.incident_id == row.incident,
                    ContactRow.language.in_(spoken),
                    ImportRow.committed_at.is_not(None),
                    ~has.exists(),
                    *(() if again else (~reached.exists(),)),
                )
            )
            columns = ["campaign_id", "contact_id", "state", "attempts", "not_before"]
            result = await session.execute(
                insert(CampaignContactRow).from_select(columns, chosen),
                execution_options={"preserve_rowcount": True},
            )
            added += cast("CursorResult[Any]", result).rowcount
            last = upper


async def _any_contact(session: AsyncSession, incident: str, languages: tuple[str, ...]) -> bool:
    found = await session.scalar(
        select(ContactRow.id)
        .join(ImportRow, ImportRow.id == ContactRow.import_id)
        .where(
            ContactRow.incident_id == incident,
            ContactRow.language.in_(languages),
            ImportRow.committed_at.is_not(None),
        )
        .limit(1)
    )
    return found is not None


async def get(store: Store, campaign: str) -> Campaign:
    """Raises CampaignUnknown, which names the others."""
    async with store.read() as session:
        return _campaign(await _row(session, campaign))


async def list_all(store: Store) -> tuple[Campaign, ...]:
    """Every campaign, by id."""
    async with store.read() as session:
        rows = await session.scalars(select(CampaignRow).order_by(CampaignRow.id))
        return tuple(_campaign(row) for row in rows)


async def set_desired(store: Store, campaign: str, desired: Desired, now: float) -> Campaign:
    """Say what the campaign should do; the dialer converges on it.

    Raises CampaignUnknown, AlreadyStopped.
    """
    async with store.write() as session:
        row = await _row(session, campaign)
        if row.desired == Desired.STOPPED and desired is not Desired.STOPPED:
            raise AlreadyStopped(campaign)
        if row.desired != desired:
            row.desired = desired.value
            row.changed_at = now
        return _campaign(row)


async def set_ceilings(
    store: Store,
    campaign: str,
    now: float,
    *,
    max_lines: int | None = None,
    calls_per_second: float | None = None,
) -> Campaign:
    """Change the operator's ceilings; a running campaign follows within a second.

    Raises CampaignUnknown, BadCampaign.
    """
    if max_lines is not None and max_lines < 0:
        raise BadCampaign("lines: 0 or more")
    if calls_per_second is not None and not 0 < calls_per_second <= 1000:
        raise BadCampaign("calls per second: above 0, at most 1000")
    async with store.write() as session:
        row = await _row(session, campaign)
        row.max_lines = row.max_lines if max_lines is None else max_lines
        if calls_per_second is not None:
            row.calls_per_second = calls_per_second
        row.changed_at = now
        return _campaign(row)


async def counts(store: Store, campaign: str) -> Mapping[str, int]:
    """Contacts of a campaign by state; every state is there."""
    found = dict.fromkeys((state.value for state in ContactState), 0)
    async with store.read() as session:
        rows = await session.execute(
            select(CampaignContactRow.state, func.count())
            .where(CampaignContactRow.campaign_id == campaign)
            .group_by(CampaignContactRow.state)
        )
        found.update((row[0], row[1]) for row in rows)
    return found


@dataclass(frozen=True, slots=True)
class Waiting:
    """Contacts that may still be called: ``due`` now, ``later`` at ``next_at`` (Unix seconds)."""

    due: int
    later: int
    next_at: float | None


async def waiting(store: Store, campaign: str, now: float) -> Mapping[str, Waiting]:
    """By language: who is ready now, and who later."""
    due = CampaignContactRow.not_before <= now
    async with store.read() as session:
        rows = await session.execute(
            select(
                ContactRow.language,
                func.count().filter(due),
                func.count().filter(~due),
                func.min(CampaignContactRow.not_before).filter(~due),
            )
            .join(ContactRow, ContactRow.id == CampaignContactRow.contact_id)
            .where(
                CampaignContactRow.campaign_id == campaign,
                CampaignContactRow.state == ContactState.READY,
            )
            .group_by(ContactRow.language)
        )
        return {row[0]: Waiting(row[1], row[2], row[3]) for row in rows}


async def _row(session: AsyncSession, campaign: str) -> CampaignRow:
    row = await session.get(CampaignRow, campaign)
    if row is None:
        known = await session.scalars(select(CampaignRow.id).order_by(CampaignRow.id))
        raise CampaignUnknown(campaign, tuple(known))
    return row


def _campaign(row: CampaignRow) -> Campaign:
    return Campaign(
        id=row.id,
        incident=row.incident_id,
        carrier=row.carrier,
        mode=row.mode,
        desired=Desired(row.desired),
        max_lines=row.max_lines,
        calls_per_second=row.calls_per_second,
        ring_seconds=row.ring_seconds,
        retry_rules=row.retry_rules,
        calling_hours=row.calling_hours,
        created_at=row.created_at,
        changed_at=row.changed_at,
    )


async def settle_orphans(store: Store, campaign: str) -> int:
    """Make leased contacts ready again that have no open attempt; returns how many.

    Lease and attempt are written in one transaction, so there should be none: this is a guard
    against a database that was restored or edited by hand.
    """
    attempt = select(AttemptRow.id).where(
        AttemptRow.contact_id == CampaignContactRow.contact_id,
        AttemptRow.campaign_id == campaign,
        AttemptRow.ended_at.is_(None),
    )
    async with store.write() as session:
        result = await session.execute(
            update(CampaignContactRow)
            .where(
                CampaignContactRow.campaign_id == campaign,
                CampaignContactRow.state == ContactState.LEASED,
                ~attempt.exists(),
            )
            .values(state=ContactState.READY.value, lease_until=None)
            .execution_options(synchronize_session=False)
        )
        return cast("CursorResult[Any]", result).rowcount
