"""The outsourcer played by the simulated public, on a system of its own: up, then down."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from console.stage import Addresses
from drill.callers import Callers, Intent
from drill.network import Habits
from drill.outsourcer import CARRIER, NUMBER, OutsourcerWatch, Told
from incident.home import Home
from incident.outcomes import CallOutcome
from tests.acceptance.system import DID, System, whole_system
from tests.running import eventually, plan_text

pytestmark = pytest.mark.asyncio(loop_scope="module")

AT = Addresses("127.0.33.1", "127.0.33.2", "127.0.33.3", "127.0.33.4")
PARTS = frozenset({"mosquitto", "asterisk", "hotline"})
PLAN = (
    f"{plan_text()}\noverflow:\n  carrier: {CARRIER}\n  number: '{NUMBER}'\n  share: 0.5\n"
    "  when_wait_over: 60\n  answer_within: 8\n  pass: [language]\n"
)
AGENT = Intent("agent", ((1.5, "1"), (1.5, "0")), agent=True, patience=15)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def system(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[System]:
    """Nobody is signed in: the own line moves for nobody."""
    home = Home.at(tmp_path_factory.mktemp("overflow"))
    async with whole_system(
        home,
        AT,
        plans={"northwind": PLAN},
        crews=(),
        habits=Habits(ring_min=1, ring_max=1, talk_min=1, talk_max=2),
        parts=lambda part: part.name in PARTS,
    ) as running:
        yield running


async def outcomes(system: System, before: int, number: int) -> Counter[str | None]:
    """Of the calls after the first ``before``, once so many have ended."""

    async def over() -> bool:
        rows = (await system.calls("northwind"))[before:]
        return len(rows) == number and all(row.ended_at is not None for row in rows)

    await eventually(over)
    return Counter(row.outcome for row in (await system.calls("northwind"))[before:])


async def test_up_it_takes_its_share_and_hears_what_it_may(system: System) -> None:
    watch = OutsourcerWatch(system.stage.public)
    callers = Callers(system.stage.public, DID, seed=3)
    try:
        await asyncio.gather(*(callers.place(AGENT) for _ in range(6)))
        await callers.finished(90)
    finally:
        callers.close()
        watch.close()
    assert Counter(result.met_agent for _, result in callers.results) == {True: 3, False: 3}
    told = Told(frozenset({"X-Breachline-Language"}), "en", anonymous=True)
    assert watch.calls == [told] * 3
    assert await outcomes(system, 0, 6) == {
        CallOutcome.OUTSOURCED: 3,
        CallOutcome.ABANDONED_WAITING: 3,
    }


async def test_down_every_caller_stands_in_the_own_line(system: System) -> None:
    watch = OutsourcerWatch(system.stage.public)
    callers = Callers(system.stage.public, DID, seed=4)
    await watch.be("down")
    before = len(await system.calls("northwind"))
    try:
        await asyncio.gather(*(callers.place(AGENT) for _ in range(4)))
        await eventually(lambda: four_wait(system))
        assert len(watch.calls) == 2
        await callers.finished(90)
    finally:
        callers.close()
        watch.close()
        await watch.be("answers")
    assert await outcomes(system, before, 4) == {CallOutcome.ABANDONED_WAITING: 4}
    rows = (await system.calls("northwind"))[before:]
    assert sum("overflow:failed" in row.menu_path.split() for row in rows) == 2
    assert all(row.sent_to is None for row in rows)


async def four_wait(system: System) -> bool:
    return await system.queue_entries("northwind-en") == 4
