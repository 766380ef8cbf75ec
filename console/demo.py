"""``breachline demo``: the main job on the sample incident against the simulated public."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Final

import typer

from console.assemble import activate_plan, render_home, system_parts
from console.demo_summary import Summary, gather_summary, print_summary
from console.door import Bar, Refused, err, run, settings_of, store_of
from console.live import Live, drained
from dialer.control import create_campaign, pause_campaign, start_campaign
from drill.agents import sign_in
from drill.callers import Callers, Intent
from drill.network import Habits, Network
from drill.people import people, write_csv
from incident.contacts import import_contacts
from incident.home import Home
from incident.settings import Settings
from incident.store.agents import add_agent, list_agents
from incident.store.engine import Store
from incident.store.incidents import active_incidents
from pbx.ami import AmiClient, Event
from pbx.runtime.part import PartEvent
from pbx.runtime.programs import asterisk_at
from pbx.runtime.supervisor import Supervisor
from pbx.runtime.tree import Tree, ensure_tree

PLANS: Final = Path(__file__).resolve().parents[1] / "plans"
INCIDENTS: Final = ("sample.yaml", "second.yaml")
AGENTS: Final = tuple(str(number) for number in range(1001, 1009))
CONTACTS: Final = 140
CALLS_PER_SECOND: Final = 0.6
FIRST: Final = Intent("what happened", ((1, "1"), (1.5, "1")))
DRAIN: Final = 75.0
"""Seconds that calls in progress have to end after the last one was placed."""

SETTINGS: Final = """\
# The demo's settings: a PBX on {bind}, the simulated public on {public}, and an empty
# carrier at {probe} for calls of your own.
bind = "{bind}"

[agents]
wrapup_seconds = 2
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
"""


@dataclass
class Demo:
    """One demo run's moving parts."""

    home: Home
    settings: Settings
    tree: Tree
    network: Network
    store: Store
    began: float
    seconds_to_first_call: float | None = None
    deaths: list[PartEvent] = field(default_factory=list)

    def first_answer(self, event: Event) -> None:
        """The first call that the hotline's PBX answered."""
        if self.seconds_to_first_call is None and event.get("Response") == "Success":
            self.seconds_to_first_call = time.time() - self.began

    def on_part(self, event: PartEvent) -> None:
        if event.kind in ("died", "restarting"):
            self.deaths.append(event)
            err.print(f"[yellow]{event.name} {event.kind}[/yellow] {event.detail}")
        elif event.kind == "ready":
            err.print(f"{time.time() - self.began:6.1f} s  {event.name} is ready")


def demo(
    seconds: Annotated[
        int, typer.Option("--for", min=20, max=86400, help="Seconds of calls.")
    ] = 120,
    home: Annotated[Path, typer.Option("--home", help="The demo's own home.")] = Path("var/demo"),
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write the summary as JSON to this file.")
    ] = None,
) -> None:
    """Answer calls and notify people of a fictional breach, on a real Asterisk, for a while."""
    summary = run(_demo(home, seconds))
    print_summary(summary)
    if json_file is not None:
        json_file.write_text(json.dumps(summary.as_json(), indent=2) + "\n", encoding="utf-8")
    problem = summary.problem()
    if problem:
        raise Refused(problem)


async def _demo(where: Path, seconds: int) -> Summary:
    began = command_started()
    _write_settings(Home.at(where))
    home, settings = settings_of(where)
    tree = await asyncio.to_thread(ensure_tree, settings, err.print)
    network = Network(
        home,
        bind=settings.carrier[0].host,
        agents_bind=loopback_after(settings.carrier[1].host),
        pbx=settings.bind,
    )
    async with store_of(home, settings) as store:
        run_ = Demo(home, settings, tree, network, store, began)
        phones = await _prepare(run_)
        network.render(
            phones,
            Habits(slow_every=40),
            modules=tree.modules,
            share=tree.data,
            moh=tree.moh,
            sounds=tree.sounds,
        )
        async with _running(run_) as stop, _public(run_) as public:
            return await _one_day(run_, public, seconds, stop)


async def _prepare(demo_run: Demo) -> list[tuple[str, str]]:
    """Incidents in force, agents there, Asterisk's files written; the agents' accounts."""
    home, settings, store = demo_run.home, demo_run.settings, demo_run.store
    for name in INCIDENTS:
        with Bar(f"{name}: prompts") as bar:
            await activate_plan(home, settings, store, PLANS / name, bar)
    incidents = [each.id for each in await active_incidents(store)]
    there = {agent.number for agent in await list_agents(store)}
    for number in AGENTS:
        if number not in there:
            await add_agent(store, number, incidents, ["en", "es"], time.time())
    await render_home(home, settings, demo_run.tree, store)
    return [(agent.number, agent.password) for agent in await list_agents(store)]


@asynccontextmanager
async def _running(demo_run: Demo) -> AsyncIterator[asyncio.Event]:
    """All parts up; on the way out all of them down. Yields what Ctrl-C sets."""
    parts = system_parts(demo_run.home, demo_run.settings, demo_run.tree)
    network = demo_run.network
    outside = asterisk_at(
        demo_run.tree,
        "public network",
        network.config,
        demo_run.home.log / "public.out",
        (network.bind, network.ami_port),
    )
    parts.insert([part.name for part in parts].index("asterisk") + 1, outside)
    supervisor = Supervisor(parts, demo_run.home.run, demo_run.on_part)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, stop.set)
    try:
        await supervisor.start()
        yield stop
    finally:
        err.print("stopping")
        await supervisor.stop()


@asynccontextmanager
async def _public(demo_run: Demo) -> AsyncIterator[AmiClient]:
    network = demo_run.network
    ami = AmiClient(network.bind, network.ami_port, "drill", network.ami_secret())
    await ami.start()
    try:
        await ami.wait_ready(10)
        yield ami
    finally:
        await ami.stop()


async def _one_day(demo_run: Demo, public: AmiClient, seconds: int, stop: asyncio.Event) -> Summary:
    """Callers call and the campaign dials for ``seconds``; then what is in progress may end."""
    ends = time.time() + seconds
    callers = _callers(public)
    first = await callers[0].place(FIRST)
    first.add_done_callback(lambda _: None)
    undo = public.subscribe(["OriginateResponse"], demo_run.first_answer)
    await sign_in(public, AGENTS)
    campaign = await _campaign(demo_run)
    work = asyncio.gather(
        callers[0].run(calls=round(seconds * CALLS_PER_SECOND), seconds=seconds * 0.9),
        callers[1].run(calls=max(4, round(seconds / 15)), seconds=seconds * 0.8),
    )
    stopped = asyncio.ensure_future(stop.wait())
    try:
        with Live(demo_run.store, campaign, callers) as live:
            while time.time() < ends and not stopped.done():
                await live.show()
                await asyncio.wait([stopped], timeout=1.0)
            work.cancel()
            await pause_campaign(demo_run.store, campaign, time.time())
            await drained(demo_run.store, campaign, callers, live, DRAIN)
    finally:
        work.cancel()
        stopped.cancel()
        undo()
    for each in callers:
        each.close()
    return await gather_summary(demo_run.store, campaign, callers, demo_run.seconds_to_first_call)


def _callers(public: AmiClient) -> list[Callers]:
    """The sample incident's callers and a few of the second incident's."""
    return [Callers(public, "18005550199", seed=1), Callers(public, "18005550123", seed=2)]


async def _campaign(demo_run: Demo) -> str:
    """Import the demo's list (again is harmless) and start a campaign on it."""
    store, now = demo_run.store, time.time()
    incident = next(each for each in await active_incidents(store) if each.id == "northwind")
    listed = demo_run.home.root / "contacts.csv"
    write_csv(listed, people(CONTACTS, seed=7))
    report = await import_contacts(store, incident, listed, now=now)
    err.print(f"contacts: {report.added} added, {report.known} known, {report.rejected} rejected")
    campaign = f"demo-{int(now)}"
    await create_campaign(
        store,
        demo_run.settings,
        campaign,
        incident=incident.id,
        carrier="public",
        now=now,
        ring_seconds=15,
        max_lines=20,
        calls_per_second=5.0,
        calling_hours=None,
        retry_rules=None,
    )
    await start_campaign(store, campaign, now)
    return campaign


def loopback_after(address: str) -> str:
    """The next address, for the agents' telephones beside the demo's carriers."""
    return str(ipaddress.ip_address(address) + 1)


def command_started() -> float:
    """When the command was typed: the launcher becomes this process, so its own start."""
    ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
    uptime = float(Path("/proc/uptime").read_text().split()[0])
    return time.time() - (uptime - ticks / os.sysconf("SC_CLK_TCK"))


def _write_settings(home: Home) -> None:
    if home.settings_file.exists():
        return
    home.root.mkdir(parents=True, exist_ok=True, mode=0o700)
    content = SETTINGS.format(bind="127.0.0.1", public="127.0.0.2", probe="127.0.0.3")
    home.settings_file.write_text(content, encoding="utf-8")
