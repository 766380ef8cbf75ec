"""The forecast: calls by quarter hour with a range, agents, channels, days, the calls' end."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from ivr.staffing.belief import Belief, before
from ivr.staffing.curve import ByDay, callers, delivered, mailing, total_response
from ivr.staffing.flow import Flow, Point
from ivr.staffing.notice import (
    FIRST_HOUR,
    LAST_HOUR,
    Capacity,
    NoticeDay,
    OneChannelForEachAgent,
    finished,
    notice_days,
)
from ivr.staffing.quarters import Quarter, quarters, spread, weekday
from ivr.staffing.ranges import around
from ivr.staffing.scenario import LONGEST_DAYS, Scenario

_LOOK_AHEAD = 28
_AFTER_LAST_NOTICE = 14
_FURTHEST = 120
"""Days shown for notice calls unless more are asked for; their end is found beyond them, too."""


@dataclass(frozen=True, slots=True)
class Ground:
    """What the days bring: letters and notice calls by day, the quarters, and calls by quarter
    for each shift of the response (before any scale)."""

    scenario: Scenario
    mailed: ByDay
    notices: tuple[NoticeDay, ...]
    quarters: tuple[Quarter, ...]
    capacity: Capacity
    per_person: float

    @property
    def first(self) -> date:
        return self.quarters[0].day

    @property
    def days(self) -> list[date]:
        return sorted({each.day for each in self.quarters})

    def delivered(self, shift: int = 0) -> ByDay:
        return delivered(self.mailed, self.scenario.response.delivery, shift)

    def fresh_by_day(self, shift: int) -> ByDay:
        """First calls by day if the scale is 1."""
        shape, hours = self.scenario.response, self.scenario.hours

        noticed = {day: each * self.per_person for day, each in self.delivered(shift).items()}
        for notice in self.notices:
            called = notice.reached * shape.after_call
            noticed[notice.day] = noticed.get(notice.day, 0.0) + called
        calls = callers(noticed, shape, lambda day: weekday(day, hours))
        for notice in self.notices:
            missed = (notice.placed - notice.reached) * self.scenario.calls.call_again
            calls[notice.day] = calls.get(notice.day, 0.0) + missed
        return calls

    def fresh(self, shift: int) -> list[float]:
        """First calls by quarter hour if the scale is 1."""
        by_day = self.fresh_by_day(shift)
        shape = self.scenario.response
        calls: list[float] = []
        for day, members in itertools.groupby(self.quarters, key=lambda each: each.day):
            parts = spread(shape.hourly, shape.closed, list(members))
            calls += [by_day.get(day, 0.0) * part for part in parts]
        return calls

    def notice_load(self) -> list[float]:
        """Notice calls placed by quarter hour."""
        by_day = {each.day: each for each in self.notices}
        return [
            by_day[each.day].placed / by_day[each.day].hours / 4
            if each.day in by_day and by_day[each.day].placed and _calling(each)
            else 0.0
            for each in self.quarters
        ]


def _calling(quarter: Quarter) -> bool:
    return quarter.open and FIRST_HOUR <= quarter.start.hour < LAST_HOUR


def ground(scenario: Scenario, otherwise: date, capacity: Capacity | None = None) -> Ground:
    """Lay out a scenario's days. ``otherwise``: the first mailing day if the scenario names none.

    Raises NoPace.
    """
    by_letter = mailing(scenario.letters, scenario.people, otherwise)
    dialling = scenario.calls.first or min(by_letter)
    able = capacity or OneChannelForEachAgent(scenario.calls)

    def hours_on(day: date) -> float:
        return sum(_calling(each) for each in quarters(day, 1, scenario.hours)) / 4

    notices = notice_days(scenario.calls, dialling, hours_on, able)
    first = min(by_letter) if not notices else min(*by_letter, dialling)
    after = 1 + _AFTER_LAST_NOTICE
    letters = min(LONGEST_DAYS, (max(by_letter) - first).days + after)
    by_phone = min(_FURTHEST, (notices[-1].day - first).days + after) if notices else 0
    days = scenario.days or max(_LOOK_AHEAD, letters, by_phone)
    return Ground(
        scenario=scenario,
        mailed=by_letter,
        notices=tuple(notices),
        quarters=tuple(quarters(first, days, scenario.hours)),
        capacity=able,
        per_person=total_response(scenario.response).calls_per_person,
    )


@dataclass(frozen=True, slots=True)
class Forecast:
    """``points``: with as many agents as the target takes. ``given``: with the agents there are,
    if the scenario says how many. ``languages``: the points of each language's own queue.
    ``low`` and ``high``: between them lie 80 of 100 outcomes for the calls of a quarter."""

    ground: Ground
    belief: Belief
    points: tuple[Point, ...]
    given: tuple[Point, ...] | None
    languages: Mapping[str, tuple[Point, ...]]
    low: tuple[float, ...]
    high: tuple[float, ...]
    notice_calls: tuple[float, ...]
    _spread: tuple[float, ...]

    @property
    def scenario(self) -> Scenario:
        return self.ground.scenario

    @property
    def shown(self) -> tuple[Point, ...]:
        """With the agents there are; if that is not known, with those that it takes."""
        return self.given or self.points

    @property
    def finish(self) -> date | None:
        return finished(list(self.ground.notices))

    def of(self, day: date) -> list[int]:
        """The indexes of a day's quarters."""
        return [i for i, each in enumerate(self.ground.quarters) if each.day == day]

    def notice_agents(self, index: int) -> int:
        """Agents busy with notice calls in a quarter."""
        return math.ceil(self.ground.capacity.agents(self.notice_calls[index] * 4) - 1e-9)

    def notice_channels(self, index: int) -> int:
        """Channels busy with notice calls in a quarter."""
        return math.ceil(self.ground.capacity.channels(self.notice_calls[index] * 4) - 1e-9)

    def range_of(self, indexes: Sequence[int]) -> tuple[float, float]:
        """The range for the calls of several quarters together."""
        mean = sum(self.shown[i].calls for i in indexes)
        common = sum(self._spread[i] for i in indexes)
        return around(mean, mean + common**2)


def make(base: Ground, belief: Belief | None = None) -> Forecast:
    """Forecast. Raises OutOfReach, BeyondReach."""
    scenario = base.scenario
    belief = belief or before(scenario.response.uncertainty)
    fresh = [each * belief.scale.mean for each in base.fresh(belief.shift)]
    placed = base.notice_load()
    points = Flow(scenario, base.quarters, fresh).run()
    given: tuple[Point, ...] | None = None
    if scenario.agents is not None:
        given = tuple(Flow(scenario, base.quarters, fresh, scenario.agents).run())
    shares = scenario.languages if len(scenario.languages) > 1 else {}
    spreads = _spreads(base, belief, fresh, [point.calls for point in given or points])
    ranges = [
        around(point.calls, point.calls + apart**2)
        for point, apart in zip(given or points, spreads, strict=True)
    ]
    return Forecast(
        ground=base,
        belief=belief,
        points=tuple(points),
        given=given,
        languages={
            language: tuple(Flow(scenario, base.quarters, [c * share for c in fresh]).run())
            for language, share in shares.items()
        },
        low=tuple(low for low, _ in ranges),
        high=tuple(high for _, high in ranges),
        notice_calls=tuple(placed),
        _spread=tuple(spreads),
    )


def _spreads(
    base: Ground, belief: Belief, fresh: Sequence[float], calls: Sequence[float]
) -> list[float]:
    """Standard deviation of each quarter's calls around the forecast, Poisson's aside: the scale,
    the shift, and a day's own chance."""
    around_mean = [0.0] * len(fresh)
    for shift, weight in belief.weights.items():
        if weight < 1e-6:
            continue
        scale = belief.scales[shift]
        other = base.fresh(shift) if shift != belief.shift else None
        for i, expected in enumerate(fresh):
            one = expected / belief.scale.mean if other is None else other[i]
            around_mean[i] += weight * ((one * scale.mean - expected) ** 2 + (one * scale.sd) ** 2)
    own = base.scenario.response.day_to_day
    return [
        # Redials grow with the calls that they come from.
        math.sqrt(variance + (expected * own) ** 2) * (offered / expected if expected else 1.0)
        for variance, expected, offered in zip(around_mean, fresh, calls, strict=True)
    ]


def next_mailing_day(today: date) -> date:
    """Tomorrow, or the Monday after."""
    day = today + timedelta(days=1)
    while day.weekday() >= 5:
        day += timedelta(days=1)
    return day
