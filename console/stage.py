"""A whole system and the simulated public around it: what the demo and the tests run on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from console.assemble import Progress, activate_plan, render_home, system_parts
from console.door import Refused, store_of
from console.ports import left_running, taken_ports
from drill.network import Habits, Network
from drill.outsourcer import next_to
from incident.home import Home
from incident.settings import Settings, load_settings
from incident.store.agents import add_agent, list_agents
from incident.store.engine import Store
from incident.store.incidents import ActiveIncident, active_incidents
from pbx.ami import AmiClient
from pbx.runtime.part import Part, PartEvent
from pbx.runtime.programs import asterisk_at
from pbx.runtime.supervisor import Supervisor
from pbx.runtime.tree import Tree

PLANS: Final = Path(__file__).resolve().parents[1] / "plans"
SAMPLE_PLANS: Final = (PLANS / "sample.yaml", PLANS / "second.yaml")

SETTINGS: Final = """\
# A PBX on {bind}, the simulated public on {public}, an outsourcer's trunk on {outsourcer}, and an
# empty carrier at {probe} for calls of your own.
bind = "{bind}"

[agents]
wrapup_seconds = {wrapup}
ring_seconds = 10

[prompts]
engine = "offline"

[[carrier]]
name = "public"
host = "{public}"
max_channels = 40
calls_per_second = 5.0

[[carrier]]
name = "probe"
host = "{probe}"
max_channels = 10
calls_per_second = 5.0

[[carrier]]
name = "outsourcer"
host = "{outsourcer}"
max_channels = 30
calls_per_second = 5.0
"""


@dataclass(frozen=True, slots=True)
class Addresses:
    """The loopback addresses of one stage; two stages at once need different ones."""

    bind: str = "127.0.0.1"
    public: str = "127.0.0.2"
    probe: str = "127.0.0.3"
    agents: str = "127.0.0.4"

    @property
    def outsourcer(self) -> str:
        """The outsourcer's side of the simulated public."""
        return next_to(self.agents)


@dataclass(frozen=True, slots=True)
class Stage:
    """A running system. ``public``: the simulated network's AMI."""

    home: Home
    settings: Settings
    tree: Tree
    store: Store
    supervisor: Supervisor
    network: Network
    public: AmiClient
    agents: tuple[str, ...]

    async def incident(self, name: str) -> ActiveIncident:
        """An active incident by its id."""
        return next(each for each in await active_incidents(self.store) if each.id == name)


def write_settings(home: Home, at: Addresses, wrapup: int = 2) -> None:
    """Give a home its settings, unless it has some."""
    if home.settings_file.exists():
        return
    home.root.mkdir(parents=True, exist_ok=True, mode=0o700)
    content = SETTINGS.format(
        bind=at.bind, public=at.public, probe=at.probe, outsourcer=at.outsourcer, wrapup=wrapup
    )
    home.settings_file.write_text(content, encoding="utf-8")


@asynccontextmanager
async def staged(
    home: Home,
    tree: Tree,
    *,
    at: Addresses,
    habits: Habits,
    agents: Sequence[str],
    plans: Sequence[Path] = SAMPLE_PLANS,
    parts: Callable[[Part], bool] = lambda _part: True,
    on_part: Callable[[PartEvent], None] = lambda _event: None,
    progress: Progress = lambda _done, _total, _name: None,
) -> AsyncIterator[Stage]:
    """Prepare a home, start everything, and stop all of it on the way out.

    ``parts`` chooses which parts to run. Raises what activation and the supervisor raise.
    """
    settings = load_settings(home)
    network = Network(home, bind=at.public, agents_bind=at.agents, pbx=at.bind)
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(store_of(home, settings, create=True))
        for plan in plans:
            await activate_plan(home, settings, store, plan, progress)
        await _add_agents(store, agents)
        await render_home(home, settings, tree, store)
        accounts = [(agent.number, agent.password) for agent in await list_agents(store)]
        await asyncio.to_thread(
            lambda: network.render(
                accounts,
                habits,
                modules=tree.modules,
                share=tree.data,
                moh=tree.moh,
                sounds=tree.sounds,
            )
        )
        taken = [] if left_running(home) else taken_ports(settings)
        if taken:
            raise Refused("; ".join(str(each) for each in taken))
        wanted = [part for part in system_parts(home, settings, tree) if parts(part)]
        supervisor = Supervisor([*_with_public(wanted, tree, network)], home.run, on_part)
        stack.push_async_callback(supervisor.stop)
        await supervisor.start()
        public = AmiClient(network.bind, network.ami_port, "drill", network.ami_secret())
        stack.push_async_callback(public.stop)
        await public.start()
        await public.wait_ready(10)
        yield Stage(
            home, settings, tree, store, supervisor, network, public, tuple(a for a, _ in accounts)
        )


async def _add_agents(store: Store, numbers: Sequence[str]) -> None:
    incidents = [each.id for each in await active_incidents(store)]
    there = {agent.number for agent in await list_agents(store)}
    for number in numbers:
        if number not in there:
            await add_agent(store, number, incidents, ["en", "es"], time.time())


def _with_public(parts: Sequence[Part], tree: Tree, network: Network) -> list[Part]:
    """The parts, with the simulated network right after the PBX that it talks to."""
    outside = asterisk_at(
        tree,
        "public network",
        network.config,
        network.home.log / "public.out",
        (network.bind, network.ami_port),
    )
    at = [part.name for part in parts].index("asterisk") + 1
    return [*parts[:at], outside, *parts[at:]]
