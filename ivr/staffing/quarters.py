"""Quarter hours of local days: when they begin, whether agents answer, how calls spread in them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from typing import Final

from incident.plan.hours import DAYS, Day, Hours

QUARTER: Final = timedelta(minutes=15)
SECONDS: Final = 900.0


@dataclass(frozen=True, slots=True)
class Quarter:
    """``start``: aware, in the incident's zone. ``open``: whether agents answer in it."""

    start: datetime
    day: date
    open: bool


def quarters(first: date, days: int, hours: Hours) -> list[Quarter]:
    """Every quarter hour of ``days`` local days from ``first`` on; days on which the clocks
    change have 92 or 100."""
    return [each for offset in range(days) for each in _of(first + timedelta(days=offset), hours)]


def _of(day: date, hours: Hours) -> Iterator[Quarter]:
    zone = hours.zone
    at, end = (
        datetime.combine(each, time(), zone).astimezone(UTC)
        for each in (day, day + timedelta(days=1))
    )
    while at < end:
        # A quarter in which the hours begin or end counts as what most of it is.
        middle = at + QUARTER / 2
        yield Quarter(at.astimezone(zone), day, hours.open_at(middle))
        at += QUARTER


def weekday(day: date, hours: Hours) -> Day:
    """The day of the week; a day on which the hotline is closed out of turn is like a Sunday."""
    return "sunday" if day in hours.closed else DAYS[day.weekday()]


def spread(hourly: tuple[float, ...], closed: float, day: list[Quarter]) -> list[float]:
    """Shares of one day's calls by quarter hour; together 1.

    ``hourly``: weights of the 24 hours, joined by straight lines between their middles.
    ``closed``: how much a closed hour weighs, relative to an open one.
    """
    points = [(-0.5, hourly[-1]), *((h + 0.5, w) for h, w in enumerate(hourly)), (24.5, hourly[0])]
    weights = []
    for each in day:
        at = each.start.hour + (each.start.minute + 7.5) / 60
        left, right = next(pair for pair in pairwise(points) if pair[1][0] >= at)
        part = (at - left[0]) / (right[0] - left[0])
        weight = left[1] + part * (right[1] - left[1])
        weights.append(weight * (1.0 if each.open else closed))
    if not any(weights):  # calls at closed hours only, and none of those
        weights = [1.0] * len(day)
    total = sum(weights)
    return [weight / total for weight in weights]
