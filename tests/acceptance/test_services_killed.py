"""Services killed while callers wait and a campaign runs: nobody notices on the line."""

from __future__ import annotations

import pytest

from drill.callers import Callers, Intent
from drill.people import Behaviour
from incident.outcomes import CallOutcome
from incident.store.attempts import open_attempts
from tests.acceptance.crews import CALLERS, KILLS_DID, NOTICES
from tests.acceptance.notices import books_are_clean, dialled_through, listed, run_campaign, tried
from tests.acceptance.system import System
from tests.running import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")

WAITING = 20
BACK_SECONDS = 10.0
"""How soon a killed service has to be back: a promise, so it is measured."""
KILLS = (("hotline",), ("dialer",), ("mosquitto",), ("hotline", "dialer", "mosquitto"))
SPANISH_AGENT = Intent("agent (es)", ((1, "2"), (1.5, "0")), agent=True, patience=280)


async def test_kills_drop_no_caller_and_dial_nobody_twice(system: System) -> None:
    await system.sign_in(NOTICES)
    people = listed({Behaviour.PERSON: 16}, area=404, first=40000000)
    campaign = await run_campaign(system, "kills", people)
    callers = Callers(system.stage.public, KILLS_DID, seed=3)
    try:
        for _ in range(WAITING):
            await callers.place(SPANISH_AGENT)
        await all_wait(system)
        for names in KILLS:
            await dialling(system, campaign)
            took = await system.back(system.kill(*names), *names)
            assert took <= BACK_SECONDS, f"{names} took {took:.1f} s"
            assert callers.active == WAITING
            assert await system.queue_entries("kills-es") == WAITING
        await system.sign_in(CALLERS)
        await callers.finished(120)
    finally:
        callers.close()
        await system.sign_out(CALLERS)
    assert len(callers.results) == WAITING
    assert all(result.met_agent for _, result in callers.results)

    async def stored() -> bool:
        rows = await system.calls("kills")
        return all(row.ended_at is not None for row in rows)

    await eventually(stored)
    rows = await system.calls("kills")
    assert [row.outcome for row in rows] == [CallOutcome.AGENT] * WAITING
    assert {row.language for row in rows} == {"es"}

    await dialled_through(system, campaign)
    await system.sign_out(NOTICES)
    await books_are_clean(system, campaign)
    # Each was tried, and rang once at most: whatever was not observed is not tried again today.
    assert {each.phone for each in await tried(system, campaign)} == {one.phone for one in people}
    assert all(system.dialled[person.phone] <= 1 for person in people)


async def all_wait(system: System) -> None:
    async def waiting() -> bool:
        return await system.queue_entries("kills-es") == WAITING

    await eventually(waiting, patience=60)


async def dialling(system: System, campaign: str) -> None:
    async def in_flight() -> bool:
        return any(each.campaign == campaign for each in await open_attempts(system.stage.store))

    await eventually(in_flight)
