"""Dates and times as other people's tables write them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

_CLOCK: Final = re.compile(
    r"(\d{1,2})(?:[:.h](\d{2}))?(?::\d{2}(?:\.\d+)?)?\s*(?:([ap])\.?m\.?)?", re.IGNORECASE
)
_UNTIL: Final = re.compile(r"(.*?\d\S*?(?:\s*[ap]\.?m\.?)?)\s*(?:-|–|to)\s*(\d.*)", re.IGNORECASE)
_SPAN_OR_ZONE: Final = re.compile(r"(\d{1,2}:\d{2})-(\d{2}:\d{2})")
"""08:00-09:00 is an hour, though -09:00 is also a zone (Alaska)."""
_LONGEST_SPAN: Final = timedelta(hours=4)
_ISO_DAY: Final = re.compile(r"(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})(?!\d)")
_SLASHED: Final = re.compile(r"(\d{1,2})([/.-])(\d{1,2})\2(\d{4}|\d{2})(?!\d)")


def day_first(texts: Sequence[str], near: date) -> bool:
    """Whether 3/12/2026 is a day of December: by what is possible, then by what is nearest."""
    matches = [match for match in map(_SLASHED.match, texts) if match]
    if any(match[2] == "." for match in matches) or any(int(m[1]) > 12 for m in matches):
        return True
    if any(int(match[3]) > 12 for match in matches) or not matches:
        return False
    first, third, year = int(matches[0][1]), int(matches[0][3]), _year(matches[0][4])
    try:
        monthly, daily = date(year, first, third), date(year, third, first)
    except ValueError:
        return False
    return abs(daily - near) < abs(monthly - near)


def _year(text: str) -> int:
    return int(text) + (2000 if len(text) == 2 else 0)


@dataclass(frozen=True, slots=True)
class Moment:
    """``start``: aware, UTC. ``whole_day``: the text names a day only. ``end``: where it says."""

    start: datetime
    whole_day: bool
    end: datetime | None = None


def moment(text: str, zone: ZoneInfo, *, day_first: bool) -> Moment:
    """What a text says: a day, a moment, or from when until when. Raises ValueError."""
    iso, slashed = _ISO_DAY.match(text), _SLASHED.match(text)
    if iso:
        year, month, day, end = int(iso[1]), int(iso[2]), int(iso[3]), iso.end()
    elif slashed:
        one, two = int(slashed[1]), int(slashed[3])
        day, month = (one, two) if day_first else (two, one)
        year, end = _year(slashed[4]), slashed.end()
    else:
        raise ValueError(f"{text!r} is not a date and time; write 2026-12-03 08:15")
    try:
        calendar = date(year, month, day)
    except ValueError as error:
        raise ValueError(f"{text!r} is not a day of the calendar") from error
    clock = text[end:].strip(" ,T")
    if not clock:
        return Moment(datetime.combine(calendar, time(), zone).astimezone(UTC), whole_day=True)
    with_zone = None if _is_span(text[end:]) else _with_zone(calendar, clock)
    if with_zone is not None:
        return Moment(with_zone.astimezone(UTC), whole_day=False)
    span = _UNTIL.fullmatch(clock)
    start = datetime.combine(calendar, _begins(span, text) if span else _clock(clock, text), zone)
    until = end_of(span[2], start, text) if span else None
    return Moment(start.astimezone(UTC), whole_day=False, end=until)


def _begins(span: re.Match[str], text: str) -> time:
    """The start of a span; in 8:00 - 8:15 PM and 11:45 - 12:00 PM only the end tells the half."""
    said, half = _CLOCK.fullmatch(span[1]), re.search(r"[ap]\.?m\.?\s*$", span[2], re.IGNORECASE)
    if half is None or said is None or said[3]:
        return _clock(span[1], text)
    end = _clock(span[2].strip(), text)
    halves = ("pm", "am") if half[0].casefold().startswith("p") else ("am", "pm")
    starts = [_clock(span[1] + each, text) for each in halves]
    return starts[0] if starts[0] < end else starts[1]


def end_of(clock: str, start: datetime, text: str) -> datetime:
    """The end of what begins at ``start`` (aware, local), as a time of day, UTC. Raises
    ValueError."""
    if clock.strip() in ("24:00", "24:00:00"):
        clock = "00:00"
    end = datetime.combine(start.date(), _clock(clock.strip(), text), start.tzinfo)
    if end.time() == time() and start.time() != time():
        end += timedelta(days=1)
    if end.astimezone(UTC) <= start.astimezone(UTC):
        raise ValueError(f"{text!r} ends before it begins")
    return end.astimezone(UTC)


def _is_span(text: str) -> bool:
    match = _SPAN_OR_ZONE.fullmatch(text.strip(" ,"))
    if match is None:
        return False
    try:
        start, end = (datetime.combine(date.min, _clock(each, text)) for each in match.groups())
    except ValueError:
        return False
    return timedelta() < end - start <= _LONGEST_SPAN


def _with_zone(calendar: date, clock: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(f"{calendar}T{clock}")
    except ValueError:
        return None
    return found if found.tzinfo is not None else None


def _clock(clock: str, text: str) -> time:
    match = _CLOCK.fullmatch(clock)
    if match is None:
        raise ValueError(f"{text!r} is not a date and time; write 2026-12-03 08:15")
    hour, minute = int(match[1]), int(match[2] or 0)
    if match[3]:
        hour = hour % 12 + (12 if match[3].casefold() == "p" else 0)
    if hour > 23 or minute > 59:
        raise ValueError(f"{text!r} is no time of day")
    return time(hour, minute)
