"""``breachline up``: the whole system on a real configuration, until it is told to stop."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

from console.assemble import (
    prometheus_configuration,
    put_in_force,
    reload_if_running,
    render_home,
    system_parts,
)
from console.door import (
    DEFAULT_HOME,
    Bar,
    HomeOption,
    Refused,
    err,
    out,
    run,
    settings_of,
    store_of,
)
from console.ports import left_running, taken_ports
from incident.store.engine import Store
from incident.store.incidents import ActiveIncident, active_incidents
from incident.store.schema import IncidentRow
from pbx.runtime.part import PartEvent
from pbx.runtime.supervisor import Supervisor
from pbx.runtime.tree import ensure_tree


def up(home: HomeOption = DEFAULT_HOME) -> None:
    """Start everything in this home and keep it running; Ctrl-C or SIGTERM stops it."""
    run(_up(home))


def render(home: HomeOption = DEFAULT_HOME) -> None:
    """Write the files that Asterisk and Prometheus read, and start nothing (for containers)."""
    changed = run(_render(home))
    out.print(f"{changed} of Asterisk's files written anew")


async def _render(where: Path) -> int:
    home, settings = settings_of(where)
    tree = await asyncio.to_thread(ensure_tree, settings, err.print)
    async with store_of(home, settings, create=True) as store:
        changed = await render_home(home, settings, tree, store)
    await asyncio.to_thread(prometheus_configuration, home, settings)
    return len(changed)


async def _text(store: Store, incident: ActiveIncident) -> str:
    async with store.read() as session:
        row = await session.get_one(IncidentRow, incident.id)
        return row.plan_text


async def _up(where: Path) -> None:
    home, settings = settings_of(where)
    tree = await asyncio.to_thread(ensure_tree, settings, err.print)
    async with store_of(home, settings) as store:
        incidents = await active_incidents(store)
        if not incidents:
            raise Refused(
                f"no incident is active in {home.root}. First: breachline incident activate PLAN"
            )
        for each in incidents:
            # A restored home has no prompts, a new release may have new house texts.
            with Bar(f"{each.id}: prompts") as bar:
                text = await _text(store, each)
                await put_in_force(home, settings, store, each.plan, text=text, progress=bar)
        await render_home(home, settings, tree, store)
    if not left_running(home) and (taken := taken_ports(settings)):
        raise Refused("; ".join(str(each) for each in taken))
    kept: list[str] = []

    def tell(event: PartEvent) -> None:
        if event.kind == "started" and event.detail.startswith("kept"):
            kept.append(event.name)
        elif event.kind != "started":
            err.print(f"{event.name}: {event.kind} {event.detail}".rstrip())

    supervisor = Supervisor(system_parts(home, settings, tree), home.run, tell)
    stop = asyncio.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    try:
        await supervisor.start()
        if "asterisk" in kept:
            # It ran on from before, on the files of before.
            await reload_if_running(home, settings)
        for each in incidents:
            err.print(f"{each.id}: answering {each.did}")
        ports = settings.metrics
        err.print(f"Prometheus: http://{settings.bind}:{ports.prometheus_port}/")
        await stop.wait()
        err.print("stopping")
    finally:
        await supervisor.stop()
