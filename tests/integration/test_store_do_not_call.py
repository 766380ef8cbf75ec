"""Whoever asked not to be called is not: not leased, not tried again, kept for ever, explained."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

import pytest

from dialer import control
from dialer.eligibility import CallingHours
from dialer.retry import RetryRules
from incident.home import Home
from incident.outcomes import AttemptOutcome as Outcome
from incident.privacy import IncidentKey
from incident.store import attempts, campaigns
from incident.store.attempts import NOT_SENT, Ending, NextStep, Opened, lease_and_open
from incident.store.callbacks import request, save_callbacks
from incident.store.campaigns import Desired
from incident.store.do_not_call import Stopped, contact_asked_not, stop_calls
from incident.store.engine import Store
from incident.store.schema import CampaignContactRow, ContactState
from tests.dialer_world import BOTH, DRAFT, activated, add_contacts, contact_rows

PHONES = [f"+121255501{index:02d}" for index in range(4)]
RULES = RetryRules()
CAMPAIGN = replace(DRAFT, calling_hours=CallingHours.parse("00:00-24:00 UTC").to_json())


async def made(store: Store) -> tuple[IncidentKey, list[int]]:
    """Four people; the last has the third's telephone."""
    incident = await activated(store)
    ids = await add_contacts(store, incident, [*PHONES[:3], PHONES[2]])
    await campaigns.create(store, CAMPAIGN, BOTH)
    await campaigns.set_desired(store, "notice", Desired.RUNNING, 20.0)
    return incident.key, ids


async def stop(store: Store, key: IncidentKey, phone: str) -> Stopped:
    return await stop_calls(
        store, "northwind", key.lookup_hash(phone), source="hotline", call="1.1", now=50.0
    )


async def lease(store: Store, campaign: str = "notice", **more: bool) -> tuple[Opened, ...]:
    return await lease_and_open(store, campaign, "en", 100, 100.0, **more)  # type: ignore[arg-type]


async def states(store: Store) -> list[str]:
    return [row.state for _, row in sorted((await contact_rows(store)).items())]


async def test_a_number_is_not_leased_from_the_moment_it_asked(store: Store) -> None:
    key, ids = await made(store)
    stopped = await stop(store, key, PHONES[2])
    assert (stopped.new, stopped.contacts, stopped.places) == (True, 2, ())
    assert await states(store) == ["ready", "ready", "do_not_call", "do_not_call"]
    assert [item.contact for item in await lease(store)] == ids[:2]


async def test_asking_twice_changes_nothing(store: Store) -> None:
    key, _ = await made(store)
    await stop(store, key, PHONES[0])
    again = await stop(store, key, PHONES[0])
    assert (again.new, again.contacts) == (False, 0)
    assert (await states(store)).count("do_not_call") == 1


async def test_many_at_once_are_one(store: Store) -> None:
    key, _ = await made(store)
    found = await asyncio.gather(*(stop(store, key, PHONES[1]) for _ in range(5)))
    assert sum(each.new for each in found) == 1


async def test_it_holds_in_every_campaign_also_of_later_and_for_people_called_again(
    store: Store,
) -> None:
    key, ids = await made(store)
    await stop(store, key, PHONES[0])
    await campaigns.create(store, replace(CAMPAIGN, id="second"), BOTH, again=True)
    await campaigns.set_desired(store, "second", Desired.RUNNING, 30.0)
    assert (await campaigns.counts(store, "second"))["do_not_call"] == 1
    assert ids[0] not in [item.contact for item in await lease(store, "second", again=True)]


async def test_a_contact_that_came_in_at_the_same_moment_is_found_by_the_lease(
    store: Store,
) -> None:
    key, ids = await made(store)
    await stop(store, key, PHONES[0])
    async with store.write() as session:
        row = await session.get(CampaignContactRow, ("notice", ids[0]))
        assert row is not None
        row.state = ContactState.READY.value
    assert ids[0] not in [item.contact for item in await lease(store)]
    assert (await states(store))[0] == "do_not_call"


@pytest.mark.parametrize("outcome", [Outcome.BUSY, Outcome.FAILED, Outcome.ABANDONED])
async def test_a_call_that_was_under_way_is_the_last(store: Store, outcome: Outcome) -> None:
    key, ids = await made(store)
    opened = next(item for item in await lease(store) if item.contact == ids[0])
    await stop(store, key, PHONES[0])
    assert (await states(store))[0] == "leased"
    async with store.read() as session:
        assert await contact_asked_not(session, ids[0])
        assert not await contact_asked_not(session, ids[1])
    detail = f"{NOT_SENT}: asked not to be called" if outcome is Outcome.FAILED else ""

    def decide(tries: int, same: int) -> NextStep:
        return RULES.next_step(outcome, tries, same, 110.0)

    async with store.write() as session:
        assert await attempts.finish(session, opened.id, Ending(outcome, 110.0, detail), decide)
    assert (await states(store))[0] == "do_not_call"


async def test_who_was_reached_stays_reached(store: Store) -> None:
    key, ids = await made(store)
    opened = next(item for item in await lease(store) if item.contact == ids[0])
    await stop(store, key, PHONES[0])
    async with store.write() as session:
        ending = Ending(Outcome.CONNECTED, 110.0)
        await attempts.finish(session, opened.id, ending, lambda *_: NextStep(ContactState.DONE))
    assert (await states(store))[0] == "done"


async def test_an_open_call_back_to_the_number_is_cancelled(store: Store) -> None:
    key, _ = await made(store)
    wanted = [
        request(
            key,
            incident="northwind",
            language="en",
            e164=phone,
            source="menu",
            source_key=phone,
            call=None,
            now=40.0,
        )
        for phone in PHONES[:2]
    ]
    async with store.write() as session:
        await save_callbacks(session, store.dialect, wanted)
    assert (await stop(store, key, PHONES[0])).places == (wanted[0].token,)


async def test_other_numbers_are_still_called(store: Store) -> None:
    key, ids = await made(store)
    await stop(store, key, "+12125550199")
    assert {item.contact for item in await lease(store)} == set(ids[:3])


async def test_a_campaign_says_how_many_asked(store: Store, home: Home) -> None:
    key, _ = await made(store)
    before = "\n".join(await control.explain(store, home, "notice", now=time.time()))
    assert "asked not" not in before
    await stop(store, key, PHONES[2])
    after = "\n".join(await control.explain(store, home, "notice", now=time.time()))
    assert "2 asked not to be called." in after
    status = await control.status(store, "notice")
    assert status.contacts["do_not_call"] == 2
    await stop(store, key, PHONES[0])
    await stop(store, key, PHONES[1])
    assert (await control.status(store, "notice")).finished
