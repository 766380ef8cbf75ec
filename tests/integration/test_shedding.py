"""A node that nears its limit: new callers hear the essentials and may leave a number; nobody
hears a busy signal; with the hotline dead it is the same."""

from __future__ import annotations

import signal
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest_asyncio
from sqlalchemy import select

from incident.outcomes import CallOutcome
from incident.settings import LoadSettings
from incident.store.inbound_load import InboundLoad, fresh_loads
from incident.store.incidents import active_incidents
from incident.store.schema import CallbackRow, CallRow
from tests.running import Running, eventually, plan_text, running
from tests.sip_caller import calling

PBX = "127.0.35.1"
CARRIER = "127.0.35.2"
DID = "18005550199"
CALLER = "+12125550150"
PHONE = "2125550151"


@pytest_asyncio.fixture
async def nearly_full() -> AsyncIterator[Running]:
    """Above two calls the short way."""
    load = LoadSettings(max_channels=10, shed_at=0.2)
    async with running(bind=PBX, carrier=CARRIER, load=load) as system:
        yield system


async def waiting(system: Running, number: int) -> None:
    async def there() -> bool:
        events = await system.ami.collect("QueueStatus", {"Queue": "northwind-en"})
        return sum(event.name == "QueueEntry" for event in events) == number

    await eventually(there)


async def two_who_wait(system: Running, stack: AsyncExitStack) -> None:
    for number in range(2):
        call = await stack.enter_async_context(
            calling(CARRIER, PBX, DID, caller=f"+1212555010{number}")
        )
        await call.press(",,1,,0")
    await waiting(system, 2)


async def row_of(system: Running, caller: str) -> CallRow | None:
    (incident,) = await active_incidents(system.store)
    wanted = incident.key.lookup_hash(caller)
    async with system.store.read() as session:
        return (
            await session.scalars(select(CallRow).where(CallRow.ani_hash == wanted))
        ).one_or_none()


async def ended(system: Running, caller: str) -> CallRow:
    async def over() -> bool:
        row = await row_of(system, caller)
        return row is not None and row.ended_at is not None

    await eventually(over)
    row = await row_of(system, caller)
    assert row is not None
    return row


async def numbers_left(system: Running) -> list[str]:
    (incident,) = await active_incidents(system.store)
    async with system.store.read() as session:
        rows = await session.scalars(select(CallbackRow))
        return [incident.key.decrypt(row.phone_enc) for row in rows]


async def test_the_next_caller_gets_the_essentials_and_may_leave_a_number(
    nearly_full: Running,
) -> None:
    system = nearly_full
    await system.start_hotline()
    async with AsyncExitStack() as stack:
        await two_who_wait(system, stack)
        async with calling(CARRIER, PBX, DID, caller=CALLER) as call:
            assert call.status == 200
            # The language, the offer, another number than the one that calls, it is right.
            await call.press(",,1,,1,,2")
            await call.press(f",,{PHONE}#,1,,,1")

            async def kept() -> bool:
                return await numbers_left(system) == [f"+1{PHONE}"]

            await eventually(kept)
        row = await ended(system, CALLER)
        assert row.outcome == CallOutcome.CALLBACK
        assert "shed" in row.menu_path.split()
        async with calling(CARRIER, PBX, DID, caller="+12125550152") as call:
            # Whoever leaves no number is thanked, and the call ends; the line stays as it was.
            await call.press(",,2")
            await call.ended()
        row = await ended(system, "+12125550152")
        assert (row.outcome, row.language) == (CallOutcome.SHED, "es")
        assert 'breachline_shed_calls_total{incident="northwind"} 2.0' in await system.metrics()
    # When there is room again, callers are served as ever.
    async with calling(CARRIER, PBX, DID, caller="+12125550153") as call:
        await call.press(",,1,,0")
        await waiting(system, 1)


async def test_with_the_hotline_dead_it_is_the_same(nearly_full: Running) -> None:
    system = nearly_full
    await system.start_hotline()
    async with AsyncExitStack() as stack:
        await two_who_wait(system, stack)
        await system.stop_hotline(signal.SIGKILL)
        async with calling(CARRIER, PBX, DID, caller=CALLER) as call:
            assert call.status == 200
            await call.press(",,1")
            # No number: goodbye. Those who wait go on waiting.
            await call.ended()
        await waiting(system, 2)


async def test_an_incidents_own_limit_of_calls_does_the_same() -> None:
    """The plan's limit is lower than the node's: the third call reaches it."""
    load = LoadSettings(max_channels=100)
    text = f"{plan_text()}\nload: {{busy_channels: 2, shed_channels: 3}}\n"
    async with running(bind=PBX, carrier=CARRIER, load=load, plans=(text,)) as system:
        await system.start_hotline()
        async with AsyncExitStack() as stack:
            await two_who_wait(system, stack)

            async def told(level: str) -> InboundLoad | None:
                found = await fresh_loads(system.store, time.time())
                return next((each for each in found if each.level == level), None)

            await eventually(lambda: told("busy"))
            async with calling(CARRIER, PBX, DID, caller=CALLER) as call:
                await eventually(lambda: told("shedding"))
                row = await told("shedding")
                assert row is not None
                assert (row.node, row.incident_id) == ("node1", "northwind")
                assert (row.waiting, row.channels) == (2, 3)
                assert 'breachline_load_level{incident="northwind"} 2.0' in await system.metrics()
                await call.press(",,1")
                await call.ended()
            assert (await ended(system, CALLER)).outcome == CallOutcome.SHED
            await waiting(system, 2)
