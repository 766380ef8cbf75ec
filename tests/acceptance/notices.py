"""Campaigns of the acceptance tests: lists with chosen behaviours, and what became of them."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import select

from dialer.control import create_campaign, start, status
from dialer.retry import RetryRules
from drill.people import LINES, Behaviour, Person, behaviour, write_csv
from incident.contacts import import_contacts
from incident.store.attempts import open_attempts
from incident.store.campaigns import waiting
from incident.store.schema import AttemptRow, CampaignContactRow, ContactRow
from tests.acceptance.system import System
from tests.running import eventually


def listed(wanted: Mapping[Behaviour, int], *, area: int, first: int) -> list[Person]:
    """People of chosen behaviours. Each test has an area code and reference numbers (from
    ``first`` on) of its own, so that a number is called by one campaign alone."""
    people: list[Person] = []
    for kind, number in wanted.items():
        lines = list(LINES[kind])[:number]
        assert len(lines) == number, f"an area has {len(lines)} numbers of {kind}"
        people += [
            Person(f"{first + line}", f"+1{area}55501{line:02d}", "NY", "10001", "en", ("contact",))
            for line in lines
        ]
    return people


@dataclass(frozen=True, slots=True)
class Tried:
    """One attempt beside the person whom it was for."""

    phone: str
    behaviour: Behaviour
    attempt: AttemptRow
    contact: CampaignContactRow


async def run_campaign(
    system: System,
    incident: str,
    people: Sequence[Person],
    *,
    max_lines: int = 20,
    ring_seconds: int = 15,
    retry_rules: RetryRules | None = None,
) -> str:
    """Import a list, and start a campaign of the incident's name on it."""
    file = system.stage.home.root.parent / f"{incident}.csv"
    write_csv(file, people)
    store = system.stage.store
    report = await import_contacts(
        store, await system.stage.incident(incident), file, now=time.time()
    )
    assert (report.added, report.rejected) == (len(people), 0)
    await create_campaign(
        store,
        system.stage.settings,
        incident,
        incident,
        carrier="public",
        max_lines=max_lines,
        calls_per_second=5.0,
        ring_seconds=ring_seconds,
        retry_rules=retry_rules,
        calling_hours="00:00-24:00 UTC",
    )
    await start(store, incident)
    return incident


async def dialled_through(system: System, campaign: str, patience: float = 120) -> None:
    """Wait until nobody is due now and no attempt is open."""
    store = system.stage.store

    async def through() -> bool:
        if [each for each in await open_attempts(store) if each.campaign == campaign]:
            return False
        left = await waiting(store, campaign, time.time())
        return not any(each.due for each in left.values())

    await eventually(through, patience=patience)


async def tried(system: System, campaign: str) -> list[Tried]:
    """Every attempt of a campaign, oldest first."""
    key = (await system.stage.incident(campaign)).key
    query = (
        select(AttemptRow, CampaignContactRow, ContactRow.phone_enc)
        .join(ContactRow, ContactRow.id == AttemptRow.contact_id)
        .join(
            CampaignContactRow,
            (CampaignContactRow.contact_id == AttemptRow.contact_id)
            & (CampaignContactRow.campaign_id == AttemptRow.campaign_id),
        )
        .where(AttemptRow.campaign_id == campaign)
        .order_by(AttemptRow.created_at)
    )
    async with system.stage.store.read() as session:
        rows = (await session.execute(query)).all()
    found = []
    for attempt, contact, sealed in rows:
        phone = key.decrypt(sealed)
        found.append(Tried(phone, behaviour(phone), attempt, contact))
    return found


async def books_are_clean(system: System, campaign: str) -> None:
    """Every attempt ended in one outcome, and nobody was dialled twice: by the store's own
    audit, and by the public network, which counts every call that reached it."""
    now = (await status(system.stage.store, campaign)).audit
    assert (now.in_flight, now.unexplained, now.dialled_twice) == (0, 0, 0)
    sent: dict[str, int] = {}
    for each in await tried(system, campaign):
        assert each.attempt.outcome is not None
        assert each.attempt.ended_at is not None
        sent[each.phone] = sent.get(each.phone, 0) + 1
    for phone, number in sent.items():
        assert system.dialled[phone] <= number


def most_at_once(attempts: Sequence[AttemptRow]) -> int:
    """The most attempts that were open at one moment."""
    steps = [(row.created_at, 1) for row in attempts]
    steps += [(row.ended_at, -1) for row in attempts if row.ended_at is not None]
    open_now = most = 0
    for _, step in sorted(steps):
        open_now += step
        most = max(most, open_now)
    return most
