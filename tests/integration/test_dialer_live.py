"""The dialer process on a real Asterisk: each outcome, kills, lost links; nobody called twice."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from dialer import control
from dialer.retry import RetryRules, Rule
from incident.store.schema import AttemptRow
from pbx.ami import AmiClient
from tests.dialer_world import World, attempts_of, contact_rows, eventually, world

FIRST = "+12125550101"
SECOND = "+12125550102"


@pytest_asyncio.fixture
async def town(tmp_path: Path) -> AsyncIterator[World]:
    async with world(tmp_path / "home") as made:
        yield made


def outcome(row: AttemptRow) -> str:
    assert row.outcome is not None
    return row.outcome


async def audited(town: World) -> control.CampaignStatus:
    status = await control.status(town.store, "notice")
    assert status.audit.dialled_twice == 0
    return status


REFUSALS = {
    486: ("busy", "ready"),
    600: ("busy", "ready"),
    480: ("no_answer", "ready"),
    408: ("no_answer", "ready"),
    404: ("invalid_number", "exhausted"),
    484: ("invalid_number", "exhausted"),
    410: ("invalid_number", "exhausted"),
    503: ("congestion", "ready"),
    500: ("congestion", "ready"),
    603: ("failed", "ready"),
    403: ("failed", "ready"),
    488: ("failed", "ready"),
}


async def test_every_refusal_of_the_network_has_its_outcome(town: World) -> None:
    codes = {f"+121255501{index:02d}": code for index, code in enumerate(REFUSALS, start=1)}
    contacts = dict(zip(await town.campaign(list(codes)), codes.values(), strict=True))
    await town.sign_in()
    await town.start_dialer()
    for _ in codes:
        call = await town.rings()
        call.reply(codes[call.number])
    rows = await town.ended(len(codes))
    assert {contacts[row.contact_id]: outcome(row) for row in rows} == {
        code: expected for code, (expected, _) in REFUSALS.items()
    }
    states = {contacts[key]: row.state for key, row in (await contact_rows(town.store)).items()}
    assert states == {code: state for code, (_, state) in REFUSALS.items()}
    assert all(str(contacts[row.contact_id]) in (row.detail or "") for row in rows)
    status = await audited(town)
    assert (status.audit.dialled, status.audit.unexplained) == (len(codes), 0)
    assert await town.stop_dialer() == 0
    assert "5550" not in town.log()


async def test_a_telephone_that_only_rings_is_no_answer_and_waits_its_time(town: World) -> None:
    await town.campaign([FIRST], ring_seconds=2)
    await town.sign_in()
    await town.start_dialer()
    call = await town.rings()
    (row,) = await town.ended(1)
    assert (outcome(row), call.cancelled) == ("no_answer", True)
    assert row.ended_at is not None
    (contact,) = (await contact_rows(town.store)).values()
    assert contact.not_before == pytest.approx(row.ended_at + 3 * 3600, abs=1)


async def test_a_live_answer_meets_an_agent(town: World) -> None:
    await town.campaign([FIRST])
    await town.sign_in()
    await town.start_dialer()
    call = await town.rings()
    call.answer()
    offer = await town.offered()
    await town.noted("connected_at")
    assert offer.header("X-Breachline-Attempt") == (await attempts_of(town.store))[0].id
    offer.hang_up()
    await call.over()
    (row,) = await town.ended(1)
    assert (outcome(row), row.agent) == ("connected", "1001")
    assert row.answered_at is not None and row.connected_at is not None
    (contact,) = (await contact_rows(town.store)).values()
    assert (contact.state, contact.attempts) == ("done", 1)
    status = await control.status(town.store, "notice")
    assert status.finished


async def test_no_agent_in_time_is_abandoned_with_the_apology(town: World) -> None:
    town.auto_answer[0] = False
    await town.campaign([FIRST])
    await town.sign_in()
    await town.start_dialer()
    call = await town.rings()
    call.answer()
    await town.offered()
    await call.over()
    (row,) = await town.ended(1)
    assert outcome(row) == "abandoned"
    status = await control.status(town.store, "notice")
    assert (status.abandonment.live, status.abandonment.abandoned) == (1, 1)


async def test_hanging_up_before_an_agent_is_live_answered(town: World) -> None:
    town.auto_answer[0] = False
    await town.campaign([FIRST])
    await town.sign_in()
    await town.start_dialer()
    call = await town.rings()
    call.answer()
    await town.offered()
    call.hang_up()
    (row,) = await town.ended(1)
    assert outcome(row) == "live_answered"


async def test_an_agents_key_makes_it_a_machine(town: World) -> None:
    await town.campaign([FIRST])
    await town.sign_in()
    await town.start_dialer()
    call = await town.rings()
    call.answer()
    offer = await town.offered()
    row = await town.noted("connected_at")
    fields = {"UserEvent": "BreachlineDisposition", "Attempt": row.id, "Disposition": "machine"}
    await town.ami.action("UserEvent", fields)
    await town.noted("detail")
    offer.hang_up()
    (row,) = await town.ended(1)
    assert outcome(row) == "machine"


async def test_one_line_per_idle_agent_and_nothing_without_one(town: World) -> None:
    await town.campaign([f"+121255501{index:02d}" for index in range(1, 7)])
    await town.start_dialer()

    async def explained() -> bool:
        lines = await control.explain(town.store, town.pbx.home, "notice")
        return any("0 agents are signed in for northwind-en" in line for line in lines)

    await eventually(explained)
    assert town.network.received == []
    await town.sign_in("1001")
    await town.rings()

    async def spoken_for() -> bool:
        lines = await control.explain(town.store, town.pbx.home, "notice")
        return any("1 ringing lines" in line for line in lines)

    await eventually(spoken_for)
    assert len(town.network.received) == 1
    await town.ami.action("QueuePause", {"Interface": "PJSIP/agent-1001", "Paused": "true"})


async def test_a_paused_campaign_places_nothing_and_goes_on_later(town: World) -> None:
    await town.campaign([FIRST, SECOND])
    await town.sign_in()
    await town.start_dialer()
    call = await town.rings()
    await control.pause(town.store, "notice")
    call.reply(486)
    await town.ended(1)
    await asyncio.sleep(1.0)  # an idle agent and a due contact: it would have dialled by now
    assert len(await attempts_of(town.store)) == 1
    await control.start(town.store, "notice")
    second = await town.rings()
    assert {call.number, second.number} == {FIRST, SECOND}


async def test_killed_in_mid_call_every_attempt_still_ends_once(town: World) -> None:
    """One call is connected, one rings; the first ends while nobody watches."""
    await town.campaign([FIRST, SECOND])
    await town.sign_in("1001", "en")
    await town.start_dialer()
    first = await town.rings()
    first.answer()
    talk = await town.offered()
    await town.noted("connected_at")
    await town.sign_in("1002", "en")
    second = await town.rings()
    await town.stop_dialer(signal.SIGKILL)
    talk.hang_up()
    await first.over()
    await town.start_dialer()
    rows = await town.ended(1)
    assert [outcome(row) for row in rows if row.ended_at is not None] == ["connected"]
    second.reply(486)
    rows = await town.ended(2)
    assert sorted(outcome(row) for row in rows) == ["busy", "connected"]
    assert Counter(town.network.received) == {FIRST: 1, SECOND: 1}
    await audited(town)


async def test_what_happened_while_it_was_down_is_read_from_the_queue_log(town: World) -> None:
    """Answered, connected and over, all of it unseen."""
    await town.campaign([FIRST])
    await town.sign_in()
    await town.start_dialer()
    call = await town.rings()
    await town.stop_dialer(signal.SIGKILL)
    call.answer()
    talk = await town.offered()
    talk.hang_up()
    await call.over()
    await town.start_dialer()
    (row,) = await town.ended(1)
    assert (outcome(row), row.agent) == ("connected", "1001")
    assert town.network.received == [FIRST]


async def test_an_end_that_nobody_saw_is_unknown_and_rests(town: World) -> None:
    await town.campaign([FIRST])
    await town.sign_in()
    await town.start_dialer()
    call = await town.rings()
    await town.stop_dialer(signal.SIGKILL)
    call.reply(486)
    await call.over()
    await town.start_dialer()
    (row,) = await town.ended(1)
    assert outcome(row) == "unknown"
    (contact,) = (await contact_rows(town.store)).values()
    assert row.ended_at is not None
    assert (contact.state, contact.attempts) == ("ready", 1)
    assert contact.not_before == pytest.approx(row.ended_at + 4 * 3600, abs=1)
    assert town.network.received == [FIRST]


async def test_asterisk_killed_in_mid_call(town: World) -> None:
    await town.campaign([FIRST])
    await town.sign_in()
    await town.start_dialer()
    await town.rings()
    await town.pbx.stop(signal.SIGKILL)
    await town.pbx.start()
    (row,) = await town.ended(1)
    assert outcome(row) == "unknown"
    # The agent, whom Asterisk remembers, is idle again; the person who may have been called rests.
    await asyncio.sleep(1.0)
    assert town.network.received == [FIRST]
    await audited(town)


async def test_a_term_leaves_live_calls_alone(town: World) -> None:
    await town.campaign([FIRST])
    await town.sign_in()
    await town.start_dialer()
    call = await town.rings()
    call.answer()
    talk = await town.offered()
    await town.noted("connected_at")
    assert await town.stop_dialer() == 0
    assert len(await channels(town.ami)) == 2
    talk.hang_up()
    await call.over()
    await town.start_dialer()
    (row,) = await town.ended(1)
    assert outcome(row) == "connected"


async def test_a_second_try_comes_by_the_rule(town: World) -> None:
    await town.campaign([FIRST], rules=RetryRules(busy=Rule(after=1.0), max_attempts=2))
    await town.sign_in()
    await town.start_dialer()
    for _ in range(2):
        (await town.rings()).reply(486)
    rows = await town.ended(2)
    assert [row.number for row in rows] == [1, 2]
    (contact,) = (await contact_rows(town.store)).values()
    assert contact.state == "exhausted"
    await audited(town)


async def channels(ami: AmiClient) -> list[str]:
    return [item.get("Uniqueid") for item in await ami.collect("CoreShowChannels")]


async def test_killed_again_and_again_in_a_busy_campaign(town: World) -> None:
    """Whatever the moment, nobody's telephone rings twice and every attempt ends once."""
    phones = [f"+1212555{100 + index:04d}" for index in range(30)]
    await town.campaign(phones)
    await town.sign_in("1001", "en")
    await town.sign_in("1002", "en")

    async def people() -> None:
        while True:
            call = await town.calls.get()
            match int(call.number[-1]):
                case 0 | 1 | 2 | 3 | 4:
                    call.answer()
                case 5 | 6:
                    call.reply(486)
                case 7:
                    call.reply(404)
                case _:
                    call.reply(503)

    async def talk() -> None:
        while True:
            offer = await town.offers.get()
            await offer.acknowledged.wait()
            await asyncio.sleep(0.2)
            offer.hang_up()

    tasks = [
        asyncio.create_task(people(), name="called people"),
        asyncio.create_task(talk(), name="agents talk"),
    ]
    try:
        for ended in (5, 12, 20, len(phones)):
            await town.start_dialer()
            await town.ended(ended)
            await town.stop_dialer(signal.SIGKILL if ended < len(phones) else signal.SIGTERM)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    assert set(Counter(town.network.received).values()) == {1}
    status = await audited(town)
    # Killed between the commit and the order to dial: nobody rang, and nobody can know that.
    silent = set(phones) - set(town.network.received)
    assert len(silent) <= status.outcomes.get("unknown", 0)
    assert (status.audit.dialled, status.audit.unexplained) == (len(phones), 0)
    assert sum(status.outcomes.values()) == len(phones)
