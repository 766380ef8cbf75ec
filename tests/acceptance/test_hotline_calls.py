"""Callers of one's own on the `probe` carrier: they press keys, and get what they pressed."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from drill.callers import Callers, Intent
from drill.sipp import Press, run_sipp, scenario
from incident.outcomes import CallOutcome
from tests.acceptance.crews import HOTLINE
from tests.acceptance.system import DID, SECOND_DID, System, files_holding
from tests.running import eventually
from tests.sip_caller import calling

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_sipp_calls_and_its_digits_are_followed(system: System, tmp_path: Path) -> None:
    result = await run_sipp(
        system.stage.tree,
        tmp_path / "sipp",
        scenario([Press(1500, "2"), Press(1500, "3"), Press(1500, "1")], 2000, line="0142"),
        target=f"{system.at.bind}:5060",
        source=system.at.probe,
        service=DID,
        calls=1,
        rate=1,
        timeout=40,
    )
    assert (result.successful, result.failed) == (1, 0)
    row = await system.ended("northwind", "+12125550142")
    assert row.outcome == CallOutcome.SELF_SERVICE
    assert row.language == "es"
    assert row.menu_path.split() == ["language:2", "main:3", "protect:1"]
    incident = await system.stage.incident("northwind")
    assert row.content_version == incident.content_version
    assert (row.via, row.leaves) == ("hotline", 1)


async def test_zero_reaches_an_agent_whose_voice_is_heard(system: System) -> None:
    await system.sign_in(HOTLINE)
    callers = Callers(system.stage.public, DID, seed=11)
    shown: list[str] = []
    undo = system.stage.public.subscribe(
        ["Newchannel"],
        lambda event: (
            shown.append(event.get("CallerIDNum"))
            if event.get("Exten").startswith("agent-")
            else None
        ),
    )
    try:
        for keys in ((1, "1"), (1.5, "0")), ((1, "2"), (1.5, "0")), ((1.0, "0"),):
            await callers.place(Intent("agent", keys, agent=True, patience=60))
        await callers.finished(60)
    finally:
        callers.close()
        undo()
        await system.sign_out(HOTLINE)
    assert [result.met_agent for _, result in callers.results] == [True, True, True]
    # The agent sees who calls, though the queue and its log do not.
    assert len(shown) == 3
    assert all(re.fullmatch(r"\+1\d{3}55501\d{2}", number) for number in shown)

    async def stored() -> bool:
        rows = [row for row in await system.calls("northwind") if row.agent is not None]
        return [row.outcome for row in rows] == [CallOutcome.AGENT] * 3

    await eventually(stored)
    rows = [row for row in await system.calls("northwind") if row.agent is not None]
    assert {row.agent for row in rows} <= set(HOTLINE.numbers)
    assert sorted(row.language or "" for row in rows) == ["en", "en", "es"]
    assert all(row.wait_seconds is not None for row in rows)


async def test_a_number_that_is_not_ours_is_refused(system: System) -> None:
    async with calling(system.at.probe, system.at.bind, "18005559999") as call:
        assert call.status == 404


async def test_two_incidents_at_the_same_time(system: System) -> None:
    one, two = "+12125550151", "+12125550152"
    async with (
        calling(system.at.probe, system.at.bind, DID, caller=one) as first,
        calling(system.at.probe, system.at.bind, SECOND_DID, caller=two) as second,
    ):
        await first.press(",,1")
        await second.press(",,2")
        await first.press(",,,1")
        await second.press(",,,1")
        await system.pressed("northwind", one, "language:1", "main:1")
        await system.pressed("lakeshore", two, "language:2", "main:1")
    northwind = await system.ended("northwind", one)
    lakeshore = await system.ended("lakeshore", two)
    assert (northwind.language, lakeshore.language) == ("en", "es")
    assert northwind.outcome == lakeshore.outcome == CallOutcome.SELF_SERVICE
    assert northwind.content_version != lakeshore.content_version
    assert await system.calls("northwind", two) == []


HANG_UPS: dict[str, tuple[str, CallOutcome]] = {
    "+12125550161": (",,", CallOutcome.ABANDONED_MENU),
    "+12125550162": (",,1", CallOutcome.ABANDONED_MENU),
    "+12125550163": (",,1,,,9", CallOutcome.ABANDONED_MENU),
    "+12125550164": (",,1,,,3,,,#,,,4", CallOutcome.SELF_SERVICE),
    "+12125550165": (",,1,,,0", CallOutcome.ABANDONED_WAITING),
}
"""What is pressed before hanging up: nothing, a language, a wrong key, an answer, an agent."""


async def test_hanging_up_anywhere_ends_in_one_outcome(system: System) -> None:
    async def hang_up(caller: str, keys: str, outcome: CallOutcome) -> None:
        async with calling(system.at.probe, system.at.bind, DID, caller=caller) as call:
            await call.press(keys)
            if outcome is CallOutcome.ABANDONED_WAITING:
                await eventually(lambda: one_waits(system))

    await asyncio.gather(*(hang_up(caller, *how) for caller, how in HANG_UPS.items()))
    for caller, (_, outcome) in HANG_UPS.items():
        assert (await system.ended("northwind", caller)).outcome == outcome
    await system.quiet()


async def one_waits(system: System) -> bool:
    return await system.queue_entries("northwind-en") == 1


async def test_callers_numbers_are_nowhere_to_be_read(system: System) -> None:
    incident = await system.stage.incident("northwind")
    for caller in HANG_UPS:
        (row,) = await system.calls("northwind", caller)
        assert row.ani_enc is not None
        assert incident.key.decrypt(row.ani_enc) == caller
        assert await files_holding(system.stage.home, caller[2:]) == []
