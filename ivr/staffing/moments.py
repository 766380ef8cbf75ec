"""Dates and times as other people's tables write them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, time
from typing import Final
from zoneinfo import ZoneInfo

_CLOCK: Final = re.compile(
    r"(\d{1,2})(?:[:.h](\d{2}))?(?::\d{2}(?:\.\d+)?)?\s*(?:([ap])\.?m\.?)?", re.IGNORECASE
)
_UNTIL: Final = re.compile(r"(.*?\d\S*(?:\s*[ap]\.?m\.?)?)\s*(?:-|–|to)\s*\d.*", re.IGNORECASE)
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


def moment(text: str, zone: ZoneInfo, *, day_first: bool) -> tuple[datetime, bool]:
    """A moment, aware, and whether the text names a day only. Raises ValueError."""
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
        return datetime.combine(calendar, time(), zone).astimezone(UTC), True
    try:  # with a zone of its own
        with_zone = datetime.fromisoformat(f"{calendar}T{clock}")
    except ValueError:
        with_zone = None
    if with_zone is None or with_zone.tzinfo is None:
        with_zone = datetime.combine(calendar, _clock(clock, text), zone)
    return with_zone.astimezone(UTC), False


def _clock(clock: str, text: str) -> time:
    span = _UNTIL.fullmatch(clock)
    match = _CLOCK.fullmatch(span[1] if span else clock)
    if match is None:
        raise ValueError(f"{text!r} is not a date and time; write 2026-12-03 08:15")
    hour, minute = int(match[1]), int(match[2] or 0)
    if match[3]:
        hour = hour % 12 + (12 if match[3].casefold() == "p" else 0)
    if hour > 23 or minute > 59:
        raise ValueError(f"{text!r} is no time of day")
    return time(hour, minute)
