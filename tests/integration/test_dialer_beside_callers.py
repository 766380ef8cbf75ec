"""The dialer process beside a busy hotline: it places nothing, says why, and goes on by itself."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from dialer import control
from incident.store.inbound_load import FRESH_SECONDS, InboundLoad, fresh_loads, save_loads
from tests.dialer_world import World, eventually, world

PERSON = "+12125550101"


@pytest_asyncio.fixture
async def town(tmp_path: Path) -> AsyncIterator[World]:
    async with world(tmp_path / "home") as made:
        yield made


def news(level: str, at: float) -> InboundLoad:
    return InboundLoad("node1", "northwind", level, 12, 40, 340.0, at)


async def test_rows_of_a_node_replace_each_other_and_grow_old(town: World) -> None:
    now = time.time()
    await save_loads(town.store, [news("busy", now - 1)])
    await save_loads(town.store, [news("shedding", now)])
    assert await fresh_loads(town.store, now) == (news("shedding", now),)
    assert await fresh_loads(town.store, now + FRESH_SECONDS + 0.1) == ()


async def test_it_gives_way_to_callers_and_resumes(town: World) -> None:
    busy = True

    async def hotline() -> None:
        while True:
            level = "busy" if busy else "normal"
            await save_loads(town.store, [news(level, time.time())])
            await asyncio.sleep(0.5)

    async def explained(words: str) -> list[str] | None:
        said = await control.explain(town.store, town.pbx.home, "notice")
        return said if any(words in sentence for sentence in said) else None

    await save_loads(town.store, [news("busy", time.time())])
    task = asyncio.create_task(hotline(), name="a busy hotline")
    try:
        await town.campaign([PERSON])
        await town.sign_in()
        await town.start_dialer()
        said = await eventually(lambda: explained("giving way"))
        assert (
            "northwind-en: dials nothing because 12 callers wait for northwind-en, predicted "
            "340 s, the hotline is busy: giving way."
        ) in said
        assert town.network.received == []
        busy = False
        call = await town.rings()
        assert call.number == PERSON
        call.reply(486)
        await town.ended(1)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_hotline_that_is_silent_holds_nothing_up(town: World) -> None:
    """Its last word was that it was busy; it has not been heard of since."""
    await save_loads(town.store, [news("shedding", time.time() - FRESH_SECONDS)])
    await town.campaign([PERSON])
    await town.sign_in()
    await town.start_dialer()
    call = await town.rings()
    call.reply(486)
    await town.ended(1)
