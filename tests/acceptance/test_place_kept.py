"""Places kept and called back, as they sound: on the caller's line, on the person's, on the
agent's. A system of its own, so that the hotline and Asterisk can be killed."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
import pytest_asyncio
from sqlalchemy import select

from console.stage import Addresses
from drill.called_back import CalledBack, too_often
from drill.network import Habits
from incident.home import Home
from incident.outcomes import CallbackOutcome, CallOutcome
from incident.store.callbacks import PlaceState
from incident.store.schema import CallbackAttemptRow, CallbackRow
from tests.acceptance.hearing import Listener, listening
from tests.acceptance.system import DID, Crew, System, incident_plan, whole_system
from tests.running import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

AT = Addresses("127.0.87.11", "127.0.87.12", "127.0.87.13", "127.0.87.14")
CREW = Crew(("1001",), ("northwind",), ("en", "es"))
PARTS = frozenset({"mosquitto", "asterisk", "hotline"})
PERSON, ANOTHER, MACHINE = "+12125550101", "+12125550102", "+12125550151"
NO_HOTLINE = re.compile(r"res_agi\.c: (Connecting to .* Connection refused|.* FastAGI failed\.)$")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def system(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[System]:
    home = Home.at(tmp_path_factory.mktemp("kept"))
    async with whole_system(
        home,
        AT,
        plans={"northwind": incident_plan("northwind", DID)},
        crews=[CREW],
        habits=Habits(ring_min=1, ring_max=1, talk_min=2, talk_max=2, speech=True),
        parts=lambda part: part.name in PARTS,
    ) as running:
        yield running


async def places(system: System) -> list[CallbackRow]:
    async with system.stage.store.read() as session:
        return list(await session.scalars(select(CallbackRow).order_by(CallbackRow.id)))


async def outcomes(system: System) -> list[str | None]:
    """How each try so far ended."""
    async with system.stage.store.read() as session:
        rows = select(CallbackAttemptRow).order_by(CallbackAttemptRow.created_at)
        return [row.outcome for row in await session.scalars(rows)]


async def keep(system: System, caller: str, language: str = "en") -> None:
    """Call, want an agent, hear the offer in line, and keep the place for one's own number."""
    before = len(await places(system))
    async with listening(
        system.stage.home, "northwind", AT.probe, AT.bind, DID, caller=caller
    ) as line:
        await line.until("language.offer", "en")
        await line.call.press("1" if language == "en" else "2")
        await line.until("greeting", language)
        await line.call.press("0")
        await line.until("queue.wait", language)
        await pressed(line, "1", "callback.number_is", language)
        await line.until("callback.confirm_caller", language)
        await line.call.press("1")
        await line.until("callback.when", language)
        await line.call.press("1")
        await line.until("callback.thanks", language)
        await line.call.press("9")
        await line.call.ended()
        assert not line.heard("callback.kept_already", language)
    assert len(await places(system)) == before + 1


async def pressed(line: Listener, key: str, text: str, language: str) -> None:
    """Press a key until the text that follows it is heard: app_queue swallows one at times."""
    for _ in range(10):
        await line.call.press(key)
        with suppress(TimeoutError):
            async with asyncio.timeout(3):
                await line.until(text, language, seconds=0.5)
                return
    raise AssertionError("the key was not taken")


async def test_the_person_is_called_and_hears_the_agent(system: System) -> None:
    back = CalledBack(system.stage.public)
    try:
        await keep(system, PERSON)
        await keep(system, ANOTHER, "es")
        assert await system.queue_entries("northwind-en") == 1
        assert await system.queue_entries("northwind-es") == 1
        await system.sign_in(CREW)

        async def done() -> bool:
            return [place.state for place in await places(system)] == [PlaceState.DONE] * 2

        await eventually(done, patience=60)
        for number in (PERSON, ANOTHER):
            (ring,) = back.rings[number]
            assert ring.agent_at is not None, "the agent was not heard on the person's line"
        assert await outcomes(system) == [CallbackOutcome.CONNECTED] * 2
    finally:
        await system.sign_out(CREW)
        back.close()
    row = await system.ended("northwind", PERSON)
    assert row.outcome == CallOutcome.CALLBACK
    page = await system.page(9101)
    assert 'breachline_callbacks_total{incident="northwind",outcome="connected"} 2.0' in page


async def test_an_answering_machine_is_no_answer(system: System) -> None:
    back = CalledBack(system.stage.public)
    before = len(await outcomes(system))
    try:
        await keep(system, MACHINE)
        await system.sign_in(CREW)

        async def ended() -> bool:
            return (await outcomes(system))[before:] == [CallbackOutcome.MACHINE]

        await eventually(ended, patience=60)
    finally:
        await system.sign_out(CREW)
        back.close()
    (place,) = [each for each in await places(system) if each.state == PlaceState.OPEN]
    assert place.attempts == 1
    assert place.not_before > place.requested_at
    assert too_often(back.rings) == 0


async def test_asterisk_had_nothing_to_complain_of(system: System) -> None:
    complaints = [line for line in system.asterisk_complaints() if not NO_HOTLINE.search(line)]
    assert complaints == []
