"""Correcting a forecast by real counts.

For each shift of the response by whole days and each scale, a day's observed calls have a negative
binomial probability: Poisson around the forecast, times the chance of a day. With a gamma prior on
the scale and a narrow prior on the shift, summed on a grid, this gives the belief after the counts.
A few hours say less than a whole day, for the day's profile is only assumed, too.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

import numpy as np

from ivr.staffing.belief import Belief, Scale
from ivr.staffing.erlang_a import Floats
from ivr.staffing.forecast import Forecast, Ground, make
from ivr.staffing.quarters import QUARTER

_SHIFTS: Final = {-2: 0.03, -1: 0.15, 0: 0.57, 1: 0.15, 2: 0.07, 3: 0.02, 4: 0.01}
"""Before any count: days later (or earlier) than the assumed delivery, and how likely."""
_SCALES: Final[Floats] = np.exp(np.linspace(math.log(0.005), math.log(200), 1200))
_PROFILE: Final = 0.2
"""Standard deviation of a part of a day around its share in the assumed profile."""
_SHAPE: Final = 0.2
"""Standard deviation of a day far from the busiest around its place on the assumed curve: how many
letters come on which day decides most about the first and last days."""
_UNFORESEEN: Final = 0.002
"""Calls of a day that no curve explains, as a share of the busiest day."""


@dataclass(frozen=True, slots=True)
class Count:
    """Calls offered from ``start`` (aware) on, for ``quarters`` quarter hours."""

    start: datetime
    quarters: int
    calls: int


class NothingToCompare(ValueError):
    """No count falls into the forecast's days."""


@dataclass(frozen=True, slots=True)
class Correction:
    """``before`` and ``after``; ``observed`` calls where ``expected`` were forecast, in ``hours``
    hours until ``until``. ``left_out``: counts outside the forecast's days."""

    before: Forecast
    after: Forecast
    observed: float
    expected: float
    hours: float
    until: datetime
    seen: dict[int, float]
    """Calls counted, by the index of the quarter (counts of an hour spread evenly)."""
    left_out: int

    @property
    def ratio(self) -> float:
        return self.observed / self.expected if self.expected else math.inf

    @property
    def next_peak(self) -> date | None:
        """The busiest day that is not over yet, by the corrected forecast."""
        last = max(self.seen)
        ahead = {
            each.day for i, each in enumerate(self.after.ground.quarters) if i > last and each.open
        }
        return max(
            ahead,
            key=lambda day: sum(self.after.shown[i].calls for i in self.after.of(day)),
            default=None,
        )

    def day(self, day: date) -> tuple[float, float, float]:
        """A day's calls, what is counted and what is still expected, with its range."""
        indexes = self.after.of(day)
        counted = sum(self.seen.get(i, 0.0) for i in indexes)
        rest = [i for i in indexes if i not in self.seen]
        low, high = self.after.range_of(rest)
        return counted + sum(self.after.shown[i].calls for i in rest), counted + low, counted + high


def correct(base: Ground, counts: Sequence[Count]) -> Correction:
    """The forecast before and after ``counts``. Raises NothingToCompare."""
    first = make(base)
    seen, left_out = _by_quarter(base, counts)
    if not seen:
        raise NothingToCompare(
            f"none of the {len(counts)} counts falls into the forecast's days "
            f"({base.days[0]} to {base.days[-1]}, {base.scenario.hours.timezone})"
        )
    after = make(base, _fit(base, first, seen))
    if base.scenario.agents is not None:
        # With a fixed number of agents, more calls bring more redials: once more, with those.
        after = make(base, _fit(base, after, seen))
    last = base.quarters[max(seen)].start + QUARTER
    return Correction(
        before=first,
        after=after,
        observed=sum(seen.values()),
        expected=sum(first.shown[i].calls for i in seen),
        hours=len(seen) / 4,
        until=last,
        seen=seen,
        left_out=left_out,
    )


def _by_quarter(base: Ground, counts: Sequence[Count]) -> tuple[dict[int, float], int]:
    place = {each.start.timestamp(): i for i, each in enumerate(base.quarters)}
    seen: dict[int, float] = {}
    left_out = 0
    for count in counts:
        at = [
            place.get((count.start + timedelta(minutes=15 * k)).timestamp())
            for k in range(count.quarters)
        ]
        inside = [i for i in at if i is not None]
        if len(inside) < count.quarters:
            left_out += 1
            continue
        for i in inside:
            seen[i] = seen.get(i, 0.0) + count.calls / count.quarters
    return dict(sorted(seen.items())), left_out


def _fit(base: Ground, now: Forecast, seen: dict[int, float]) -> Belief:
    shape = base.scenario.response
    fresh_now = [each.fresh for each in now.shown]
    grown = [
        point.calls / fresh if fresh > 0 else 1.0
        for point, fresh in zip(now.shown, fresh_now, strict=True)
    ]
    days = sorted({base.quarters[i].day for i in seen})
    observed = {day: sum(c for i, c in seen.items() if base.quarters[i].day == day) for day in days}
    fresh = {shift: base.fresh(shift) for shift in _SHIFTS}
    by_day = {shift: base.fresh_by_day(shift) for shift in _SHIFTS}
    busiest = max(by_day[0].values())
    logs: dict[int, Floats] = {}
    degree = 1 / shape.uncertainty**2
    for shift, likely in _SHIFTS.items():
        log = degree * np.log(_SCALES) - degree * _SCALES + math.log(likely)
        for day in days:
            indexes = [i for i in now.of(day) if i in seen]
            floor = _UNFORESEEN * busiest * len(indexes) / 96 + 0.05
            expected = sum(fresh[shift][i] * grown[i] for i in indexes)
            whole = sum(fresh[shift][i] for i in now.of(day)) or 1.0
            part = min(1.0, sum(fresh[shift][i] for i in indexes) / whole)
            far = 1 - min(1.0, by_day[shift].get(day, 0.0) / busiest)
            chance = shape.day_to_day**2 + _PROFILE**2 * (1 - part) + _SHAPE**2 * far**2
            log = log + _log_likelihood(observed[day], expected * _SCALES + floor, 1 / chance)
        logs[shift] = log
    return _belief(logs)


def _log_likelihood(observed: float, expected: Floats, size: float) -> Floats:
    """Of a negative binomial of mean ``expected`` and variance expected + expected^2 / size."""
    constant = math.lgamma(observed + size) - math.lgamma(size) - math.lgamma(observed + 1)
    together = np.log(expected + size)
    return np.asarray(
        constant + size * (math.log(size) - together) + observed * (np.log(expected) - together)
    )


def _belief(logs: dict[int, Floats]) -> Belief:
    top = max(float(log.max()) for log in logs.values())
    masses = {shift: np.exp(log - top) for shift, log in logs.items()}
    total = sum(float(mass.sum()) for mass in masses.values())
    weights, scales = {}, {}
    for shift, mass in masses.items():
        own = float(mass.sum())
        weights[shift] = own / total
        if own <= 0:
            scales[shift] = Scale(1.0, 0.0)
            continue
        mean = float(mass @ _SCALES) / own
        variance = max(0.0, float(mass @ (_SCALES - mean) ** 2) / own)
        scales[shift] = Scale(mean, math.sqrt(variance))
    return Belief(weights, scales)
