"""When agents answer: weekly hours in the incident's own time zone, and closed days."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from typing import Annotated, Any, Final, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator

from incident.plan.problems import suggestion
from incident.plan.values import IsoDate

Day = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
DAYS: Final[tuple[Day, ...]] = (
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
)
_SPAN: Final = re.compile(r"([01]\d|2[0-4]):([0-5]\d)\s*-\s*([01]\d|2[0-4]):([0-5]\d)")
_WHOLE_DAY: Final = 24 * 60
_HORIZON_DAYS: Final = 400


class Span(BaseModel):
    """Open from ``start`` until before ``end``; minutes after midnight, wall clock."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    start: int = Field(ge=0, lt=_WHOLE_DAY)
    end: int = Field(gt=0, le=_WHOLE_DAY)


def _spans(value: Any) -> tuple[Span, ...]:
    if value is None:
        return ()
    items = value if isinstance(value, list) else [value]
    spans = sorted((_span(item) for item in items), key=lambda span: span.start)
    for before, after in pairwise(spans):
        if after.start < before.end:
            raise ValueError("two spans of hours overlap")
    return tuple(spans)


def _span(item: Any) -> Span:
    if isinstance(item, Span):
        return item
    match = _SPAN.fullmatch(item.strip()) if isinstance(item, str) else None
    if match is None:
        raise ValueError(
            f"{item!r} is not hours; write '08:00-20:00', a list of such, or null when closed"
        )
    start = int(match[1]) * 60 + int(match[2])
    end = int(match[3]) * 60 + int(match[4])
    if start >= _WHOLE_DAY or end > _WHOLE_DAY:
        raise ValueError(f"{item!r} goes past 24:00")
    if end <= start:
        raise ValueError(f"{item!r} ends before it begins; split hours past midnight in two days")
    return Span(start=start, end=end)


Spans = Annotated[tuple[Span, ...], BeforeValidator(_spans)]
"""Written as "08:00-20:00", a list of such, or null for a closed day."""


class Hours(BaseModel):
    """Agents' hours. Open is judged by the wall clock of ``timezone``, also on the days on
    which its clocks change."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    timezone: str
    weekly: dict[Day, Spans]
    closed: tuple[IsoDate, ...] = ()

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            zones = available_timezones()
            near = suggestion(value, zones)
            hint = near if "did you mean" in near else "; an example is America/New_York"
            raise ValueError(f"{value!r} is not an IANA time zone{hint}") from error
        return value

    @field_validator("weekly")
    @classmethod
    def _whole_week(cls, weekly: dict[Day, tuple[Span, ...]]) -> dict[Day, tuple[Span, ...]]:
        missing = [day for day in DAYS if day not in weekly]
        if missing:
            raise ValueError(f"nothing for {', '.join(missing)}; write null for a closed day")
        if not any(weekly.values()):
            raise ValueError("no hours on any day: agents would never answer")
        return weekly

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.timezone)

    def open_at(self, moment: datetime) -> bool:
        """Whether agents answer at ``moment`` (aware; ValueError when it is naive)."""
        local = _aware(moment).astimezone(self.zone)
        minute = local.hour * 60 + local.minute
        return any(span.start <= minute < span.end for span in self._spans_on(local.date()))

    def next_opening(self, moment: datetime) -> datetime | None:
        """The first instant at or after ``moment`` at which agents answer, in UTC.

        None when every day of the next 400 is closed. To show it: ``.astimezone(hours.zone)``.
        (Not returned so, for Python calls two times of different zones unequal in the hour that
        occurs twice.)
        """
        moment = _aware(moment).astimezone(UTC)
        if self.open_at(moment):
            return moment
        first = moment.astimezone(self.zone).date()
        for offset in range(_HORIZON_DAYS):
            day = first + timedelta(days=offset)
            later = [at for at in self._openings(day) if at >= moment]
            if later:
                return min(later)
        return None

    def _spans_on(self, day: date) -> tuple[Span, ...]:
        return () if day in self.closed else self.weekly[DAYS[day.weekday()]]

    def _openings(self, day: date) -> Iterator[datetime]:
        """Instants (UTC) at which a span of ``day`` begins.

        A wall time that the clocks skip opens at the end of the skipped hour; one that occurs
        twice opens twice.
        """
        for span in self._spans_on(day):
            wall = datetime.combine(day, time(span.start // 60, span.start % 60), self.zone)
            early, late = sorted(wall.replace(fold=fold).astimezone(UTC) for fold in (0, 1))
            at = early
            while at <= late:
                if self.open_at(at) and not self.open_at(at - timedelta(minutes=1)):
                    yield at
                elif at == early and self.open_at(at):
                    yield at  # the span before it ends where this one begins
                at += timedelta(minutes=1)


def _aware(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise ValueError("the moment must have a time zone")
    return moment
