"""When a person who keeps a place may be called, and which times a caller can choose."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

from incident.plan.hours import Hours
from incident.store.callbacks import Place, PlaceState

NOTICE_SECONDS: Final = 600.0
"""A time that is closer than this is not offered: waiting in line is as good."""


@dataclass(frozen=True, slots=True)
class TimeChoice:
    """``at``: Unix seconds. ``days``: 0 today, 1 tomorrow; ``hour``: 0 to 23, on the wall clock of
    the incident's zone."""

    at: float
    days: int
    hour: int


def due(place: Place, now: float, hours: Hours) -> bool:
    """Whether the place should stand in line now. ``now``: Unix seconds."""
    return place.state is PlaceState.OPEN and place.not_before <= now and is_open(hours, now)


def is_open(hours: Hours, at: float) -> bool:
    """Whether agents answer at ``at`` (Unix seconds)."""
    return hours.open_at(_moment(at))


def next_open(hours: Hours, at: float) -> float | None:
    """The first time at or after ``at`` (Unix seconds) at which agents answer; None: never."""
    if is_open(hours, at):
        return at
    found = hours.next_opening(_moment(at))
    return None if found is None else found.timestamp()


def time_choices(
    now: float, hours: Hours, *, days: int = 2, notice: float = NOTICE_SECONDS
) -> tuple[TimeChoice, ...]:
    """Whole hours at which agents answer, from today on for ``days`` days, in order.

    An hour that the clocks skip is not offered; of one that occurs twice, the first that is still
    to come.
    """
    today = _moment(now).astimezone(hours.zone).date()
    found = []
    for offset in range(days):
        for hour in range(24):
            instants = _instants(today + timedelta(days=offset), hour, hours)
            at = next((at for at in instants if at >= now + notice and is_open(hours, at)), None)
            if at is not None:
                found.append(TimeChoice(at, offset, hour))
    return tuple(found)


def time_choice(choices: tuple[TimeChoice, ...], days: int, hour: int) -> TimeChoice | None:
    """The choice of this day and hour, when it is one."""
    return next((item for item in choices if (item.days, item.hour) == (days, hour)), None)


def _instants(day: date, hour: int, hours: Hours) -> Iterator[float]:
    """When the wall clock shows the whole hour on that day: never, once or twice."""
    wall = datetime.combine(day, time(hour), hours.zone)
    instants = {wall.replace(fold=fold).astimezone(UTC) for fold in (0, 1)}
    for instant in sorted(instants):
        local = instant.astimezone(hours.zone)
        if (local.date(), local.hour, local.minute) == (day, hour, 0):
            yield instant.timestamp()


def _moment(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC)
