"""``plan``: how many calls will come, when, and the agents and channels that they take."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer
from rich.console import Console

from console.door import Refused, err, out
from console.forecast_files import document, quarter_rows, write_csv, write_json
from console.forecast_notes import day_notes, deadline
from console.forecast_tables import (
    correction_table,
    correction_words,
    day_table,
    in_words,
    language_table,
    notice_table,
    quarter_table,
    service_table,
    worth_showing,
)
from incident.plan import load_plan
from ivr.staffing.actual import CountsUnreadable, read_counts
from ivr.staffing.correct import Correction, NothingToCompare, correct
from ivr.staffing.days import DaySummary, summaries
from ivr.staffing.erlang_a import BeyondReach
from ivr.staffing.forecast import Forecast, Ground, ground, make, next_mailing_day
from ivr.staffing.load import ScenarioRefused, read_scenario, scenario
from ivr.staffing.notice import NoPace
from ivr.staffing.scenario import Scenario
from ivr.staffing.target import OutOfReach
from ivr.staffing.write import as_yaml

_PEOPLE = "People and days"
_CALLERS = "Callers"
_AGENTS = "Agents"
_NOTICE = "Notice calls"
_OUTPUT = "What comes out"

_KEYS: dict[str, tuple[str, ...]] = {
    "people": ("people",),
    "letters_from": ("letters", "first"),
    "letters_days": ("letters", "days"),
    "days": ("days",),
    "peak_share": ("response", "peak_share"),
    "response": ("response", "total"),
    "decay_days": ("response", "decay_days"),
    "uncertainty": ("response", "uncertainty"),
    "self_service": ("service", "self_service"),
    "handle_seconds": ("service", "handle_seconds"),
    "patience_seconds": ("service", "patience_seconds"),
    "shrinkage": ("service", "shrinkage"),
    "redial_share": ("redials", "share"),
    "call_back_share": ("call_backs", "accepted"),
    "mean_wait": ("target", "mean_wait_seconds"),
    "abandonment": ("target", "abandoned"),
    "agents": ("agents",),
    "call_people": ("calls", "people"),
    "calls_from": ("calls", "first"),
    "calls_per_day": ("calls", "per_day"),
    "notice_agents": ("calls", "agents"),
    "notice_channels": ("calls", "channels"),
}
"""Options that are a key of the scenario."""
_FILE_WIDTH = 120
_GUESSED_SPANISH = 0.13
_GUESSED_OTHER = 0.02

Text = str | None


def _option(text: str, panel: str, *names: str, metavar: str | None = None) -> Any:
    return typer.Option(*names, help=text, rich_help_panel=panel, metavar=metavar)


def plan(
    scenario_file: Annotated[
        Path | None,
        typer.Argument(
            metavar="[SCENARIO]", help="A YAML file of assumptions.", exists=True, dir_okay=False
        ),
    ] = None,
    *,
    people: Annotated[
        Text, _option("How many people are to be notified.", _PEOPLE, metavar="N")
    ] = None,
    incident: Annotated[
        Path | None,
        typer.Option(
            help="An incident's plan: its hours and languages.",
            rich_help_panel=_PEOPLE,
            exists=True,
            dir_okay=False,
        ),
    ] = None,
    letters_from: Annotated[
        Text, _option("First mailing day (default: the next working day).", _PEOPLE, metavar="DATE")
    ] = None,
    letters_days: Annotated[
        Text, _option("Mailing days, Mondays to Fridays (3).", _PEOPLE, metavar="N")
    ] = None,
    days: Annotated[Text, _option("Days to look ahead (28 or more).", _PEOPLE, metavar="N")] = None,
    languages: Annotated[
        Text, _option("Shares, for example en=87%,es=13%.", _PEOPLE, metavar="SHARES")
    ] = None,
    peak_share: Annotated[
        Text, _option("Calls on the busiest day, of the people (0.9 %).", _CALLERS, metavar="SHARE")
    ] = None,
    response: Annotated[
        Text,
        _option("Calls in all, of the people; instead of --peak-share.", _CALLERS, metavar="SHARE"),
    ] = None,
    decay_days: Annotated[
        Text, _option("Mean days from letter to call (3).", _CALLERS, metavar="DAYS")
    ] = None,
    uncertainty: Annotated[
        Text,
        _option(
            "How unsure the volume is, as a standard deviation (0.6).", _CALLERS, metavar="NUMBER"
        ),
    ] = None,
    self_service: Annotated[
        Text, _option("Share that needs no agent (40 %).", _CALLERS, metavar="SHARE")
    ] = None,
    patience_seconds: Annotated[
        Text, _option("Mean wait until hanging up (180).", _CALLERS, metavar="SECONDS")
    ] = None,
    redial_share: Annotated[
        Text, _option("Of those who hang up, who call again (50 %).", _CALLERS, metavar="SHARE")
    ] = None,
    call_back_share: Annotated[
        Text,
        _option(
            "Of those who wait a minute, who choose a call-back (37 %).", _CALLERS, metavar="SHARE"
        ),
    ] = None,
    agents: Annotated[
        Text, _option("What happens with so many agents.", _AGENTS, metavar="N")
    ] = None,
    service_level: Annotated[
        Text, _option("Per cent within seconds (80/30).", _AGENTS, metavar="80/30")
    ] = None,
    mean_wait: Annotated[
        Text, _option("Instead: at most so many seconds.", _AGENTS, metavar="SECONDS")
    ] = None,
    abandonment: Annotated[
        Text, _option("Instead: at most so many hang up.", _AGENTS, metavar="SHARE")
    ] = None,
    handle_seconds: Annotated[
        Text,
        _option("An agent's time for a call, record included (300).", _AGENTS, metavar="SECONDS"),
    ] = None,
    shrinkage: Annotated[
        Text, _option("Share of paid time away from calls (30 %).", _AGENTS, metavar="SHARE")
    ] = None,
    call_people: Annotated[
        Text, _option("People to call as well (all).", _NOTICE, metavar="N")
    ] = None,
    calls_from: Annotated[Text, _option("First day of calls.", _NOTICE, metavar="DATE")] = None,
    calls_per_day: Annotated[
        Text, _option("Calls placed a day at most.", _NOTICE, metavar="N")
    ] = None,
    notice_agents: Annotated[
        Text, _option("Agents for notice calls.", _NOTICE, metavar="N")
    ] = None,
    notice_channels: Annotated[
        Text, _option("Channels for notice calls.", _NOTICE, metavar="N")
    ] = None,
    actual: Annotated[
        Path | None,
        typer.Option(
            help=(
                "Real counts, to correct the forecast by: a CSV with columns such as time (date, "
                "start, interval), calls (offered, received, count) and perhaps end or minutes."
            ),
            rich_help_panel=_OUTPUT,
            exists=True,
            dir_okay=False,
        ),
    ] = None,
    day: Annotated[
        Text, _option("The day shown by quarter hour (the busiest).", _OUTPUT, metavar="DATE")
    ] = None,
    json_file: Annotated[
        Path | None, _option("Write everything as JSON.", _OUTPUT, "--json")
    ] = None,
    csv_file: Annotated[
        Path | None, _option("Write every quarter hour as CSV.", _OUTPUT, "--csv")
    ] = None,
    plots: Annotated[
        Path | None, _option("Draw plots (SVG and PNG) into this folder.", _OUTPUT)
    ] = None,
    assumptions: Annotated[
        bool,
        _option("Print all assumptions as a scenario file, and stop.", _OUTPUT, "--assumptions"),
    ] = False,
) -> None:
    """Forecast calls, agents and channels by quarter hour from the people to notify.

    Only --people is needed, for example --people 814000. --agents 60 shows what happens with 60
    agents; --actual counts.csv corrects the forecast by the first hours.
    """
    options = dict(locals())
    try:
        chosen = _scenario(options, scenario_file, incident, languages, service_level)
        if assumptions:
            typer.echo(as_yaml(chosen), nl=False)
            return
        today = _today(chosen.hours.zone)
        base = ground(chosen, next_mailing_day(today))
        correction, understood = _correction(base, actual)
        forecast = correction.after if correction else make(base)
    except ScenarioRefused as error:
        if error.by_options:
            raise typer.BadParameter(str(error)) from error
        raise Refused(str(error)) from error
    except (CountsUnreadable, NothingToCompare) as error:
        raise Refused(str(error)) from error
    except (NoPace, OutOfReach, BeyondReach) as error:
        raise Refused(str(error)) from error
    days_ahead = summaries(forecast)
    shown = _day_shown(day, forecast, days_ahead)
    words = list(
        _words(
            forecast, days_ahead, correction, understood=understood, incident=incident, today=today
        )
    )
    if json_file is not None:
        write_json(json_file, document(forecast, days_ahead, words, correction, understood))
        err.print(f"written to {json_file}")
    if csv_file is not None:
        write_csv(csv_file, quarter_rows(forecast, correction.seen if correction else None))
        err.print(f"written to {csv_file}")
    if plots is not None:
        from console.plots import draw  # noqa: PLC0415 - matplotlib takes a second to load

        for path in draw(plots, forecast, days_ahead, correction, shown):
            err.print(f"written to {path}")
    _print(forecast, days_ahead, correction, words, shown)


def _today(zone: ZoneInfo) -> date:
    return datetime.now(zone).date()


def _scenario(
    params: dict[str, Any],
    file: Path | None,
    incident: Path | None,
    languages: str | None,
    service_level: str | None,
) -> Scenario:
    given: dict[str, tuple[tuple[str, ...], Any]] = {
        "--" + name.replace("_", "-"): (key, params[name])
        for name, key in _KEYS.items()
        if params[name] is not None
    }
    written = read_scenario(file) if file is not None else None
    if "--people" not in given and (written is None or written.value("people") is None):
        raise typer.BadParameter(
            "how many people are to be notified? --people 814000, or a scenario file",
            param_hint="--people",
        )
    if languages is not None:
        given["--languages"] = (("languages",), dict(_shares(languages)))
    if service_level is not None:
        share, within = _level(service_level)
        given["--service-level"] = (("target", "service_level"), share)
        if within is not None:
            given["--service-level "] = (("target", "within_seconds"), within)
    by_phone = any(name.startswith(("--calls-", "--notice-")) for name in given)
    if by_phone and "--call-people" not in given:
        known = written.value("calls", "people") if written else None
        everybody = given["--people"][1] if "--people" in given else None
        given["--call-people"] = (
            ("calls", "people"),
            known or everybody or (written.value("people") if written else None),
        )
    otherwise: dict[str, Any] = {}
    if incident is not None:
        found = load_plan(incident)
        otherwise = {"hours": found.hours, "languages": _guess(found.languages)}
    return scenario(written, given, otherwise)


def _shares(text: str) -> Iterator[tuple[str, str]]:
    found = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*([a-z]{2,3})\s*[=:]\s*(.+?)\s*", part)
        if match is None:
            raise typer.BadParameter(
                f"--languages: {part.strip()!r} is no share; write en=87%,es=13%"
            )
        found.append((match[1], match[2]))
    if len({language for language, _ in found}) < len(found):
        raise typer.BadParameter("--languages: a language is named twice")
    # en=87,es=13 can only be percent.
    plain = all(re.fullmatch(r"\d+(\.\d+)?", share) for _, share in found)
    percent = " %" if plain and sum(float(share) for _, share in found) > 50 else ""
    yield from ((language, share + percent) for language, share in found)


def _level(text: str) -> tuple[str, str | None]:
    match = re.fullmatch(r"\s*([\d.]+)\s*%?\s*(?:/\s*([\d.]+)\s*s?\s*)?", text)
    if match is None:
        raise typer.BadParameter(
            f"--service-level: {text!r} is none; write 80/30 for 80 % within 30 seconds"
        )
    return f"{match[1]} %", match[2]


def _guess(languages: tuple[str, ...]) -> dict[str, float]:
    """Shares that nobody has told: one in eight homes in the United States speaks Spanish."""
    first = "en" if "en" in languages else languages[0]
    others = {
        each: _GUESSED_SPANISH if each == "es" else _GUESSED_OTHER
        for each in languages
        if each != first
    }
    return {first: 1 - sum(others.values()), **others}


def _correction(base: Ground, actual: Path | None) -> tuple[Correction | None, str]:
    """The correction, and in words how the counts were read."""
    if actual is None:
        return None, ""
    counts = read_counts(actual, base.scenario.hours.zone, base.first)
    for note in counts.notes:
        err.print(f"{actual}: {note}")
    return correct(base, counts.counts), counts.understood


def _day_shown(day: str | None, forecast: Forecast, days: list[DaySummary]) -> date:
    if day is None:
        return max(days, key=lambda each: each.agents).day
    try:
        chosen = date.fromisoformat(day)
    except ValueError as error:
        raise typer.BadParameter(f"--day: {day!r} is not a date; write 2026-12-07") from error
    if chosen not in forecast.ground.days:
        raise typer.BadParameter(f"--day: {day} is not within {days[0].day} to {days[-1].day}")
    return chosen


def _words(
    forecast: Forecast,
    days: list[DaySummary],
    correction: Correction | None,
    *,
    understood: str,
    incident: Path | None,
    today: date,
) -> Iterator[str]:
    if correction is not None:
        yield from correction_words(correction)
        yield f"Read: {understood}."
    yield from in_words(forecast, days, correction)
    yield from day_notes(forecast, today, counted=correction is not None)
    if incident is not None:
        yield from deadline(load_plan(incident), forecast)


def _print(
    forecast: Forecast,
    days: list[DaySummary],
    correction: Correction | None,
    words: list[str],
    shown: date,
) -> None:
    for sentence in words:
        out.print(sentence)
    out.print()
    shown_days = worth_showing(days)
    tables = [] if correction is None else [correction_table(correction)]
    tables.append(day_table(forecast, shown_days))
    if forecast.ground.notices:
        tables.append(notice_table(shown_days))
    if forecast.given is not None:
        tables.append(service_table(forecast, shown_days))
    if forecast.languages:
        tables.append(language_table(forecast, shown_days))
    tables.append(quarter_table(forecast, shown))
    # Into a file, nothing is cut off.
    to = out if out.is_terminal else Console(highlight=False, markup=False, width=_FILE_WIDTH)
    for each in tables:
        to.print(each)
        to.print()
    if len(shown_days) < sum(each.calls >= 0.5 for each in days):
        out.print("Of so many days the first weeks and the last day are shown; --csv has them all.")
    out.print(_assumed(forecast))


def _assumed(forecast: Forecast) -> str:
    told, service = forecast.scenario.response, forecast.scenario.service
    peak = f"a peak of {told.peak_share:.2%} of the people" if told.total is None else "the total"
    return (
        f"Assumed: {peak} ({forecast.ground.per_person:.1%} call in all), "
        f"{service.self_service:.0%} need no agent, {service.handle_seconds:g} s a call, patience "
        f"{service.patience_seconds:g} s, times in {forecast.scenario.hours.timezone}. "
        "All of it, to change: --assumptions."
    )
