"""When a system that is up may be drilled: never where somebody else would be touched."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import cast

import pytest
import pytest_asyncio

from console.door import Refused
from console.drill_running import choose_crew, nobody_there
from console.drill_stage import Crew
from incident.home import Home
from incident.plan import parse_plan
from incident.privacy import Keyring
from incident.store.agents import Agent, add_agent
from incident.store.engine import Store, migrate, open_store
from incident.store.incidents import activate
from pbx.ami import AmiClient, Event
from pbx.ami import Refused as ActionRefused

PLANS = Path(__file__).resolve().parents[2] / "plans"
AGENTS = [Agent("1001", ("northwind",), ("en",), "x"), Agent("1002", ("northwind",), ("en",), "x")]


class Pbx:
    """A PBX's manager: channels, and telephones that are registered (None: it says there is no
    such list)."""

    def __init__(self, channels: int, registered: list[str] | None) -> None:
        self.channels = channels
        self.registered = registered

    async def collect(self, name: str) -> list[Event]:
        if name == "CoreShowChannels":
            return [Event("CoreShowChannel", {}, 0.0)] * self.channels
        assert name == "PJSIPShowContacts"
        if self.registered is None:
            raise ActionRefused(name, "No Contacts found")
        return [Event("ContactList", {"Endpoint": each}, 0.0) for each in self.registered]


def pbx(channels: int = 0, registered: list[str] | None = None) -> AmiClient:
    return cast(AmiClient, Pbx(channels, registered))


async def test_a_quiet_system_without_telephones_may_be_drilled() -> None:
    await nobody_there(pbx(), AGENTS)
    await nobody_there(pbx(registered=["agent-2001"]), AGENTS)


async def test_calls_on_the_line_are_not_mixed_with() -> None:
    with pytest.raises(Refused, match="calls on the line"):
        await nobody_there(pbx(channels=1), AGENTS)


async def test_agents_own_telephones_are_not_pushed_out() -> None:
    with pytest.raises(Refused, match="1 of the agents' own telephones"):
        await nobody_there(pbx(registered=["agent-1002"]), AGENTS)


@pytest_asyncio.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    home = Home.at(tmp_path)
    url = f"sqlite+aiosqlite:///{home.database_file}"
    await migrate(url)
    async with open_store(url, Keyring.open(home)) as opened:
        yield opened


async def test_the_crew_is_of_the_incident_with_the_most_agents(store: Store) -> None:
    with pytest.raises(Refused, match="no incident is active"):
        await choose_crew(store, Crew(1))
    plans = {}
    for name in ("sample", "second"):
        text = (PLANS / f"{name}.yaml").read_text(encoding="utf-8")
        plan = parse_plan(text, name)
        await activate(store, plan, text, 1.0)
        plans[name] = plan.incident
    await add_agent(store, "1001", plans.values(), ["en"], 1.0)
    await add_agent(store, "1002", [plans["second"]], ["en"], 1.0)
    incident, agents = await choose_crew(store, Crew(2))
    assert incident.id == plans["second"]
    assert [agent.number for agent in agents] == ["1001", "1002"]
    with pytest.raises(Refused, match="has 2 agents here, and the drill needs 3"):
        await choose_crew(store, Crew(3))
