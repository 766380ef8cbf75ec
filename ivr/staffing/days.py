"""A forecast summed up by day."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date

from ivr.staffing.erlang_a import Rates
from ivr.staffing.erlang_b import channels_needed
from ivr.staffing.flow import Point
from ivr.staffing.forecast import Forecast
from ivr.staffing.quarters import SECONDS
from ivr.staffing.target import agents_needed

BUSY_SIGNALS = 0.001
"""Share of calls that may find every channel taken."""
_NOBODY = 1e-6
"""Calls that are none."""


@dataclass(frozen=True, slots=True)
class DaySummary:
    """``hours``: in which agents answer. ``calls`` between ``low`` and ``high`` in 80 of 100 cases.
    ``peak``: index of the quarter that takes most agents. ``agents``: for the target then, notice
    calls included, between ``agents_low`` and ``agents_high``; ``rota``: with shrinkage.
    ``agent_hours``: of the day.

    What callers meet with the agents there are (else with those): ``answered`` in time and
    ``abandoned`` as shares of ``to_agents``, ``mean_wait`` in seconds (None where nobody wants an
    agent at an open hour), ``redials``, and ``kept``, who choose a call-back. ``channels`` for
    inbound calls are those of the range's high end.
    """

    day: date
    hours: float
    mailed: float
    calls: float
    low: float
    high: float
    self_service: float
    to_agents: float
    peak: int
    agents: int
    agents_low: int
    agents_high: int
    rota: int
    agent_hours: float
    answered: float | None
    mean_wait: float | None
    abandoned: float | None
    redials: float
    kept: float
    turned_away: float
    channels: int
    notice_calls: float
    reached: float
    notice_agents: int
    notice_channels: int


def summaries(forecast: Forecast) -> list[DaySummary]:
    """One for each day."""
    return [_summary(forecast, day) for day in forecast.ground.days]


def _summary(forecast: Forecast, day: date) -> DaySummary:
    indexes = forecast.of(day)
    shown = [forecast.shown[i] for i in indexes]
    calls = sum(point.calls for point in shown)
    low, high = forecast.range_of(indexes)
    opened = [i for i in indexes if forecast.ground.quarters[i].open]
    waited = [forecast.shown[i] for i in opened]
    peak = max(indexes, key=lambda i: (total_agents(forecast, i), forecast.points[i].to_agents))
    few, many = (_scaled(forecast, peak, part / calls if calls else 1.0) for part in (low, high))
    wanting = sum(point.to_agents for point in shown)
    agents = total_agents(forecast, peak)
    notices = [each for each in forecast.ground.notices if each.day == day]
    return DaySummary(
        day=day,
        hours=len(opened) / 4,
        mailed=forecast.ground.mailed.get(day, 0.0),
        calls=calls,
        low=low,
        high=high,
        self_service=calls - wanting,
        to_agents=wanting,
        peak=peak,
        agents=agents,
        agents_low=few,
        agents_high=many,
        rota=rota(forecast, agents),
        agent_hours=sum(total_agents(forecast, i) for i in indexes) / 4,
        answered=_mean(waited, lambda point: point.answered_in_time),
        mean_wait=_mean(waited, lambda point: point.mean_wait),
        abandoned=_part(sum(p.abandoned for p in waited), sum(p.to_agents for p in waited)),
        redials=sum(point.redials for point in shown),
        kept=sum(point.kept for point in shown),
        turned_away=sum(point.turned_away for point in shown),
        channels=max((channels_in(forecast, i, high / calls) for i in indexes), default=0)
        if calls
        else 0,
        notice_calls=sum(each.placed for each in notices),
        reached=sum(each.reached for each in notices),
        notice_agents=max(forecast.notice_agents(i) for i in indexes),
        notice_channels=max(forecast.notice_channels(i) for i in indexes),
    )


def total_agents(forecast: Forecast, index: int) -> int:
    """Agents that the target takes in a quarter, those on notice calls included."""
    return forecast.points[index].agents + forecast.notice_agents(index)


def rota(forecast: Forecast, agents: int) -> int:
    """People to plan so that ``agents`` are there."""
    return math.ceil(agents / (1 - forecast.scenario.service.shrinkage) - 1e-9)


def _scaled(forecast: Forecast, index: int, factor: float) -> int:
    """Agents in a quarter if calls were ``factor`` times the forecast."""
    point = forecast.points[index]
    work = point.to_agents + point.called_back - point.kept
    needed = 0
    if point.agents and work > 0:
        service = forecast.scenario.service
        rates = (1 / service.handle_seconds, 1 / service.patience_seconds)
        target = forecast.scenario.target.target()
        # What the rule alone says, and what the settled quarter took beyond it.
        here = agents_needed(Rates(work / SECONDS, *rates), target)
        there = agents_needed(Rates(work * factor / SECONDS, *rates), target)
        needed = max(1, there + round((point.agents - here) * factor))
    return needed + forecast.notice_agents(index)


def channels_in(forecast: Forecast, index: int, factor: float = 1.0) -> int:
    """Inbound channels in a quarter, if calls were ``factor`` times the forecast."""
    return _channels(forecast.shown[index].channels * factor)


def _channels(load: float) -> int:
    # To a tenth of an erlang, upwards: many quarters then share one answer.
    return channels_needed(math.ceil(load * 10 - 1e-9) / 10, BUSY_SIGNALS)


def _part(of: float, whole: float) -> float | None:
    return of / whole if whole > _NOBODY else None


def _mean(points: Sequence[Point], value: Callable[[Point], float]) -> float | None:
    """Over the calls that want an agent."""
    return _part(
        sum(value(point) * point.to_agents for point in points),
        sum(point.to_agents for point in points),
    )
