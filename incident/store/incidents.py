"""Activated incidents: the plan in force, its content version, and the incident's key."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from dataclasses import dataclass
from typing import Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from incident.content import Text, content_version, spoken_texts
from incident.plan import Plan, PlanError, parse_plan
from incident.privacy import IncidentKey
from incident.store.engine import Store, StoreError
from incident.store.schema import ContentRow, IncidentRow

log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ActiveIncident:
    """An incident whose number is answered. ``did``: E.164."""

    id: str
    did: str
    plan: Plan
    content_version: str
    key: IncidentKey


class DidTaken(StoreError):
    """Another incident answers this number already."""

    def __init__(self, did: str, incident: str) -> None:
        self.did = did
        self.incident = incident
        super().__init__(
            f"{did} belongs to incident {incident!r}; two incidents cannot answer one number"
        )


class UnknownIncident(StoreError):
    """No active incident has this id; ``known``: those there are."""

    def __init__(self, incident: str, known: tuple[str, ...]) -> None:
        self.incident = incident
        self.known = known
        there = ", ".join(known) if known else "none; run: breachline incident activate PLAN"
        super().__init__(f"no incident {incident!r} is active (active: {there})")


async def activate(store: Store, plan: Plan, plan_text: str, now: float) -> ActiveIncident:
    """Put a plan in force: a new incident, or a new version of one that there is.

    An incident keeps its key and its contacts. The texts of each content version stay for
    good: they prove what a call heard. ``now``: Unix seconds.

    Raises DidTaken when another incident has the plan's number.
    """
    texts = spoken_texts(plan)
    version = content_version(texts)
    async with store.write() as session:
        taken = await session.scalar(
            select(IncidentRow.id).where(
                IncidentRow.did == plan.did, IncidentRow.id != plan.incident
            )
        )
        if taken is not None:
            raise DidTaken(plan.did, taken)
        row = await session.get(IncidentRow, plan.incident)
        if row is None:
            row = IncidentRow(id=plan.incident, key_wrapped=store.keyring.new_incident_key())
            session.add(row)
        key = store.keyring.incident_key(row.key_wrapped)
        row.name = plan.organisation.name
        row.did = plan.did
        row.plan_text = plan_text
        row.plan_hash = hashlib.sha256(plan_text.encode()).hexdigest()
        row.content_version = version
        row.activated_at = now
        row.active = True
        await session.flush()
        await _keep_contents(session, plan.incident, version, texts, now)
    return ActiveIncident(plan.incident, plan.did, plan, version, key)


async def _keep_contents(
    session: AsyncSession, incident: str, version: str, texts: tuple[Text, ...], now: float
) -> None:
    kept = await session.scalar(
        select(ContentRow.version)
        .where(ContentRow.incident_id == incident, ContentRow.version == version)
        .limit(1)
    )
    if kept is not None:
        return
    session.add_all(
        ContentRow(
            incident_id=incident,
            version=version,
            name=text.name,
            language=text.language,
            hash=text.hash,
            text=text.text,
            created_at=now,
        )
        for text in texts
    )


async def deactivate(store: Store, incident: str) -> None:
    """Take an incident out of force; its records stay. Raises UnknownIncident."""
    async with store.write() as session:
        row = await session.get(IncidentRow, incident)
        if row is None or not row.active:
            raise UnknownIncident(incident, await _known(session))
        row.active = False


async def active_incidents(store: Store) -> tuple[ActiveIncident, ...]:
    """All incidents in force, by id. Raises NotOurs when another home's key wrapped one's.

    One whose plan is no longer accepted (rules have become stricter since it was activated) is left
    out and told of in the log: it must not take the others off the air.
    """
    async with store.read() as session:
        rows = (
            await session.scalars(
                select(IncidentRow).where(IncidentRow.active).order_by(IncidentRow.id)
            )
        ).all()
    found = []
    for row in rows:
        try:
            found.append(await _loaded(store, row))
        except PlanError as error:
            problem = f"activate a mended plan: {error}"
            log.error("incident %s is off the air; %s", row.id, problem)  # noqa: TRY400 - no trace
    return tuple(found)


async def active_incident(store: Store, incident: str) -> ActiveIncident:
    """The incident in force with this id. Raises UnknownIncident, which names the others."""
    async with store.read() as session:
        row = await session.get(IncidentRow, incident)
        if row is None or not row.active:
            raise UnknownIncident(incident, await _known(session))
    return await _loaded(store, row)


async def _known(session: AsyncSession) -> tuple[str, ...]:
    return tuple(
        await session.scalars(
            select(IncidentRow.id).where(IncidentRow.active).order_by(IncidentRow.id)
        )
    )


async def _loaded(store: Store, row: IncidentRow) -> ActiveIncident:
    key = store.keyring.incident_key(row.key_wrapped)
    # A plan is long: parsing it would hold up the calls that this process serves.
    plan = await asyncio.to_thread(parse_plan, row.plan_text, f"incident {row.id} in the store")
    return ActiveIncident(row.id, row.did, plan, row.content_version, key)
