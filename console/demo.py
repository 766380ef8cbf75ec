"""``breachline demo``: the main job on the sample incident against the simulated public."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import typer

from console.demo_summary import Summary, gather_summary, print_summary
from console.door import Bar, Refused, err, run
from console.live import Live, drained
from console.stage import Addresses, Stage, staged, write_settings
from dialer import control
from drill.agents import sign_in
from drill.callers import INTENTS, Callers, Intent
from drill.network import Habits
from drill.people import people, write_csv
from incident.contacts import import_contacts
from incident.home import Home
from incident.settings import load_settings
from pbx.ami import Event
from pbx.render import check_home
from pbx.runtime.part import PartEvent
from pbx.runtime.tree import ensure_tree

AGENTS: Final = tuple(str(number) for number in range(1001, 1015))
CONTACTS: Final = 140
CALLS_PER_SECOND: Final = 0.6
FIRST: Final = Intent("what happened", ((1, "1"), (1.5, "1")))
SHORT: Final = {intent: weight for intent, weight in INTENTS.items() if len(intent.keys) == 2}
"""What callers of the second, smaller incident want: its menus have no third level."""
LEAVE_NUMBER: Final = Intent("call me back", ((1, "1"), (1.5, "0"), (3, "1"), (3, "1"), (3, "1")))
CLOSED: Final = {
    **{intent: weight for intent, weight in SHORT.items() if not intent.agent},
    LEAVE_NUMBER: sum(weight for intent, weight in SHORT.items() if intent.agent),
}
"""The same while its agents are at home: by its plan it keeps office hours."""
DRAIN: Final = 75.0
"""Seconds that calls in progress have to end after the last one was placed."""


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
    summary = run(_demo(Home.at(home), seconds))
    print_summary(summary)
    if json_file is not None:
        json_file.write_text(json.dumps(summary.as_json(), indent=2) + "\n", encoding="utf-8")
    problem = summary.problem()
    if problem:
        raise Refused(problem)


class _Watch:
    """Tells what happens to the parts, and when the first call is answered."""

    def __init__(self) -> None:
        self.began = command_started()
        self.seconds_to_first_call: float | None = None

    def answered(self, event: Event) -> None:
        if self.seconds_to_first_call is None and event.get("Response") == "Success":
            self.seconds_to_first_call = time.time() - self.began
            err.print(f"{self.seconds_to_first_call:6.1f} s  first call answered")

    def part(self, event: PartEvent) -> None:
        if event.kind in ("died", "restarting"):
            err.print(f"{event.name} {event.kind} {event.detail}", style="yellow")
        elif event.kind == "ready":
            err.print(f"{time.time() - self.began:6.1f} s  {event.name} is ready")


async def _demo(home: Home, seconds: int) -> Summary:
    watch, at = _Watch(), Addresses()
    check_home(home)
    await asyncio.to_thread(write_settings, home, at)
    tree = await asyncio.to_thread(ensure_tree, load_settings(home), err.print)
    stop = asyncio.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    async with AsyncExitStack() as stack:
        with Bar("prompts") as bar:
            stage = await stack.enter_async_context(
                staged(
                    home,
                    tree,
                    at=at,
                    habits=Habits(slow_every=50),
                    agents=AGENTS,
                    on_part=watch.part,
                    progress=bar,
                )
            )
        stack.callback(err.print, "stopping")
        return await _one_day(stage, watch, seconds, stop)


async def _one_day(stage: Stage, watch: _Watch, seconds: int, stop: asyncio.Event) -> Summary:
    """Callers call and the campaign dials for ``seconds``; then what is in progress may end."""
    now = time.time()
    ends = now + seconds
    hours = (await stage.incident("lakeshore")).plan.hours
    staffed = all(
        hours.open_at(datetime.fromtimestamp(at, UTC)) for at in (now, ends, ends + DRAIN)
    )
    sample, second = (
        Callers(stage.public, "18005550199", 1),
        Callers(stage.public, "18005550123", 2, SHORT if staffed else CLOSED),
    )
    callers = [sample, second]
    undo = stage.public.subscribe(["OriginateResponse"], watch.answered)
    await sample.place(FIRST)
    await sign_in(stage.public, AGENTS)
    campaign = await _campaign(stage)
    arrivals = [
        asyncio.create_task(
            sample.run(calls=round(seconds * CALLS_PER_SECOND), seconds=seconds * 0.9),
            name="demo:callers",
        ),
        asyncio.create_task(
            second.run(calls=max(4, round(seconds / 15)), seconds=seconds * 0.8),
            name="demo:second-callers",
        ),
    ]
    stopped = asyncio.create_task(stop.wait(), name="demo:stop")
    try:
        with Live(stage.store, campaign, callers) as live:
            while time.time() < ends and not stopped.done():
                await live.show()
                await asyncio.wait([stopped], timeout=1.0)
            await control.pause(stage.store, campaign)
            for task in arrivals:
                task.cancel()
            await drained(stage.store, campaign, callers, live, DRAIN)
    finally:
        stopped.cancel()
        for task in arrivals:
            task.cancel()
        await asyncio.gather(*arrivals, stopped, return_exceptions=True)
        undo()
        for each in callers:
            each.close()
    return await gather_summary(
        stage.store, campaign, callers, began=watch.began, first=watch.seconds_to_first_call
    )


async def _campaign(stage: Stage) -> str:
    """Import the demo's list (again is harmless) and start a campaign on it."""
    store, now = stage.store, time.time()
    incident = await stage.incident("northwind")
    listed = stage.home.root / "contacts.csv"
    write_csv(listed, people(CONTACTS, seed=7))
    report = await import_contacts(store, incident, listed, now=now)
    err.print(f"contacts: {report.added} added, {report.known} known, {report.rejected} rejected")
    campaign = f"demo-{int(now)}"
    await control.create_campaign(
        store,
        stage.settings,
        campaign,
        incident.id,
        carrier="public",
        ring_seconds=15,
        max_lines=20,
        calling_hours="00:00-24:00 UTC",
        again=True,
    )
    await control.start(store, campaign)
    return campaign


def command_started() -> float:
    """When the command was typed: the launcher becomes this process, so its own start."""
    ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
    uptime = float(Path("/proc/uptime").read_text().split()[0])
    return time.time() - (uptime - ticks / os.sysconf("SC_CLK_TCK"))
