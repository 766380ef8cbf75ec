"""Callers whom an outsourcer takes, and who come back to their place, on a real Asterisk.

Nobody is signed in here, so that a wait has no end: every caller who wants an agent is one of
whom the outsourcer takes a share.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
import pytest_asyncio
from sqlalchemy import select

from incident.outcomes import CallOutcome
from incident.settings import CarrierSettings, LoadSettings
from incident.store.incidents import active_incidents
from incident.store.schema import CallRow, ContactRow, ImportRow
from tests.running import Running, eventually, plan_text, running
from tests.sip_caller import SipCall, calling
from tests.sip_peer import PATIENCE, Ringing, sip_peer

PBX = "127.0.23.1"
CARRIER = "127.0.23.2"
OUTSOURCER = "127.0.23.3"
DID = "18005550199"
NUMBER = "+18885550177"
REFERENCE = "40012345"
TRUNKS = (CarrierSettings(name="helpers", host=OUTSOURCER, max_channels=2),)


def plan(share: float, *, told: str = "[reference, language]", answer_within: int = 20) -> str:
    return (
        f"{plan_text()}\noverflow:\n  carrier: helpers\n  number: '{NUMBER}'\n  share: {share}\n"
        f"  when_wait_over: 300\n  answer_within: {answer_within}\n  pass: {told}\n"
    )


class Helpers:
    """The outsourcer's side: telephones that ring, and do what the test tells them."""

    def __init__(self, system: Running) -> None:
        self.system = system
        self.calls: asyncio.Queue[Ringing] = asyncio.Queue()
        self.seen: list[Ringing] = []

    def ring(self, call: Ringing) -> None:
        self.seen.append(call)
        call.reply(180)
        self.calls.put_nowait(call)

    async def rings(self) -> Ringing:
        async with asyncio.timeout(PATIENCE):
            return await self.calls.get()


@asynccontextmanager
async def helped(text: str, load: LoadSettings | None = None) -> AsyncIterator[Helpers]:
    """A hotline whose plan has an outsourcer, who is there."""
    async with AsyncExitStack() as stack:
        system = await stack.enter_async_context(
            running(bind=PBX, carrier=CARRIER, plans=(text,), trunks=TRUNKS, load=load)
        )
        helpers = Helpers(system)
        await system.start_hotline()
        await stack.enter_async_context(sip_peer(OUTSOURCER, 5060, helpers.ring))
        yield helpers
        assert system.asterisk_complaints() == []


@pytest_asyncio.fixture
async def half() -> AsyncIterator[Helpers]:
    """Every second caller is sent: the second, the fourth, ..."""
    async with helped(plan(0.5)) as made:
        yield made


@pytest_asyncio.fixture
async def everybody() -> AsyncIterator[Helpers]:
    async with helped(plan(1.0)) as made:
        yield made


@asynccontextmanager
async def wanting_an_agent(caller: str, before: str = "") -> AsyncIterator[SipCall]:
    """A caller who chooses English, presses keys on the way, and then 0."""
    async with calling(CARRIER, PBX, DID, caller=caller) as call:
        await call.press(f",,1,,{before},0")
        yield call


async def in_line(system: Running) -> list[str]:
    """Callers in Asterisk's own order, by unique id."""
    events = await system.ami.collect("QueueStatus", {"Queue": "northwind-en"})
    entries = [event for event in events if event.name == "QueueEntry"]
    return [
        event.get("Uniqueid") for event in sorted(entries, key=lambda e: int(e.get("Position")))
    ]


async def waiting(system: Running, number: int) -> None:
    async def there() -> bool:
        return len(await in_line(system)) == number

    await eventually(there)


async def row_of(system: Running, caller: str) -> CallRow | None:
    (incident,) = await active_incidents(system.store)
    wanted = incident.key.lookup_hash(caller)
    async with system.store.read() as session:
        return (
            await session.scalars(select(CallRow).where(CallRow.ani_hash == wanted))
        ).one_or_none()


async def row_with(system: Running, caller: str, fact: str) -> CallRow:
    """The caller's stored call, once it has this fact."""
    found: list[CallRow] = []

    async def there() -> bool:
        row = await row_of(system, caller)
        if row is None or getattr(row, fact) is None:
            return False
        found.append(row)
        return True

    await eventually(there)
    return found[-1]


async def figures(system: Running, result: str) -> float:
    text = await system.metrics()
    head = f'breachline_overflow_total{{carrier="helpers",incident="northwind",result="{result}"}} '
    return next(
        (float(line.split()[-1]) for line in text.splitlines() if line.startswith(head)), -1.0
    )


async def a_letter(system: Running) -> None:
    """Somebody's reference number is known."""
    (incident,) = await active_incidents(system.store)
    async with system.store.write() as session:
        session.add(
            ImportRow(
                id=1,
                incident_id=incident.id,
                source="x.csv",
                source_hash="x",
                started_at=1.0,
                committed_at=2.0,
            )
        )
        await session.flush()
        session.add(
            ContactRow(
                incident_id=incident.id,
                import_id=1,
                import_line=1,
                reference=REFERENCE,
                phone_enc=incident.key.encrypt("+12125550199"),
                phone_hash=incident.key.lookup_hash("+12125550199"),
                name_enc=incident.key.encrypt("Robin Example"),
                state="NY",
                postal_code="10001",
                language="en",
                data_types="ssn",
            )
        )


async def test_the_share_goes_out_and_counts_in_the_same_figures(half: Helpers) -> None:
    system = half.system
    callers = [f"+1212555010{number}" for number in range(4)]
    async with AsyncExitStack() as stack:
        for number, caller in enumerate(callers):
            await stack.enter_async_context(wanting_an_agent(caller))
            if number % 2:
                call = await half.rings()
                assert call.number == NUMBER
                call.answer()
                row = await row_with(system, caller, "connected_at")
                assert (row.sent_to, row.agent) == ("helpers", "outsourcer")
            else:
                await waiting(system, 1 + number // 2)
        # The outsourcer ends one call, a caller the other.
        half.seen[0].hang_up()
    for number, caller in enumerate(callers):
        row = await row_with(system, caller, "ended_at")
        assert row.queued_at is not None
        assert row.wait_seconds is not None
        if number % 2:
            assert row.outcome == CallOutcome.OUTSOURCED
            assert row.connected_at is not None
            assert row.wait_seconds == pytest.approx(row.connected_at - row.queued_at)
        else:
            assert (row.outcome, row.sent_to) == (CallOutcome.ABANDONED_WAITING, None)
    assert await figures(system, "answered") == 2
    assert await figures(system, "failed") == 0
    text = await system.metrics()
    ended = 'breachline_inbound_calls_total{incident="northwind",outcome="outsourced"} 2.0'
    assert ended in text
    # The wait until the outsourcer answered is in the histogram of all waits.
    assert "breachline_queue_wait_seconds_count 4.0" in text


async def test_only_what_the_contract_allows_is_told(everybody: Helpers) -> None:
    system = everybody.system
    await a_letter(system)
    caller = "+12125550144"
    async with wanting_an_agent(caller):
        first = await everybody.rings()
        first.answer()
        await first.acknowledged.wait()
    assert first.header("X-Breachline-Language") == "en"
    assert first.header("X-Breachline-Reference") == ""
    async with wanting_an_agent("+12125550145", f"2,,{REFERENCE}#,1,,,"):
        second = await everybody.rings()
        second.answer()
        await second.acknowledged.wait()
    assert second.header("X-Breachline-Reference") == REFERENCE
    for call in everybody.seen:
        named = {name for name, _ in call.invite.headers if name.startswith("x-")}
        assert named <= {"x-breachline-language", "x-breachline-reference"}
        assert "anonymous" in call.header("From")
        everything = " ".join(value for _, value in call.invite.headers)
        for secret in ("2125550144", "2125550145", "Robin", "2125550199"):
            assert secret not in everything
        assert call.header("P-Asserted-Identity") == ""
        assert call.header("Remote-Party-ID") == ""


async def test_nothing_is_told_that_the_contract_does_not_name() -> None:
    async with helped(plan(1.0, told="[number]")) as helpers:
        await a_letter(helpers.system)
        async with wanting_an_agent("+12125550145", f"2,,{REFERENCE}#,1,,,"):
            call = await helpers.rings()
        assert not [name for name, _ in call.invite.headers if name.startswith("x-")]
        assert "+12125550145" in call.header("From")


@pytest.mark.parametrize("code", [503, 486, 0], ids=["down", "busy", "no answer"])
async def test_whom_the_outsourcer_does_not_take_comes_back_to_the_place(code: int) -> None:
    async with helped(plan(0.5, answer_within=5)) as helpers:
        system = helpers.system
        async with (
            wanting_an_agent("+12125550101"),
            wanting_an_agent("+12125550102"),
        ):
            await waiting(system, 1)
            call = await helpers.rings()
            first = (await row_with(system, "+12125550101", "queued_at")).id
            sent = await row_with(system, "+12125550102", "sent_to")
            async with wanting_an_agent("+12125550103"):
                await waiting(system, 2)
                third = (await row_with(system, "+12125550103", "queued_at")).id
                assert await in_line(system) == [first, third]
                if code:
                    call.reply(code)
                await waiting(system, 3)
                # Behind whoever asked before, before whoever asked after.
                assert await in_line(system) == [first, sent.id, third]
                assert call.cancelled == (code == 0)
        row = await row_with(system, "+12125550102", "ended_at")
        assert (row.outcome, row.sent_to) == (CallOutcome.ABANDONED_WAITING, None)
        # The wait counts from when the caller asked for an agent the first time.
        assert row.queued_at == sent.queued_at
        assert row.queued_at is not None
        assert row.ended_at is not None
        assert row.wait_seconds == pytest.approx(row.ended_at - row.queued_at)
        result = {503: "failed", 486: "busy", 0: "no_answer"}[code]
        assert await figures(system, result) == 1
        assert f"overflow:{result}" in row.menu_path.split()


async def test_they_come_back_to_their_place_also_without_the_hotline(half: Helpers) -> None:
    system = half.system
    async with wanting_an_agent("+12125550101"), wanting_an_agent("+12125550102"):
        await waiting(system, 1)
        call = await half.rings()
        async with wanting_an_agent("+12125550103"):
            await waiting(system, 2)
            before = await in_line(system)
            sent = (await row_with(system, "+12125550102", "sent_to")).id
            await system.stop_hotline(signal.SIGKILL)
            call.reply(503)
            await waiting(system, 3)
            assert await in_line(system) == [before[0], sent, before[1]]
            # A hotline that comes later learns of it from what Asterisk wrote down.
            await system.start_hotline()

            async def back() -> bool:
                row = await row_of(system, "+12125550102")
                return row is not None and row.sent_to is None

            await eventually(back)
    row = await row_with(system, "+12125550102", "ended_at")
    assert row.outcome == CallOutcome.ABANDONED_WAITING


async def test_an_answer_that_nobody_was_there_to_see_is_found_later(everybody: Helpers) -> None:
    system = everybody.system
    async with wanting_an_agent("+12125550101"):
        call = await everybody.rings()
        await row_with(system, "+12125550101", "sent_to")
        await system.stop_hotline(signal.SIGKILL)
        call.answer()
        await call.acknowledged.wait()
    await eventually(lambda: quiet(system))
    await system.start_hotline()
    row = await row_with(system, "+12125550101", "ended_at")
    assert (row.outcome, row.agent, row.sent_to) == (
        CallOutcome.OUTSOURCED,
        "outsourcer",
        "helpers",
    )


async def quiet(system: Running) -> bool:
    return not await system.ami.collect("CoreShowChannels")


async def test_hanging_up_while_it_rings_there_is_an_abandoned_wait(everybody: Helpers) -> None:
    system = everybody.system
    async with wanting_an_agent("+12125550101"):
        call = await everybody.rings()
    await call.over()
    row = await row_with(system, "+12125550101", "ended_at")
    assert (row.outcome, row.sent_to) == (CallOutcome.ABANDONED_WAITING, "helpers")
    assert row.wait_seconds is not None
    assert await figures(system, "abandoned") == 1


async def test_an_outsourcer_who_takes_nobody_is_left_alone(everybody: Helpers) -> None:
    system = everybody.system
    async with AsyncExitStack() as stack:
        for number in range(3):
            await stack.enter_async_context(wanting_an_agent(f"+1212555010{number}"))
            (await everybody.rings()).reply(503)
            await waiting(system, number + 1)
        await stack.enter_async_context(wanting_an_agent("+12125550109"))
        await waiting(system, 4)
        assert len(everybody.seen) == 3
    assert await figures(system, "failed") == 3


async def test_no_more_calls_than_the_trunk_holds(everybody: Helpers) -> None:
    system = everybody.system
    async with AsyncExitStack() as stack:
        for number in range(2):
            await stack.enter_async_context(wanting_an_agent(f"+1212555010{number}"))
            call = await everybody.rings()
            call.answer()
            await call.acknowledged.wait()
        await stack.enter_async_context(wanting_an_agent("+12125550109"))
        await waiting(system, 1)
        assert len(everybody.seen) == 2
    assert await figures(system, "full") == 1


async def test_switched_off_nobody_is_sent() -> None:
    async with helped(plan(1.0), LoadSettings(overflow=False)) as helpers:
        async with wanting_an_agent("+12125550101"):
            await waiting(helpers.system, 1)
        assert helpers.seen == []
