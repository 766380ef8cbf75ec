"""``incident check|activate``, ``prompts build|check|script``, ``agents add|list``."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, cast

import typer

from console.assemble import activate_plan, reload_if_running, render_home
from console.door import (
    DEFAULT_HOME,
    Bar,
    HomeOption,
    JsonOption,
    Refused,
    err,
    out,
    print_json,
    run,
    settings_of,
    store_of,
    table,
)
from incident.events import nudge
from incident.plan import check_plan, describe_problems, load_plan
from incident.store.agents import add_agent, list_agents
from incident.store.incidents import active_incidents
from pbx.prompts.build import build
from pbx.prompts.check import check
from pbx.prompts.script import Layout, recording_script
from pbx.runtime.tree import ensure_tree

incident_app = typer.Typer(no_args_is_help=True, help="Incident plans: check, put in force.")
prompts_app = typer.Typer(no_args_is_help=True, help="Spoken texts: render, check, script.")
agents_app = typer.Typer(no_args_is_help=True, help="Agents' telephones.")

PlanArgument = Annotated[Path, typer.Argument(help="The plan, a YAML file.", exists=True)]


@incident_app.command("check")
def incident_check(plan: PlanArgument, as_json: JsonOption = False) -> None:
    """Explain every mistake of a plan, with its line."""
    problems = check_plan(plan)
    if as_json:
        print_json([asdict(problem) for problem in problems])
    elif problems:
        err.print(describe_problems(str(plan), problems), markup=False, soft_wrap=True)
    if problems:
        raise Refused(f"{plan}: {len(problems)} mistakes; mend them and check again")
    if not as_json:
        out.print(f"{plan}: no mistakes")


@incident_app.command("activate")
def incident_activate(plan: PlanArgument, home: HomeOption = DEFAULT_HOME) -> None:
    """Render a plan's prompts and put it in force; a running system takes it over at once."""
    run(_activate(home, plan))


async def _activate(where: Path, plan: Path) -> None:
    home, settings = settings_of(where)
    tree = ensure_tree(settings, err.print)
    async with store_of(home, settings, create=True) as store:
        with Bar("prompts") as bar:
            done = await activate_plan(home, settings, store, plan, bar)
        await render_home(home, settings, tree, store)
    running = await reload_if_running(home, settings)
    await nudge(settings.mqtt_url(), settings.node)
    incident = done.incident
    out.print(f"{incident.id}: in force on {incident.did}, content {incident.content_version[:12]}")
    if not running:
        out.print(f"Nothing runs in this home. Next: breachline up --home {home.root}")


@prompts_app.command("build")
def prompts_build(
    plan: PlanArgument,
    again: Annotated[bool, typer.Option("--again", help="Render what is there, too.")] = False,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Render every text of a plan that is new or has changed. Puts nothing on the air."""
    at, settings = settings_of(home)
    ensure_tree(settings, err.print)
    with Bar("prompts") as bar:
        report = build(at, load_plan(plan), settings, progress=bar, again=again)
    for finding in report.findings:
        err.print(str(finding), markup=False)
    if report.fell_back:
        err.print(f"offline engines were used: {report.fell_back}", markup=False)
    out.print(f"{report.rendered} rendered, {report.reused} unchanged, {report.studio} from studio")


@prompts_app.command("check")
def prompts_check(plan: PlanArgument, home: HomeOption = DEFAULT_HOME) -> None:
    """Find missing, stale, silent or clipped audio."""
    at, settings = settings_of(home)
    report = check(at, load_plan(plan), settings)
    for finding in report.findings:
        err.print(str(finding), markup=False)
    if not report.ok:
        raise Refused("callers would hear the faults above; next: breachline prompts build PLAN")
    out.print(f"{report.checked} prompts are there, current and audible")


@prompts_app.command("script")
def prompts_script(
    plan: PlanArgument,
    layout: Annotated[str, typer.Option(help="markdown, html or text.")] = "markdown",
) -> None:
    """Print a recording script for a voice artist."""
    if layout not in ("markdown", "html", "text"):
        raise Refused(f"there is no layout {layout!r}; there are: markdown, html, text")
    typer.echo(recording_script(load_plan(plan), cast(Layout, layout)))


@agents_app.command("add")
def agents_add(
    number: Annotated[str, typer.Argument(help="The agent's number, for example 1001.")],
    incidents: Annotated[
        str, typer.Option(help="Incident ids, separated by commas; or all.")
    ] = "all",
    languages: Annotated[str, typer.Option(help="Languages, separated by commas.")] = "en,es",
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Make a SIP account for an agent and print what the telephone needs."""
    run(_add_agent(home, number, incidents, languages))


async def _add_agent(where: Path, number: str, incidents: str, languages: str) -> None:
    home, settings = settings_of(where)
    tree = ensure_tree(settings, err.print)
    async with store_of(home, settings) as store:
        active = [each.id for each in await active_incidents(store)]
        chosen = active if incidents == "all" else _split(incidents)
        unknown = sorted(set(chosen) - set(active))
        if unknown or not chosen:
            raise Refused(
                f"no active incident {', '.join(unknown) or 'at all'}; "
                f"active: {', '.join(active) or 'none'}. First: breachline incident activate PLAN"
            )
        agent = await add_agent(store, number, chosen, _split(languages), time.time())
        await render_home(home, settings, tree, store)
    await reload_if_running(home, settings)
    out.print(
        table(
            f"Agent {number}: settings for the telephone",
            ("setting", "value"),
            (
                ("server", f"{settings.bind}:{settings.asterisk.sip_port} (UDP or TCP)"),
                ("user", f"agent-{agent.number}"),
                ("password", agent.password),
                ("codecs", "PCMU, PCMA"),
                ("keys", "*11 sign in, *12 out, *13 pause, *14 ready, *43 echo test, *7 machine"),
            ),
        )
    )


@agents_app.command("list")
def agents_list(home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """The agents' accounts, without their passwords."""
    rows = run(_agents(home))
    if as_json:
        print_json(rows)
        return
    out.print(table("Agents", ("number", "incidents", "languages"), (r.values() for r in rows)))


async def _agents(where: Path) -> list[dict[str, str]]:
    home, settings = settings_of(where)
    async with store_of(home, settings) as store:
        return [
            {
                "number": each.number,
                "incidents": ", ".join(each.incidents),
                "languages": ", ".join(each.languages),
            }
            for each in await list_agents(store)
        ]


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]
