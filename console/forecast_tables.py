"""A forecast in words and tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from typing import Final

from rich import box
from rich.table import Table
from rich.text import Text

from ivr.staffing.correct import Correction
from ivr.staffing.days import DaySummary, channels_in, summaries, total_agents
from ivr.staffing.forecast import Forecast

_MOST_DAYS: Final = 35


def number(value: float) -> str:
    """Three figures count: 7,580 and not 7,579.6; small numbers as they are."""
    if value >= 1000:
        return f"{round(value, -1 if value < 10_000 else -2):,.0f}"
    return f"{value:,.0f}"


def between(low: float, high: float) -> str:
    return f"{number(low)}–{number(high)}"


def many(value: int, what: str) -> str:
    return f"{value:,} {what}" if value != 1 else f"1 {what.removesuffix('s')}"


def long_day(day: date) -> str:
    return f"{day:%A} {day.day} {day:%B}"


def short_day(day: date) -> str:
    return f"{day:%a} {day.day:2d} {day:%b}"


def seconds(value: float) -> str:
    return f"{value:.0f} s" if value < 120 else f"{value / 60:.1f} min"


def ranked(title: str, headings: Sequence[str], rows: Iterable[Sequence[object]]) -> Table:
    """A table whose first column is a name and whose others are numbers, right-aligned; made to
    fit 80 columns."""
    built = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        padding=0,
        show_edge=False,
    )
    for at, heading in enumerate(headings):
        built.add_column(heading, justify="left" if at == 0 else "right", no_wrap=True)
    for row in rows:
        built.add_row(*(Text(str(cell)) for cell in row))
    return built


def in_words(
    forecast: Forecast, days: Sequence[DaySummary], correction: Correction | None = None
) -> Iterator[str]:
    """What matters, a sentence each."""
    scenario = forecast.scenario
    values = {
        each.day: correction.day(each.day) if correction else (each.calls, each.low, each.high)
        for each in days
    }
    staffed = max(days, key=lambda each: each.agents)
    total = sum(calls for calls, _, _ in values.values())
    busiest = max(days, key=lambda each: values[each.day][0]).day
    calls, low, high = values[busiest]
    yield (
        f"Expect {number(total)} calls from {scenario.people:,} people until "
        f"{long_day(days[-1].day)} {days[-1].day.year}; the busiest day is {long_day(busiest)} "
        f"with {number(calls)} ({between(low, high)} in 80 of 100 cases)."
    )
    at = forecast.ground.quarters[staffed.peak].start
    yield (
        f"For {scenario.target.target()}: {many(staffed.agents, 'agents')} on "
        f"{long_day(staffed.day)} at {at:%H:%M} ({staffed.agents_low:,}–{staffed.agents_high:,}), "
        f"{staffed.rota:,} on the rota with {scenario.service.shrinkage:.0%} shrinkage; "
        f"{many(max(each.channels for each in days), 'inbound channels')}."
    )
    if scenario.agents is not None:
        yield _with_agents(forecast, days)
    yield from _notices(forecast, days)


def _with_agents(forecast: Forecast, days: Sequence[DaySummary]) -> str:
    """What callers meet on the worst day; of days alike, on the busiest."""
    there = many(forecast.scenario.agents or 0, "agents")
    met = [
        (round(each.answered, 2), -each.to_agents, each.mean_wait or 0, each.abandoned or 0, each)
        for each in days
        if each.answered is not None and each.to_agents >= 1
    ]
    if not met:
        return f"With {there}: hardly anybody asks for one at an open hour."
    answered, _, wait, abandoned, worst = min(met, key=lambda each: each[:2])
    target = forecast.scenario.target.target()
    within = target.seconds if target.kind == "answered" else 30
    return (
        f"With {there}: on {long_day(worst.day)} {answered:.0%} are answered within {within:g} s, "
        f"the mean wait is {seconds(wait)}, {abandoned:.0%} hang up, {number(worst.redials)} calls "
        f"are redials and {number(worst.kept)} callers choose a call-back."
    )


def _notices(forecast: Forecast, days: Sequence[DaySummary]) -> Iterator[str]:
    notices = forecast.ground.notices
    if not notices:
        return
    people = forecast.scenario.calls.people
    reached = sum(each.reached for each in notices)
    agents = max(each.notice_agents for each in days)
    channels = max(each.notice_channels for each in days)
    if forecast.finish is None:
        yield (
            f"Notice calls: no end is in sight at this pace; {number(notices[-1].left)} of "
            f"{people:,} people are still to be called on {notices[-1].day}."
        )
    else:
        yield (
            f"Notice calls: the last on {long_day(forecast.finish)} {forecast.finish.year}; "
            f"{number(reached)} of {people:,} people are reached; at most "
            f"{many(agents, 'agents')} and {many(channels, 'channels')} are busy with them."
        )


def worth_showing(days: Sequence[DaySummary]) -> list[DaySummary]:
    """The first weeks' days on which anything happens, and the last."""
    busy = [each for each in days if each.calls >= 0.5 or each.mailed or each.notice_calls]
    return busy if len(busy) <= _MOST_DAYS else [*busy[: _MOST_DAYS - 1], busy[-1]]


def day_table(forecast: Forecast, days: Sequence[DaySummary]) -> Table:
    """Calls and agents by day."""
    rows = [
        [
            short_day(each.day),
            number(each.calls),
            between(each.low, each.high),
            number(each.to_agents),
            each.agents,
            f"{each.agents_low}–{each.agents_high}",
            each.rota,
            number(each.agent_hours),
            each.channels,
        ]
        for each in days
        if each.calls >= 0.5 or each.notice_calls
    ]
    headings = ("day", "calls", "range", "to agents", "agents", "range", "rota", "hours")
    title = f"By day, for {forecast.scenario.target.target()}"
    return ranked(title, (*headings, "channels"), rows)


def notice_table(days: Sequence[DaySummary]) -> Table:
    """Notice calls by day."""
    rows = [
        [
            short_day(each.day),
            number(each.mailed),
            number(each.notice_calls),
            number(each.reached),
            each.notice_agents,
            each.notice_channels,
        ]
        for each in days
        if each.notice_calls >= 0.5 or each.mailed
    ]
    headings = ("day", "letters", "calls placed", "reached", "agents", "channels")
    return ranked("Notices going out", headings, rows)


def service_table(forecast: Forecast, days: Sequence[DaySummary]) -> Table:
    """What callers meet, by day, with the agents there are."""
    target = forecast.scenario.target.target()
    within = target.seconds if target.kind == "answered" else 30
    rows = [
        [
            short_day(each.day),
            number(each.to_agents),
            *_met(each),
            number(each.redials),
            number(each.kept),
            number(each.turned_away),
            max(forecast.points[i].agents for i in forecast.of(each.day)),
        ]
        for each in days
        if each.to_agents >= 0.5
    ]
    headings = ("day", "to agents", f"in {within:g} s", "mean wait", "hang up", "again")
    title = f"What callers meet with {many(forecast.scenario.agents or 0, 'agents')}"
    return ranked(title, (*headings, "call-backs", "lost", "needed"), rows)


def _met(day: DaySummary) -> tuple[str, str, str]:
    if not day.hours:
        return "closed", "-", "-"
    if day.answered is None or day.mean_wait is None or day.abandoned is None:
        return "-", "-", "-"
    return f"{day.answered:.0%}", seconds(day.mean_wait), f"{day.abandoned:.1%}"


def quarter_table(forecast: Forecast, day: date) -> Table:
    """A day's open quarter hours."""
    rows = []
    for i in forecast.of(day):
        quarter, point = forecast.ground.quarters[i], forecast.shown[i]
        if not quarter.open:
            continue
        rows.append(
            [
                f"{quarter.start:%H:%M}",
                number(point.calls),
                between(forecast.low[i], forecast.high[i]),
                number(point.calls - point.to_agents),
                total_agents(forecast, i),
                forecast.points[i].check + forecast.notice_agents(i),
                f"{point.answered_in_time:.0%}",
                seconds(point.mean_wait),
                f"{point.abandoned / point.to_agents:.1%}" if point.to_agents else "-",
                f"{point.occupancy:.0%}",
                number(point.redials),
                channels_in(forecast, i),
            ]
        )
    target = forecast.scenario.target.target()
    within = target.seconds if target.kind == "answered" else 30
    headings = ("from", "calls", "range", "self", "agents", "rule")
    met = (f"in {within:g} s", "wait", "hang up", "busy", "again", "channels")
    return ranked(f"{long_day(day)}, by quarter hour", (*headings, *met), rows)


def language_table(forecast: Forecast, days: Sequence[DaySummary]) -> Table:
    """Agents for each language's own queue beside agents who speak them all."""
    languages = list(forecast.languages)
    rows = []
    for each in days:
        if each.calls < 0.5:
            continue
        own = [
            max(forecast.languages[language][i].agents for i in forecast.of(each.day))
            for language in languages
        ]
        together = max(forecast.points[i].agents for i in forecast.of(each.day))
        rows.append([short_day(each.day), *own, sum(own), together])
    headings = ("day", *languages, "together", "if each speaks all")
    return ranked("Agents at the peak, by language (inbound)", headings, rows)


def correction_words(correction: Correction) -> Iterator[str]:
    """What the real counts say."""
    hours = correction.hours
    after, before = correction.after, correction.before
    first = f"{hours:g} hours" if hours < 48 else f"{hours / 24:.1f} days"
    start = f"First {first}: {number(correction.observed)} calls, "
    if correction.expected < 0.5:
        start += "where none were forecast"
    else:
        start += f"{correction.ratio:.2g} times the forecast"
    day = correction.next_peak
    if day is None:
        yield f"{start}. The forecast's days are over."
        return
    calls, low, high = correction.day(day)
    new = next(each for each in summaries(after) if each.day == day)
    old = next(each for each in summaries(before) if each.day == day)
    change = "as before" if new.agents == old.agents else f"instead of {old.agents}"
    yield (
        f"{start}; expect {number(calls)} calls on {long_day(day)} ({between(low, high)}), "
        f"{many(new.agents, 'agents')} at the peak ({new.agents_low}–{new.agents_high}), {change}."
    )
    shift = after.belief.shift
    if shift:
        word = "later" if shift > 0 else "earlier"
        days = "day" if abs(shift) == 1 else "days"
        yield (
            f"The response comes {abs(shift)} {days} {word} than assumed "
            f"(probability {after.belief.weights[shift]:.0%})."
        )
    if correction.left_out:
        n = correction.left_out
        were = (
            "1 count outside the forecast's days was"
            if n == 1
            else (f"{n} counts outside the forecast's days were")
        )
        yield f"{were} left out."


def correction_table(correction: Correction) -> Table:
    """Days before and after the real counts."""
    rows = []
    pairs = zip(summaries(correction.before), summaries(correction.after), strict=True)
    for old, new in pairs:
        calls, low, high = correction.day(new.day)
        counted = sum(correction.seen.get(i, 0.0) for i in correction.after.of(new.day))
        if max(calls, old.calls) < 0.5:
            continue
        rows.append(
            [
                short_day(new.day),
                number(counted) if counted else "",
                number(old.calls),
                between(old.low, old.high),
                number(calls),
                between(low, high) if low < high else "",
                old.agents,
                new.agents,
            ]
        )
    headings = ("day", "counted", "before", "range", "now", "range")
    return ranked("Corrected by real counts", (*headings, "agents", "now"), rows)
