"""``breachline drill surge``: an influx of simulated callers, ending in one verdict."""

from __future__ import annotations

import asyncio
import dataclasses
import ipaddress
import json
import signal
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager, AsyncExitStack, nullcontext
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from console.door import Bar, Refused, err, run
from console.drill_report import Watch, as_json, print_drill
from console.drill_running import running_scene
from console.drill_stage import Crew, drill_scene, own_home, write_drill_settings
from console.ports import left_running
from console.stage import Addresses
from drill.character import Patience, Temper
from drill.shape import Shape
from drill.surge import Influx, Scene, Surge
from drill.verdict import Figures, Limits, judge
from incident.home import Home
from incident.settings import load_settings
from pbx.runtime.part import PartEvent

drill_app = typer.Typer(no_args_is_help=True, help="Practise the day before it comes.")

PATIENCE_FOR: Final = 300.0
"""Seconds of influx for which the default patience is people's own (180 s on average); a shorter
drill has shorter-tempered callers, so that as many give up in it."""
LIMITS: Final = Limits()
_INFLUX: Final = "What comes"
_CALLERS: Final = "Callers"
_CREW: Final = "Agents"
_LIMITS: Final = "What ready means"
_WHERE: Final = "What it comes to"
_OUT: Final = "Measuring and what comes out"
_SHARE: Final = {"min": 0.0, "max": 1.0}


class Stopped(Exception):
    """The drill was stopped before its end: ``figures`` of what was, and no verdict."""

    def __init__(self, figures: Figures) -> None:
        self.figures = figures
        placed = figures.calls - figures.redials
        super().__init__(f"stopped after {placed:,} of {figures.planned:,} calls, no verdict")


@drill_app.command()
def surge(
    calls: Annotated[
        int, typer.Option(min=1, max=3000, help="First calls.", rich_help_panel=_INFLUX)
    ] = 600,
    minutes: Annotated[
        float, typer.Option(min=0.05, max=240, help="In which they come.", rich_help_panel=_INFLUX)
    ] = 5.0,
    agents: Annotated[
        int, typer.Option(min=1, max=200, help="Signed in.", rich_help_panel=_CREW)
    ] = 8,
    shape: Annotated[
        Shape, typer.Option(help="How they are spread over the time.", rich_help_panel=_INFLUX)
    ] = Shape.FLAT,
    *,
    seed: Annotated[
        int, typer.Option(help="The same seed gives the same callers.", rich_help_panel=_INFLUX)
    ] = 1,
    home: Annotated[
        Path, typer.Option("--home", help="The drill's own home.", rich_help_panel=_WHERE)
    ] = Path("var/drill"),
    off: Annotated[
        bool,
        typer.Option(
            "--off",
            help="Without announced waits, kept places and overflow.",
            rich_help_panel=_WHERE,
        ),
    ] = False,
    compare: Annotated[
        bool,
        typer.Option("--compare", help="With all of it, then without.", rich_help_panel=_WHERE),
    ] = False,
    json_file: Annotated[
        Path | None,
        typer.Option(
            "--json", help="Write the figures as JSON to this file.", rich_help_panel=_OUT
        ),
    ] = None,
    within: Annotated[
        float, typer.Option(min=1, help="Service level: seconds.", rich_help_panel=_LIMITS)
    ] = 30.0,
    talk: Annotated[
        str, typer.Option(help="Seconds that agents talk: least-most.", rich_help_panel=_CREW)
    ] = "20-40",
    wrapup: Annotated[
        int, typer.Option(min=0, max=600, help="Seconds after each call.", rich_help_panel=_CREW)
    ] = 3,
    self_service: Annotated[
        float,
        typer.Option(
            **_SHARE, help="Share of callers whom an answer serves.", rich_help_panel=_CALLERS
        ),
    ] = 0.60,
    patience: Annotated[
        float | None,
        typer.Option(
            min=1,
            help="Mean seconds of waiting; 180 for 5 minutes and more, else less.",
            rich_help_panel=_CALLERS,
        ),
    ] = None,
    patience_shape: Annotated[
        Patience, typer.Option(help="How patience is spread.", rich_help_panel=_CALLERS)
    ] = Patience.EXPONENTIAL,
    accepts: Annotated[
        float,
        typer.Option(
            **_SHARE, help="Share of those waiting who take a call-back.", rich_help_panel=_CALLERS
        ),
    ] = 0.37,
    redials: Annotated[
        float,
        typer.Option(
            **_SHARE,
            help="Share of those who gave up that call again, once and soon.",
            rich_help_panel=_CALLERS,
        ),
    ] = 0.30,
    service_level: Annotated[
        float,
        typer.Option(
            **_SHARE, help="Limit: share answered in time, at least.", rich_help_panel=_LIMITS
        ),
    ] = LIMITS.service_level,
    abandonment: Annotated[
        float,
        typer.Option(
            **_SHARE, help="Limit: share that gives up, at most.", rich_help_panel=_LIMITS
        ),
    ] = LIMITS.abandonment,
    wrong: Annotated[
        float,
        typer.Option(
            **_SHARE,
            help="Limit: share of announcements that were too low.",
            rich_help_panel=_LIMITS,
        ),
    ] = LIMITS.wrong,
    quiet: Annotated[
        float,
        typer.Option(
            min=5, help="Seconds of watching the machine afterwards.", rich_help_panel=_OUT
        ),
    ] = 20.0,
    drain: Annotated[
        float,
        typer.Option(
            min=1, help="Seconds that calls and call-backs may go on.", rich_help_panel=_OUT
        ),
    ] = 900.0,
    listen: Annotated[
        bool,
        typer.Option(
            "--listen/--no-listen", help="Measure silence (needs root).", rich_help_panel=_OUT
        ),
    ] = True,
    net: Annotated[
        str,
        typer.Option(help="Loopback network of the drill: three bytes.", rich_help_panel=_WHERE),
    ] = "127.0.0",
) -> None:
    """Simulate an influx of calls, and say whether the system and its agents are ready for it."""
    if off and compare:
        raise typer.BadParameter("it is a part of --compare already", param_hint="--off")
    seconds = minutes * 60
    influx = Influx(
        calls=calls,
        seconds=seconds,
        shape=shape,
        seed=seed,
        temper=Temper(
            self_service=self_service,
            patience=patience or 180 * min(1.0, seconds / PATIENCE_FOR),
            patience_shape=patience_shape,
            accepts=accepts,
            redials=redials,
            redial_after=30 * min(1.0, seconds / PATIENCE_FOR),
        ),
        target=within,
        listen=listen,
        quiet_after=quiet,
        drain=drain,
    )
    crew = Crew(agents, _range(talk), wrapup)
    limits = Limits(
        service_level=service_level, abandonment=abandonment, wrong=wrong, silence=listen
    )
    at = _addresses(net)
    drills: dict[str, Callable[[], Coroutine[Any, Any, Figures]]] = {}
    figures: dict[str, Figures] = {}
    stopped: Stopped | None = None
    if run(_is_up(home)):
        if off or compare:
            raise Refused(
                "a system is up in this home: what is switched off stands in its breachline.toml. "
                "Compare in a home of the drill's own (another --home)"
            )
        drills["running"] = lambda: _running(Home.at(home), crew, influx)
    else:
        for name in ("on", "off") if compare else ("off",) if off else ("on",):
            drills[name] = partial(_surge, home / name, at, crew, influx, off=name == "off")
    for name, drill in drills.items():
        try:
            figures[name] = run(drill())
        except Stopped as early:
            figures[name], stopped = early.figures, early
            break
    found = {
        name: (each, None if stopped and each is stopped.figures else judge(each, limits))
        for name, each in figures.items()
    }
    print_drill(found)
    if json_file is not None:
        report = {name: as_json(*each) for name, each in found.items()}
        json_file.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    verdict = next(iter(found.values()))[1]
    if stopped is not None:
        err.print(str(stopped), soft_wrap=True)
        raise typer.Exit(1)
    if verdict is not None and not verdict.ready:
        err.print(str(verdict), soft_wrap=True)
        raise typer.Exit(1)


async def _is_up(root: Path) -> bool:
    """Whether a system runs in this home. Raises Refused for a system's home where none does."""
    home = Home.at(root)
    if left_running(home):
        return True
    if home.settings_file.exists():
        raise Refused(
            f"{home.root} is the home of a system, and nothing runs there. Start it "
            f"('breachline up --home {home.root}') and drill again, or name another --home: the "
            "drill then starts a system of its own"
        )
    return False


def _range(talk: str) -> tuple[int, int]:
    least, dash, most = talk.partition("-")
    if not (least.isdecimal() and most.isdecimal() and dash and 0 < int(least) <= int(most)):
        raise typer.BadParameter("two whole numbers such as 20-40", param_hint="--talk")
    return int(least), int(most)


def _addresses(net: str) -> Addresses:
    addresses = [f"{net}.{last}" for last in (1, 2, 3, 4)]
    try:
        there = all(ipaddress.IPv4Address(each).is_loopback for each in addresses)
    except ValueError:
        there = False
    if not there:
        raise typer.BadParameter("three bytes of a loopback network", param_hint="--net")
    return Addresses(*addresses)


async def _surge(root: Path, at: Addresses, crew: Crew, influx: Influx, *, off: bool) -> Figures:
    """Against a system of the drill's own, started in ``root``."""
    home = await asyncio.to_thread(own_home, root)
    write_drill_settings(home, at, crew, off=off)
    comes = dataclasses.replace(influx, offered=not off)
    bar = Bar("prompts")
    scene = drill_scene(home, at, crew, report=err.print, progress=bar, on_part=_part)
    return await _on(scene, comes, bar)


async def _running(home: Home, crew: Crew, influx: Influx) -> Figures:
    """Against the system that is up in this home."""
    comes = dataclasses.replace(influx, offered=load_settings(home).waiting.keep_place)
    return await _on(running_scene(home, crew, report=err.print, on_part=_part), comes)


async def _on(
    scene: AbstractAsyncContextManager[Scene], influx: Influx, bar: Bar | None = None
) -> Figures:
    """Raises Stopped after Ctrl-C."""
    stop = asyncio.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    async with AsyncExitStack() as stack:
        with bar or nullcontext():
            started = await stack.enter_async_context(scene)
        watch = stack.enter_context(Watch())
        figures = await Surge(started, influx, watch).run(stop)
    if stop.is_set():
        raise Stopped(figures)
    return figures


def _part(event: PartEvent) -> None:
    if event.kind in ("died", "restarting"):
        err.print(f"{event.name} {event.kind} {event.detail}", style="yellow")
