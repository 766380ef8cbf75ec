"""Callers on a real Asterisk: what they press is what they get, and each call is stored."""

from __future__ import annotations

import re
import signal
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
import pytest_asyncio
from sqlalchemy import select

from incident.outcomes import CallOutcome
from incident.store.agents import list_agents
from incident.store.incidents import active_incidents
from incident.store.schema import CallbackRow, CallRow
from pbx.ami import Refused
from tests.running import Running, eventually, plan_text, running
from tests.sip_caller import calling
from tests.sip_peer import Ringing, SipPeer, sip_peer

pytestmark = pytest.mark.asyncio(loop_scope="module")

BIND = "127.0.0.24"
CARRIER = "127.0.24.1"
AGENT = "127.0.24.2"
DID = "+18005550199"
CLOSED_DID = "+18005550188"


def closed_plan() -> str:
    """A second incident on a number of its own, whose agents are not there today."""
    text = plan_text(open_now=False)
    text = re.sub(r"(?m)^incident: .*$", "incident: southwind", text)
    return re.sub(r"(?m)^did: .*$", f'did: "{CLOSED_DID}"', text)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def whole_system() -> AsyncIterator[Running]:
    async with running(bind=BIND, carrier=CARRIER, plans=(plan_text(), closed_plan())) as made:
        yield made


@pytest_asyncio.fixture(loop_scope="module")
async def system(whole_system: Running) -> AsyncIterator[Running]:
    """The system with the hotline up at the beginning of each test."""
    if whole_system.hotline is None:
        await whole_system.start_hotline()
    yield whole_system
    await eventually(lambda: quiet(whole_system))


async def quiet(system: Running) -> bool:
    """Nobody is on the line."""
    return not await system.ami.collect("CoreShowChannels")


class Agent:
    """An agent's telephone that answers whatever rings."""

    def __init__(self) -> None:
        self.calls: list[Ringing] = []
        self.peer: SipPeer | None = None

    def ring(self, call: Ringing) -> None:
        self.calls.append(call)
        call.answer()


@pytest_asyncio.fixture(loop_scope="module")
async def agent(system: Running) -> AsyncIterator[Agent]:
    phone = Agent()
    async with sip_peer(AGENT, 5060, phone.ring) as peer:
        phone.peer = peer
        (known,) = await list_agents(system.store)
        await peer.register("agent-1001", known.password, (BIND, 5060))
        yield phone
        for call in phone.calls:
            if not call.ended.is_set():
                call.hang_up()
        for queue in ("northwind-en", "northwind-es"):
            with suppress(Refused):  # not every test signs the agent in to both
                await system.ami.action(
                    "QueueRemove", {"Queue": queue, "Interface": "PJSIP/agent-1001"}
                )


async def rows(system: Running) -> list[CallRow]:
    async with system.store.read() as session:
        return list(await session.scalars(select(CallRow).order_by(CallRow.started_at)))


async def latest(system: Running, caller: str) -> CallRow | None:
    """The stored call of a caller, found as the hotline would: by the number's hash."""
    keys = {each.id: each.key for each in await active_incidents(system.store)}
    for row in reversed(await rows(system)):
        if row.ani_hash == keys[row.incident_id].lookup_hash(caller):
            return row
    return None


async def ended(system: Running, caller: str) -> CallRow:
    async def over() -> bool:
        row = await latest(system, caller)
        return row is not None and row.ended_at is not None

    await eventually(over)
    row = await latest(system, caller)
    assert row is not None
    return row


async def way(system: Running, caller: str, *steps: str) -> None:
    """Wait until the call has gone these steps (they are written at leaves, in queues, at ends)."""

    async def there() -> bool:
        row = await latest(system, caller)
        return row is not None and row.menu_path.split() == list(steps)

    await eventually(there)


async def waiting(system: Running, number: int = 1) -> None:
    """Wait until so many callers are in Asterisk's queues."""

    async def there() -> bool:
        events = await system.ami.collect("QueueStatus")
        return sum(event.name == "QueueEntry" for event in events) == number

    await eventually(there)


async def spooled(system: Running) -> list[CallbackRow]:
    async with system.store.read() as session:
        return list(await session.scalars(select(CallbackRow).order_by(CallbackRow.id)))


async def metric(system: Running, line: str) -> float:
    """The value of a metric, given with its labels; 0 where there is none yet."""
    for found in (await system.metrics()).splitlines():
        if found.startswith(line + " "):
            return float(found.rsplit(" ", 1)[1])
    return 0.0


async def test_language_answer_and_hang_up(system: Running) -> None:
    caller = "+12025550101"
    series = 'breachline_inbound_calls_total{incident="northwind",outcome="self_service"}'
    before = await metric(system, series)
    async with calling(CARRIER, BIND, DID, caller=caller) as call:
        await call.press(",2,1")
        await way(system, caller, "language:2", "main:1")
    row = await ended(system, caller)
    assert row.outcome == CallOutcome.SELF_SERVICE
    assert (row.incident_id, row.language, row.leaves, row.via) == ("northwind", "es", 1, "hotline")
    assert row.ani_enc is not None
    assert caller[1:].encode() not in row.ani_enc
    assert row.content_version == (await active_incidents(system.store))[0].content_version
    await eventually(lambda: counted(system, series, before + 1))
    assert "0101" not in await system.metrics()


async def counted(system: Running, series: str, value: float) -> bool:
    return await metric(system, series) == value


async def test_hanging_up_in_the_queue_is_abandoned_waiting(system: Running) -> None:
    caller = "+12025550102"
    async with calling(CARRIER, BIND, DID, caller=caller) as call:
        await call.press(",1,0")
        await waiting(system)
        await eventually(lambda: counted(system, WAITING_EN, 1))
    row = await ended(system, caller)
    assert row.outcome == CallOutcome.ABANDONED_WAITING
    assert row.wait_seconds is not None
    assert row.queued_at is not None
    await eventually(lambda: counted(system, WAITING_EN, 0))


WAITING_EN = 'breachline_queue_waiting{incident="northwind",language="en"}'


async def test_an_agent_takes_the_caller(system: Running, agent: Agent) -> None:
    caller = "+12025550103"
    await system.sign_in("1001", "northwind-en", "northwind-es")
    async with calling(CARRIER, BIND, DID, caller=caller) as call:
        await call.press(",2,0")
        await eventually(lambda: agent.calls)

        async def connected() -> bool:
            row = await latest(system, caller)
            return row is not None and row.connected_at is not None

        await eventually(connected)
        await eventually(lambda: counted(system, 'breachline_agents{state="busy"}', 1))
        agent.calls[0].hang_up()
        await call.ended()
    row = await ended(system, caller)
    assert row.outcome == CallOutcome.AGENT
    assert (row.agent, row.language) == ("1001", "es")


async def test_a_hang_up_in_the_menu(system: Running) -> None:
    caller = "+12025550104"
    async with calling(CARRIER, BIND, DID, caller=caller) as call:
        await call.press(",1")
    row = await ended(system, caller)
    assert row.outcome == CallOutcome.ABANDONED_MENU


async def test_after_hours_a_number_is_left_instead(system: Running) -> None:
    caller = "+12025550105"
    async with calling(CARRIER, BIND, CLOSED_DID, caller=caller) as call:
        await call.press(",1,0,,1,,1")
        await call.ended()
    row = await ended(system, caller)
    assert (row.incident_id, row.outcome) == ("southwind", CallOutcome.CALLBACK)
    assert "after_hours" in row.menu_path
    (left,) = [found for found in await spooled(system) if found.call_id == row.id]
    keys = {each.id: each.key for each in await active_incidents(system.store)}
    assert keys["southwind"].decrypt(left.phone_enc) == caller
    assert left.source == "after_hours"


async def test_a_waiting_caller_outlives_the_hotline(system: Running, agent: Agent) -> None:
    caller = "+12025550106"
    async with calling(CARRIER, BIND, DID, caller=caller) as call:
        await call.press(",1,0")
        await waiting(system)
        await way(system, caller, "language:1", "main:0")
        await system.stop_hotline(signal.SIGKILL)
        # The agent answers and the call ends while nobody of ours is there.
        await system.sign_in("1001", "northwind-en")
        await eventually(lambda: agent.calls and agent.calls[-1].acknowledged.is_set())
        await waiting(system, 0)
        agent.calls[-1].hang_up()
        await call.ended()
    await eventually(lambda: quiet(system))
    await system.start_hotline()
    row = await ended(system, caller)
    assert (row.outcome, row.agent) == (CallOutcome.AGENT, "1001")
    assert row.connected_at is not None


async def test_a_waiting_caller_is_found_again(system: Running, agent: Agent) -> None:
    caller = "+12025550107"
    async with calling(CARRIER, BIND, DID, caller=caller) as call:
        await call.press(",1,0")
        await waiting(system)
        await way(system, caller, "language:1", "main:0")
        await system.stop_hotline(signal.SIGKILL)
        await system.start_hotline()
        await eventually(lambda: counted(system, WAITING_EN, 1))
        await system.sign_in("1001", "northwind-en")
        await eventually(lambda: agent.calls)
        agent.calls[0].hang_up()
        await call.ended()
    row = await ended(system, caller)
    assert row.outcome == CallOutcome.AGENT


async def test_without_the_hotline_a_caller_hears_the_essentials_and_waits(system: Running) -> None:
    await system.stop_hotline()
    known = {row.id for row in await rows(system)}
    async with calling(CARRIER, BIND, DID, caller="+12025550108") as call:
        await waiting(system)
        assert not call.over.is_set()
        await system.start_hotline()
        await eventually(lambda: counted(system, WAITING_EN, 1))
    await eventually(lambda: counted(system, WAITING_EN, 0))
    (row,) = [row for row in await rows(system) if row.id not in known]
    assert (row.via, row.incident_id) == ("emergency", "northwind")

    async def over() -> bool:
        (row,) = [row for row in await rows(system) if row.id not in known]
        return row.outcome == CallOutcome.ABANDONED_WAITING

    await eventually(over)


async def test_a_stopping_hotline_hands_its_callers_to_the_emergency_path(system: Running) -> None:
    caller = "+12025550109"
    async with calling(CARRIER, BIND, DID, caller=caller) as call:
        await call.press(",1")
        await system.stop_hotline()
        assert not call.over.is_set()
        await waiting(system)
    await eventually(lambda: quiet(system))
    await system.start_hotline()
    row = await ended(system, caller)
    assert row.outcome == CallOutcome.ABANDONED_WAITING
