"""The hotline is not there: callers are told, may leave a number, or wait. Then it returns.

This system is of its own, so that the hotline can stay away as long as is wanted; and it is
stopped at the end, after which nothing of it may be left.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from sqlalchemy import select

from console.assemble import system_parts
from console.stage import Addresses
from drill.callers import Callers, Intent
from drill.network import Habits
from incident.home import Home
from incident.store.schema import CallbackRow
from pbx.runtime.part import Part
from pbx.runtime.supervisor import Supervisor
from tests.acceptance.hearing import listening
from tests.acceptance.system import (
    DID,
    Crew,
    System,
    files_holding,
    incident_plan,
    listening_on,
    processes_of,
    whole_system,
)
from tests.running import eventually

pytestmark = pytest.mark.asyncio(loop_scope="function")

ADDRESSES = Addresses("127.0.3.1", "127.0.3.2", "127.0.3.3", "127.0.3.4")
CREW = Crew(("1001",), ("northwind",), ("en", "es"))
NUMBER = "2025550143"
NO_HOTLINE = re.compile(
    r"res_agi\.c: (Connecting to .* Connection refused|.* FastAGI failed\.)$"
    r"|app_stack\.c: PJSIP/agent-.* Abnormal 'Gosub\(kept-agent,s,1\)' exit\."
)
"""What Asterisk rightly says when the hotline is not there, and of an agent who hangs up while
being told that this is a call-back."""


def not_hotline(part: Part) -> bool:
    return part.name != "hotline"


@asynccontextmanager
async def hotline_returns(system: System) -> AsyncIterator[None]:
    """The hotline, kept running by a supervisor of its own."""
    stage = system.stage
    parts = system_parts(stage.home, stage.settings, stage.tree)
    supervisor = Supervisor(
        [part for part in parts if part.name == "hotline"], stage.home.run / "hotline"
    )
    await supervisor.start()
    try:
        yield
    finally:
        await supervisor.stop()


async def requests(system: System) -> list[CallbackRow]:
    async with system.stage.store.read() as session:
        return list(await session.scalars(select(CallbackRow)))


def spooled(system: System) -> list[Path]:
    folder = system.stage.home.callback_spool
    return sorted(file for file in folder.glob("*") if file.is_file())


async def test_callers_are_served_without_the_hotline_and_nothing_is_left_at_the_end(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    home = Home.at(tmp_path_factory.mktemp("emergency"))
    async with whole_system(
        home,
        ADDRESSES,
        plans={"northwind": incident_plan("northwind", DID)},
        crews=[CREW],
        habits=Habits(ring_min=1, ring_max=2, talk_min=1, talk_max=2),
        parts=not_hotline,
    ) as system:
        await essentials_and_a_number_left(system)
        await an_agent_all_the_same(system)
        await picked_up_exactly_once(system)
        complaints = [
            line for line in system.asterisk_complaints() if not re.search(NO_HOTLINE, line)
        ]
        assert complaints == []
        assert processes_of(home)
        assert listening_on(ADDRESSES)
    assert processes_of(home) == {}
    assert listening_on(ADDRESSES) == []


async def essentials_and_a_number_left(system: System) -> None:
    """Both languages are offered, the essentials told, and a number taken and sealed."""
    at, home = system.at, system.stage.home
    async with listening(
        home, "northwind", at.probe, at.bind, DID, caller="+12125550191"
    ) as caller:
        await caller.until("language.offer", "en")
        await caller.until("language.offer", "es")
        await caller.call.press("2")
        await caller.until("emergency.essentials", "es", seconds=6)
        await caller.call.press("9")
        await caller.until("emergency.callback_offer", "es")
        await caller.call.press("1")
        await caller.until("callback.enter_number", "es")
        await caller.call.press(f"{NUMBER}#")
        await caller.until("callback.confirm", "es")
        await caller.call.press("1")
        await caller.until("callback.thanks", "es")
        await caller.call.press("9")
        await caller.until("goodbye", "es")
        await caller.call.press("9")
        await caller.call.ended()
        assert not caller.heard("emergency.essentials", "en")
    assert len(spooled(system)) == 1
    assert await files_holding(home, NUMBER) == []


async def an_agent_all_the_same(system: System) -> None:
    """Who leaves no number waits in the queue, and an agent takes the call."""
    await system.sign_in(CREW)
    callers = Callers(system.stage.public, DID, seed=5)
    keys = ((2.5, "1"), (2, "9"), (2, "2"))
    try:
        await callers.place(Intent("agent", keys, agent=True, patience=60))
        await callers.finished(90)
    finally:
        callers.close()
    ((_, result),) = callers.results
    assert result.met_agent
    await system.sign_out(CREW)


async def picked_up_exactly_once(system: System) -> None:
    """The hotline returns, and once more finds the same file, as after a crash in between."""
    (file,) = spooled(system)
    kept = file.parent.parent / file.name
    shutil.copy2(file, kept)
    assert await requests(system) == []
    async with hotline_returns(system):
        await eventually(lambda: not spooled(system))
    (request,) = await requests(system)
    assert (request.source, request.language, request.state) == ("emergency", "es", "open")
    incident = await system.stage.incident("northwind")
    assert incident.key.decrypt(request.phone_enc) == f"+1{NUMBER}"
    shutil.move(kept, file)
    async with hotline_returns(system):
        await eventually(lambda: not spooled(system))
    assert [row.id for row in await requests(system)] == [request.id]
