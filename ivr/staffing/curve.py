"""From notices to calls by day: delivery, then a response that is quick at first.

Calls follow delivery. Most come within five to eight days of the mailing, and Epiq's published
peak was 7,230 calls on one day for 814,093 people (0.9 %). Here a caller calls ``decay_days``
after delivery on average, exponentially, and a few much later; weekdays weigh.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from incident.plan.hours import DAYS, Day
from ivr.staffing.scenario import Letters, Response

_LONGEST: Final = 200
"""Days after a delivery that are looked at."""
_SUNDAY: Final = 6
_REFERENCE: Final = date(2026, 12, 1)
"""A Tuesday: the mailing that ``peak_share`` speaks of."""

ByDay = dict[date, float]
Weekday = Callable[[date], Day]


def mailing(letters: Letters, people: int, otherwise: date) -> ByDay:
    """Letters by the day they are mailed: Monday to Friday, unless the scenario names days."""
    if letters.by_day:
        return {day: float(number) for day, number in sorted(letters.by_day.items())}
    day = letters.first or otherwise
    days: list[date] = []
    while len(days) < letters.days:
        if day.weekday() < 5:
            days.append(day)
        day += timedelta(days=1)
    return dict.fromkeys(days, people / letters.days)


def delivered(mailed: Mapping[date, float], delivery: Mapping[int, float], late: int = 0) -> ByDay:
    """Letters by the day they arrive, ``late`` days later than assumed; on Sundays none do."""
    arrived: ByDay = {}
    for day, number in mailed.items():
        for lag, share in delivery.items():
            at = day + timedelta(days=max(0, lag + late))
            if at.weekday() == _SUNDAY:
                at += timedelta(days=1)
            arrived[at] = arrived.get(at, 0.0) + number * share
    return dict(sorted(arrived.items()))


def response(shape: Response) -> list[float]:
    """Share of all callers by days after the notice; together all but 1."""

    def by(days: int, mean: float) -> float:
        return math.exp(-days / mean) - math.exp(-(days + 1) / mean)

    early = 1 - shape.late_share
    return [
        early * by(day, shape.decay_days) + shape.late_share * by(day, shape.late_days)
        for day in range(_LONGEST)
    ]


def _plain(day: date) -> Day:
    return DAYS[day.weekday()]


def callers(noticed: Mapping[date, float], shape: Response, weekday: Weekday = _plain) -> ByDay:
    """Calls by day if everybody who is noticed called once: the response after each notice,
    weighed by weekday, its sum kept."""
    lags = response(shape)
    calls: ByDay = {}
    for day, number in noticed.items():
        for lag, share in enumerate(lags):
            at = day + timedelta(days=lag)
            calls[at] = calls.get(at, 0.0) + number * share
    weighed = {day: number * shape.weekdays[weekday(day)] for day, number in calls.items()}
    factor = sum(calls.values()) / (sum(weighed.values()) or 1.0)
    return {day: number * factor for day, number in sorted(weighed.items())}


@dataclass(frozen=True, slots=True)
class Total:
    """Calls for each person who was sent a letter, by which route it was found."""

    calls_per_person: float
    from_peak: bool


def total_response(shape: Response) -> Total:
    """``total`` if it is given; else what makes the reference mailing peak at ``peak_share``."""
    if shape.total is not None:
        return Total(shape.total, from_peak=False)
    mailed = mailing(Letters(first=_REFERENCE), 1, _REFERENCE)
    each = callers(delivered(mailed, shape.delivery), shape)
    return Total(shape.peak_share / max(each.values()), from_peak=True)
