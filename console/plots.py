"""Plots of a forecast, as SVG and PNG. matplotlib draws without a display, and is loaded only here.

Colours are of Okabe and Ito's set, which people with any kind of colour vision tell apart; what is
forecast, counted and ranged also differs in shape.
"""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ivr.staffing.correct import Correction
from ivr.staffing.days import DaySummary, total_agents
from ivr.staffing.erlang_a import Rates, answered_within, performance
from ivr.staffing.forecast import Forecast
from ivr.staffing.quarters import QUARTER, SECONDS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_BLUE, _ORANGE, _GREEN, _RED, _GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#666666"
_STYLE: Any = {
    "font.size": 10,
    "axes.titlesize": 12,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "grid.color": "#dddddd",
    "axes.axisbelow": True,
    "legend.framealpha": 0.85,
    "legend.edgecolor": "none",
    "svg.hashsalt": "breachline",
    "savefig.dpi": 120,
}


def draw(
    folder: Path,
    forecast: Forecast,
    days: Sequence[DaySummary],
    correction: Correction | None,
    day: date,
) -> list[Path]:
    """Draw calls, agents and waits into ``folder`` (made if it is not there); ``day``: the one
    shown by quarter hour. Returns the files. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    with _matplotlib() as new_figure:
        drawn = {
            "calls": _calls(new_figure, forecast, days, correction, day),
            "agents": _agents(new_figure, forecast, days, correction, day),
            "waits": _waits(new_figure, forecast, day),
        }
        written = []
        for name, figure in drawn.items():
            for kind in ("svg", "png"):
                path = folder / f"{name}.{kind}"
                # Without the hour of drawing: the same forecast gives the same file.
                figure.savefig(path, metadata={"Date": None} if kind == "svg" else None)
                written.append(path)
    return written


@contextmanager
def _matplotlib() -> Iterator[Callable[[], Figure]]:
    """matplotlib with the Agg canvas and our style; it keeps its font list where it may write."""
    if "MPLCONFIGDIR" not in os.environ and not os.access(Path.home(), os.W_OK):
        os.environ["MPLCONFIGDIR"] = tempfile.mkdtemp(prefix="breachline-plots-")
    import matplotlib as mpl  # noqa: PLC0415
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415

    def new_figure() -> Figure:
        figure = Figure(figsize=(10, 7), layout="constrained")
        FigureCanvasAgg(figure)
        return figure

    with mpl.rc_context(_STYLE):
        yield new_figure


def _zone(forecast: Forecast) -> str:
    return forecast.scenario.hours.timezone


def _dates(axes: Axes, days: Sequence[date], busiest: date) -> None:
    """Ticks at even steps of the calendar, the busiest day among them."""
    length = (days[-1] - days[0]).days + 1
    step = max(1, -(-length // 14))
    ticked = [
        day
        for day in (days[0] + timedelta(days=n) for n in range(length))
        if (day - busiest).days % step == 0
    ]
    axes.set_xticks([_number(day) for day in ticked])
    axes.set_xticklabels([f"{day:%a}\n{day.day} {day:%b}" for day in ticked])


def _hours(axes: Axes, forecast: Forecast, shown: Sequence[datetime]) -> None:
    step = 1 if len(shown) < 72 else 2
    ticked = [at for at in shown if at.minute == 0 and at.hour % step == 0]
    axes.set_xticks([_number(at) for at in ticked])
    axes.set_xticklabels([f"{at:%H:%M}" for at in ticked])
    axes.set_xlim(_number(shown[0]), _number(_after(shown[-1])))
    axes.set_xlabel(f"time of day, {_zone(forecast)}")


def _number(moment: datetime | date) -> float:
    """A moment as matplotlib counts days."""
    from matplotlib.dates import date2num  # noqa: PLC0415

    return float(date2num(moment))  # type: ignore[no-untyped-call]


def _after(quarter: datetime) -> datetime:
    """The end of a quarter hour, also where the clocks change."""
    return (quarter.astimezone(UTC) + QUARTER).astimezone(quarter.tzinfo)


def _thousands(axes: Axes) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator  # noqa: PLC0415

    axes.yaxis.set_major_locator(MaxNLocator(nbins=7, integer=True))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.set_ylim(bottom=0)


def _day_text(day: date) -> str:
    return f"{day:%A} {day.day} {day:%B %Y}"


def _open_quarters(forecast: Forecast, day: date) -> list[int]:
    """The open quarters of a day, and an hour on either side."""
    indexes = forecast.of(day)
    opened = [i for i in indexes if forecast.ground.quarters[i].open] or indexes
    return [i for i in indexes if opened[0] - 4 <= i <= opened[-1] + 4]


def _calls(
    new_figure: Callable[[], Figure],
    forecast: Forecast,
    days: Sequence[DaySummary],
    correction: Correction | None,
    day: date,
) -> Figure:
    figure = new_figure()
    above, below = figure.subplots(2, 1, height_ratios=(1.1, 1))
    _calls_by_day(above, forecast, days, correction)
    _calls_by_quarter(below, forecast, correction, day)
    return figure


def _calls_by_day(
    axes: Axes, forecast: Forecast, days: Sequence[DaySummary], correction: Correction | None
) -> None:
    shown = [each for each in days if each.calls >= 0.5] or list(days)
    x = [_number(each.day) for each in shown]
    if correction is None:
        values = [(each.calls, each.low, each.high) for each in shown]
    else:
        values = [correction.day(each.day) for each in shown]
    lows = [max(0.0, value - low) for value, low, _ in values]
    highs = [max(0.0, high - value) for value, _, high in values]
    axes.bar(x, [value for value, _, _ in values], 0.7, color=_BLUE, alpha=0.85, label="forecast")
    axes.errorbar(
        x,
        [value for value, _, _ in values],
        yerr=[lows, highs],
        fmt="none",
        ecolor=_GREY,
        elinewidth=1.2,
        capsize=3,
        label="80 of 100 outcomes",
    )
    if correction is not None:
        before = {
            day: sum(correction.before.shown[i].calls for i in correction.before.of(day))
            for day in (each.day for each in shown)
        }
        axes.hlines(
            [before[each.day] for each in shown],
            [at - 0.42 for at in x],
            [at + 0.42 for at in x],
            color=_ORANGE,
            linewidth=2.5,
            label="forecast before the counts",
        )
        counted = _counted_days(correction)
        axes.plot(
            [_number(day) for day in counted],
            list(counted.values()),
            color=_RED,
            marker="D",
            linestyle="none",
            label="counted so far",
            zorder=5,
        )
    busiest = max(zip(values, shown, strict=True), key=lambda pair: pair[0][0])[1].day
    _dates(axes, [each.day for each in shown], busiest)
    _thousands(axes)
    axes.set_ylabel("calls a day")
    axes.set_title(f"Calls by day ({forecast.scenario.people:,} people to notify)")
    axes.legend(loc="upper right")


def _counted_days(correction: Correction) -> dict[date, float]:
    counted: dict[date, float] = {}
    for i, calls in correction.seen.items():
        day = correction.after.ground.quarters[i].day
        counted[day] = counted.get(day, 0.0) + calls
    return {day: calls for day, calls in counted.items() if calls}


def _calls_by_quarter(
    axes: Axes, forecast: Forecast, correction: Correction | None, day: date
) -> None:
    if correction is not None:
        day = forecast.ground.quarters[max(correction.seen)].day
    indexes = _open_quarters(forecast, day)
    starts = [forecast.ground.quarters[i].start for i in indexes]
    x = [_number(start + QUARTER / 2) for start in starts]
    axes.fill_between(
        x,
        [forecast.low[i] for i in indexes],
        [forecast.high[i] for i in indexes],
        color=_BLUE,
        alpha=0.18,
        linewidth=0,
        label="80 of 100 outcomes",
    )
    calls = [forecast.shown[i].calls for i in indexes]
    axes.plot(x, calls, color=_BLUE, linewidth=2, label="forecast, redials included")
    if any(forecast.shown[i].redials > 0.02 * forecast.shown[i].calls + 0.5 for i in indexes):
        first = [forecast.shown[i].fresh for i in indexes]
        axes.plot(x, first, color=_BLUE, linewidth=1.2, linestyle=":", label="without redials")
    if correction is not None:
        before = [correction.before.shown[i].calls for i in indexes]
        label = "forecast before the counts"
        axes.plot(x, before, color=_ORANGE, linewidth=1.8, linestyle="--", label=label)
        seen = [i for i in indexes if i in correction.seen]
        axes.plot(
            [_number(forecast.ground.quarters[i].start + QUARTER / 2) for i in seen],
            [correction.seen[i] for i in seen],
            color=_RED,
            marker="D",
            markersize=4.5,
            linestyle="none",
            label="counted",
            zorder=5,
        )
    _hours(axes, forecast, starts)
    _thousands(axes)
    axes.set_ylabel("calls a quarter hour")
    axes.set_title(f"Calls by quarter hour, {_day_text(day)}")
    axes.legend(loc="upper right")


def _agents(
    new_figure: Callable[[], Figure],
    forecast: Forecast,
    days: Sequence[DaySummary],
    correction: Correction | None,
    day: date,
) -> Figure:
    figure = new_figure()
    above, below = figure.subplots(2, 1, height_ratios=(1, 1.1))
    shown = [each for each in days if each.agents] or list(days)
    x = [_number(each.day) for each in shown]
    above.bar(x, [each.rota for each in shown], 0.7, color=_GREEN, alpha=0.35, label="on the rota")
    above.bar(x, [each.agents for each in shown], 0.7, color=_GREEN, label="at the peak")
    above.errorbar(
        x,
        [each.agents for each in shown],
        yerr=[
            [max(0, each.agents - each.agents_low) for each in shown],
            [max(0, each.agents_high - each.agents) for each in shown],
        ],
        fmt="none",
        ecolor=_GREY,
        capsize=3,
        elinewidth=1.2,
        label="80 of 100 outcomes",
    )
    _dates(above, [each.day for each in shown], max(shown, key=lambda each: each.agents).day)
    _thousands(above)
    above.set_ylabel("agents")
    above.set_title(f"Agents by day, for {forecast.scenario.target.target()}")
    above.legend(loc="upper right")
    _agents_by_quarter(below, forecast, correction, day)
    return figure


def _agents_by_quarter(
    axes: Axes, forecast: Forecast, correction: Correction | None, day: date
) -> None:
    indexes = _open_quarters(forecast, day)
    starts = [forecast.ground.quarters[i].start for i in indexes]
    edges = [_number(start) for start in starts] + [_number(_after(starts[-1]))]
    notices = [forecast.notice_agents(i) for i in indexes]
    both = [total_agents(forecast, i) for i in indexes]
    axes.stairs(both, edges, fill=True, color=_GREEN, alpha=0.8, label="agents needed")
    if any(notices):
        axes.stairs(notices, edges, fill=True, color=_ORANGE, label="of them on notice calls")
    rule = [forecast.points[i].check + n for i, n in zip(indexes, notices, strict=True)]
    axes.stairs(rule, edges, color="black", linestyle=":", linewidth=1.5, label="square-root rule")
    if correction is not None:
        old = [total_agents(correction.before, i) for i in indexes]
        label = "needed before the counts"
        axes.stairs(old, edges, color=_RED, linewidth=1.8, linestyle="--", label=label)
    if forecast.scenario.agents is not None:
        label = f"the {forecast.scenario.agents} agents there are"
        label += ", and those" if any(notices) else ""
        there = [
            float(forecast.scenario.agents + n) if forecast.ground.quarters[i].open else math.nan
            for i, n in zip(indexes, notices, strict=True)
        ]
        axes.stairs(there, edges, baseline=None, color=_BLUE, linewidth=2, label=label)
    _hours(axes, forecast, starts)
    _thousands(axes)
    axes.set_ylabel("agents")
    axes.set_ylim(0, 1.35 * max(*both, forecast.scenario.agents or 0, 3))  # the legend stands above
    axes.set_title(f"Agents by quarter hour, {_day_text(day)}")
    axes.legend(loc="upper right", ncols=2)


def _waits(new_figure: Callable[[], Figure], forecast: Forecast, day: date) -> Figure:
    """What callers meet: over the day, and, for its busiest quarter, with how many agents."""
    figure = new_figure()
    above, below = figure.subplots(2, 1)
    indexes = [i for i in _open_quarters(forecast, day) if forecast.ground.quarters[i].open]
    indexes = indexes or _open_quarters(forecast, day)
    starts = [forecast.ground.quarters[i].start for i in indexes]
    edges = [_number(start) for start in starts] + [_number(_after(starts[-1]))]
    waits = [forecast.shown[i].mean_wait for i in indexes]
    label = "mean wait (left)"
    above.stairs(waits, edges, color=_BLUE, linewidth=2, label=label, baseline=None)
    above.set_ylabel("seconds")
    above.set_ylim(0, max(10.0, 1.4 * max(waits)))
    right = above.twinx()
    right.grid(visible=False)
    target = forecast.scenario.target.target()
    within = target.seconds if target.kind == "answered" else 30.0
    points = [forecast.shown[i] for i in indexes]
    in_time = [100 * point.answered_in_time for point in points]
    lost = [100 * p.abandoned / p.to_agents if p.to_agents else 0.0 for p in points]
    for values, colour, line, label in (
        (in_time, _GREEN, "-.", f"answered within {within:g} s (right)"),
        (lost, _RED, "--", "hang up waiting (right)"),
    ):
        right.stairs(
            values, edges, color=colour, linewidth=1.8, linestyle=line, label=label, baseline=None
        )
    right.set_ylabel("per cent of callers")
    right.set_ylim(0, 130)  # the legend stands above
    right.set_yticks(range(0, 101, 20))
    right.spines["right"].set_visible(True)
    _hours(above, forecast, starts)
    there = forecast.scenario.agents
    what = "the agents that the target takes" if there is None else f"{there} agents"
    above.set_title(f"Waits with {what}, {_day_text(day)}")
    figure_lines = [*above.get_legend_handles_labels()[0], *right.get_legend_handles_labels()[0]]
    # On the right axes, which are drawn last: no line crosses the words.
    labels = [str(line.get_label()) for line in figure_lines]
    right.legend(figure_lines, labels, loc="upper right", ncols=3)
    _choice(below, forecast, max(indexes, key=lambda i: forecast.points[i].to_agents))
    return figure


def _choice(axes: Axes, forecast: Forecast, index: int) -> None:
    """Service level and hang-ups over the number of agents, for one quarter hour's calls."""
    point, target = forecast.points[index], forecast.scenario.target.target()
    service = forecast.scenario.service
    within = target.seconds if target.kind == "answered" else 30.0
    # Callers and call-backs that are due.
    work = point.to_agents + point.called_back - point.kept
    rates = Rates(work / SECONDS, 1 / service.handle_seconds, 1 / service.patience_seconds)
    spread = max(5, round(point.agents * 0.4))
    numbers = range(max(1, point.agents - spread), point.agents + spread // 2 + 2)
    in_time = [100 * answered_within(rates, n, within) for n in numbers]
    lost = [100 * performance(rates, n).abandoned for n in numbers]
    axes.plot(numbers, in_time, color=_BLUE, linewidth=2, label=f"answered within {within:g} s")
    axes.plot(numbers, lost, color=_RED, linewidth=1.8, linestyle="--", label="hang up waiting")
    axes.axvline(point.agents, color=_GREEN, linewidth=1.8, linestyle="-.", label="target kept")
    start = forecast.ground.quarters[index].start
    axes.set_xlabel("agents")
    axes.set_ylabel("per cent of callers")
    axes.set_ylim(0, 102)
    axes.set_xlim(numbers[0], numbers[-1])
    axes.set_title(
        f"The choice at {start:%H:%M}: {work:,.0f} calls and call-backs for agents, "
        f"{service.handle_seconds:g} s each"
    )
    axes.legend(loc="center right")
