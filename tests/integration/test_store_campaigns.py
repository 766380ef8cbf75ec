"""Campaigns and attempts in the store: leased once, ended once, counted right."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from sqlalchemy import update

from dialer.retry import RetryRules
from incident.outcomes import AttemptOutcome as Outcome
from incident.store import attempts, campaigns
from incident.store.attempts import NOT_SENT, Ending, NextStep, Opened, lease_and_open
from incident.store.campaigns import Desired
from incident.store.engine import Store
from incident.store.schema import AttemptRow, CampaignContactRow, ContactState
from tests.dialer_world import BOTH, DRAFT, activated, add_contacts, attempts_of, contact_rows

PHONES = [f"+121255501{index:02d}" for index in range(10)]
RULES = RetryRules()


async def made(store: Store, phones: list[str], *, running: bool = True) -> list[int]:
    incident = await activated(store)
    ids = await add_contacts(store, incident, phones)
    await campaigns.create(store, DRAFT, BOTH)
    if running:
        await campaigns.set_desired(store, "notice", Desired.RUNNING, 20.0)
    return ids


async def lease(store: Store, limit: int = 100, now: float = 100.0) -> tuple[Opened, ...]:
    return await lease_and_open(store, "notice", "en", limit, now)


async def end(store: Store, attempt: str, outcome: Outcome, at: float, **more: object) -> bool:
    ending = replace(Ending(outcome, at), **more)  # type: ignore[arg-type]

    def decide(tries: int, same: int) -> NextStep:
        return RULES.next_step(outcome, tries, same, at)

    async with store.write() as session:
        return await attempts.finish(session, attempt, ending, decide)


async def checked(store: Store) -> attempts.Audit:
    return await attempts.audit(
        store, "notice", pauses=RULES.pauses, last=RULES.last, max_attempts=RULES.max_attempts
    )


async def test_only_committed_contacts_in_the_plan_s_languages_come_in(store: Store) -> None:
    incident = await activated(store)
    good = await add_contacts(store, incident, PHONES[:3])
    await add_contacts(store, incident, PHONES[3:5], language="fr")
    await add_contacts(store, incident, PHONES[5:7], committed=False, first=50)
    assert await campaigns.create(store, DRAFT, BOTH) == 3
    assert set(await contact_rows(store)) == set(good)
    later = await add_contacts(store, incident, PHONES[7:9], first=70)
    assert await campaigns.take_in_contacts(store, "notice", BOTH) == 2
    assert await campaigns.take_in_contacts(store, "notice", BOTH) == 0
    assert set(await contact_rows(store)) == {*good, *later}


async def test_contacts_come_in_by_parts(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(campaigns, "_CHUNK", 3)
    assert len(await made(store, PHONES)) == len(PHONES)
    assert (await campaigns.counts(store, "notice"))["ready"] == len(PHONES)


async def test_refusals_say_what_to_do(store: Store) -> None:
    incident = await activated(store)
    with pytest.raises(campaigns.NoContacts, match="contacts import northwind"):
        await campaigns.create(store, DRAFT, BOTH)
    await add_contacts(store, incident, PHONES[:1])
    await campaigns.create(store, DRAFT, BOTH)
    with pytest.raises(campaigns.CampaignExists, match="notice"):
        await campaigns.create(store, DRAFT, BOTH)
    with pytest.raises(campaigns.CampaignUnknown, match="notice"):
        await campaigns.get(store, "nobody")
    with pytest.raises(campaigns.BadCampaign, match="campaign name"):
        await campaigns.create(store, replace(DRAFT, id="No Name"), BOTH)
    await campaigns.set_desired(store, "notice", Desired.STOPPED, 30.0)
    with pytest.raises(campaigns.AlreadyStopped):
        await campaigns.set_desired(store, "notice", Desired.RUNNING, 31.0)


async def test_a_lease_is_a_committed_attempt(store: Store) -> None:
    ids = await made(store, PHONES[:3])
    opened = await lease(store, 2)
    assert [item.contact for item in opened] == ids[:2]
    rows = {row.id: row for row in await attempts_of(store)}
    assert set(rows) == {item.id for item in opened}
    assert all(row.number == 1 and row.carrier == "public" for row in rows.values())
    assert all(len(row.content_version) == 64 for row in rows.values())
    states = await contact_rows(store)
    assert [states[key].state for key in ids] == ["leased", "leased", "ready"]
    assert [item.contact for item in await lease(store)] == ids[2:]
    assert await lease(store) == ()


@pytest.mark.parametrize("desired", [Desired.DRAFT, Desired.PAUSED, Desired.STOPPED])
async def test_nothing_is_leased_that_should_not_run(store: Store, desired: Desired) -> None:
    await made(store, PHONES[:3], running=False)
    await campaigns.set_desired(store, "notice", desired, 30.0)
    assert await lease(store) == ()
    assert await attempts_of(store) == []


async def test_leases_at_once_never_share_a_contact(store: Store) -> None:
    ids = await made(store, PHONES)
    batches = await asyncio.gather(*(lease(store, 3) for _ in range(6)))
    taken = [item.contact for batch in batches for item in batch]
    assert sorted(taken) == sorted(ids)


async def test_two_campaigns_call_a_contact_one_after_the_other(store: Store) -> None:
    await made(store, PHONES[:1])
    await campaigns.create(store, replace(DRAFT, id="second"), BOTH)
    await campaigns.set_desired(store, "second", Desired.RUNNING, 20.0)
    (first,) = await lease(store)
    assert await lease_and_open(store, "second", "en", 5, 100.0) == ()
    assert await lease_and_open(store, "second", "en", 5, 100.0, again=True) == ()
    await end(store, first.id, Outcome.INVALID_NUMBER, 120.0)
    assert len(await lease_and_open(store, "second", "en", 5, 130.0)) == 1


async def second(store: Store, *, again: bool = False) -> int:
    added = await campaigns.create(store, replace(DRAFT, id="second"), BOTH, again=again)
    await campaigns.set_desired(store, "second", Desired.RUNNING, 20.0)
    return added


async def test_whoever_was_reached_is_not_taken_into_another_campaign(store: Store) -> None:
    await made(store, PHONES[:2])
    (first, _) = await lease(store)
    await end(store, first.id, Outcome.CONNECTED, 120.0)
    assert await second(store) == 1
    assert await campaigns.take_in_contacts(store, "second", BOTH) == 0
    assert await campaigns.take_in_contacts(store, "second", BOTH, again=True) == 1


async def test_whoever_is_reached_meanwhile_is_done_in_every_campaign(store: Store) -> None:
    ids = await made(store, PHONES[:3])
    assert await second(store) == 3
    (first,) = await lease(store, 1)
    await end(store, first.id, Outcome.CONNECTED, 120.0)
    (opened,) = await lease_and_open(store, "second", "en", 1, 130.0)
    assert opened.contact == ids[1]
    assert (await campaigns.counts(store, "second"))["done"] == 1


async def test_a_pause_is_kept_by_every_campaign(store: Store) -> None:
    await made(store, PHONES[:1])
    await second(store)
    (first,) = await lease(store)
    await end(store, first.id, Outcome.BUSY, 100.0)
    assert await lease_and_open(store, "second", "en", 1, 130.0) == ()
    assert await lease_and_open(store, "second", "en", 1, 999.0) == ()
    assert len(await lease_and_open(store, "second", "en", 1, 1001.0)) == 1


async def test_people_are_called_again_only_where_that_was_asked_for(store: Store) -> None:
    await made(store, PHONES[:2])
    one, two = await lease(store)
    await end(store, one.id, Outcome.CONNECTED, 100.0)
    await end(store, two.id, Outcome.BUSY, 100.0)
    assert await second(store, again=True) == 2
    assert len(await lease_and_open(store, "second", "en", 5, 130.0, again=True)) == 2


async def test_one_number_is_in_one_call_at_a_time(store: Store) -> None:
    ids = await made(store, [PHONES[0], PHONES[0], PHONES[1]])
    first, other = await lease(store)
    assert [first.contact, other.contact] == [ids[0], ids[2]]
    await end(store, first.id, Outcome.CONNECTED, 120.0)
    assert [item.contact for item in await lease(store, now=130.0)] == [ids[1]]


async def test_a_held_contact_is_put_off_and_not_attempted(store: Store) -> None:
    ids = await made(store, PHONES[:2])
    opened = await lease_and_open(
        store, "notice", "en", 5, 100.0, held=lambda c: 500.0 if c.contact == ids[0] else None
    )
    assert [item.contact for item in opened] == ids[1:]
    row = (await contact_rows(store))[ids[0]]
    assert (row.state, row.not_before, row.attempts) == ("ready", 500.0, 0)
    found = await campaigns.waiting(store, "notice", 100.0)
    assert found == {"en": campaigns.Waiting(0, 1, 500.0)}


async def test_an_attempt_ends_once(store: Store) -> None:
    (contact,) = await made(store, PHONES[:1])
    (opened,) = await lease(store)
    assert await end(store, opened.id, Outcome.BUSY, 110.0, cause=17, detail="busy")
    assert not await end(store, opened.id, Outcome.CONNECTED, 120.0)
    (row,) = await attempts_of(store)
    assert (row.outcome, row.ended_at, row.cause) == ("busy", 110.0, 17)
    state = (await contact_rows(store))[contact]
    assert (state.state, state.not_before) == ("ready", 110.0 + 900)
    assert (state.attempts, state.last_outcome) == (1, "busy")
    assert await lease(store, now=1009.0) == ()
    assert [item.number for item in await lease(store, now=1010.0)] == [2]


async def test_facts_are_kept_and_not_changed_after_the_end(store: Store) -> None:
    await made(store, PHONES[:1])
    (opened,) = await lease(store)
    async with store.write() as session:
        await attempts.mark(session, opened.id, answered_at=105.0, connected_at=106.0, agent="7")
    (known,) = await attempts.open_attempts(store)
    assert (known.answered_at, known.connected_at, known.agent) == (105.0, 106.0, "7")
    assert (known.incident, known.language, known.campaign) == ("northwind", "en", "notice")
    await end(store, opened.id, Outcome.CONNECTED, 130.0, answered_at=999.0)
    async with store.write() as session:
        await attempts.mark(session, opened.id, answered_at=1.0)
    (row,) = await attempts_of(store)
    assert (row.answered_at, row.agent) == (105.0, "7")
    assert await attempts.open_attempts(store) == ()


async def test_what_was_never_sent_is_no_try(store: Store) -> None:
    (contact,) = await made(store, PHONES[:1])
    (opened,) = await lease(store)
    await end(store, opened.id, Outcome.FAILED, 110.0, detail=f"{NOT_SENT}: no link", counts=False)
    assert (await contact_rows(store))[contact].attempts == 0
    (again,) = await lease(store, now=10_000.0)
    assert again.number == 1
    found = await checked(store)
    assert (found.dialled, found.not_sent, found.dialled_twice) == (1, 1, 0)
    assert (await attempts.outcomes(store, "notice"))["failed"] == 0


async def test_unknown_is_tried_once_more_and_then_never(store: Store) -> None:
    (contact,) = await made(store, PHONES[:1])
    for now in (100.0, 20_000.0):
        (opened,) = await lease(store, now=now)
        await end(store, opened.id, Outcome.UNKNOWN, now + 10)
    assert (await contact_rows(store))[contact].state == ContactState.EXHAUSTED
    assert (await checked(store)).dialled_twice == 0


async def test_the_audit_counts_what_is_open_and_unexplained(store: Store) -> None:
    await made(store, PHONES[:4])
    first, second, third, _ = await lease(store)
    await end(store, first.id, Outcome.CONNECTED, 130.0)
    await end(store, second.id, Outcome.INVALID_NUMBER, 130.0)
    async with store.write() as session:
        await session.execute(
            update(AttemptRow).where(AttemptRow.id == third.id).values(ended_at=140.0)
        )
    found = await checked(store)
    assert (found.dialled, found.contacts, found.in_flight) == (4, 4, 1)
    assert (found.unexplained, found.dialled_twice) == (2, 0)
    assert (await attempts.outcomes(store, "notice"))["connected"] == 1


@pytest.mark.parametrize(
    ("first", "ended", "again"),
    [
        ("busy", 110.0, 300.0),  # sooner than its rule
        ("connected", 110.0, 90_000.0),  # after the last
        ("unknown", 110.0, 10_000.0),
        ("busy", 400.0, 300.0),  # while the other went on
    ],
)
async def test_the_audit_finds_who_was_called_twice(
    store: Store, first: str, ended: float, again: float
) -> None:
    contacts = await made(store, PHONES[:2])
    async with store.write() as session:
        for number, at, over, outcome in ((1, 100.0, ended, first), (2, again, again + 9, "busy")):
            session.add(
                AttemptRow(
                    id=f"a{number}",
                    campaign_id="notice",
                    contact_id=contacts[0],
                    number=number,
                    carrier="public",
                    content_version="",
                    created_at=at,
                    ended_at=over,
                    outcome=outcome,
                )
            )
            await session.flush()
    assert (await checked(store)).dialled_twice == 1


async def test_the_abandonment_of_a_window(store: Store) -> None:
    await made(store, PHONES[:6])
    outcomes = [
        Outcome.CONNECTED,
        Outcome.ABANDONED,
        Outcome.LIVE_ANSWERED,
        Outcome.MACHINE,
        Outcome.BUSY,
        Outcome.CONNECTED,
    ]
    for opened, outcome in zip(await lease(store), outcomes, strict=True):
        await end(store, opened.id, outcome, 130.0)
    found = await attempts.abandonment(store, "notice", 0.0)
    assert (found.live, found.abandoned, found.ratio) == (4, 1, 0.25)
    assert (await attempts.abandonment(store, "notice", 101.0)).ratio == 0.0


async def test_ceilings(store: Store) -> None:
    await made(store, PHONES[:1])
    changed = await campaigns.set_ceilings(store, "notice", 40.0, max_lines=3)
    assert (changed.max_lines, changed.calls_per_second) == (3, 5.0)
    with pytest.raises(campaigns.BadCampaign):
        await campaigns.set_ceilings(store, "notice", 40.0, calls_per_second=0)
    assert [item.id for item in await campaigns.list_all(store)] == ["notice"]


async def test_a_lease_without_an_attempt_is_set_free(store: Store) -> None:
    first, second = await made(store, PHONES[:2])
    (opened,) = await lease(store, 1)
    assert opened.contact == first
    async with store.write() as session:
        await session.execute(
            update(CampaignContactRow)
            .where(CampaignContactRow.contact_id == second)
            .values(state="leased")
        )
    assert await campaigns.settle_orphans(store, "notice") == 1
    states = await contact_rows(store)
    assert (states[first].state, states[second].state) == ("leased", "ready")
