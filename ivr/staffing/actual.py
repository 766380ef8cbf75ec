"""Real counts from other people's tables: when, and how many calls were offered.

Any usual CSV: a time, or a date and a time, and a number; intervals of 1 to 60 minutes or whole
days. What cannot be read is refused with its line; blank counts and totals are left out and told.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from incident.contacts.source import Lines, examine
from ivr.staffing.correct import Count
from ivr.staffing.moments import day_first, moment
from ivr.staffing.values import count as whole_number

_LARGEST: Final = 5_000_000
_SHOWN_MISTAKES: Final = 8
_DELIMITERS: Final = ",;\t|"
_NAMES: Final = {
    name: what
    for what, names in {
        "date": "date day call_date",
        "time": "time start start_time interval interval_start quarter quarter_hour timestamp "
        "datetime date_time period from begin hour",
        "calls": "calls offered calls_offered offered_calls received calls_received count volume "
        "inbound inbound_calls incoming n total_calls call_count",
    }.items()
    for name in names.split()
}
_MINUTES: Final = (1, 3, 5, 15, 30, 60)


class CountsUnreadable(ValueError):
    """A table of counts cannot be used; the message names each line and why."""


@dataclass(slots=True)
class Counts:
    """``counts`` by quarter hours; ``notes``: what was left out."""

    counts: list[Count] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Row:
    line: int
    when: str
    number: str


@dataclass(frozen=True, slots=True)
class _Read:
    start: datetime
    whole_day: bool
    number: int
    row: _Row


def read_counts(path: Path, zone: ZoneInfo, near: date) -> Counts:
    """Read a table of counts. Times without a zone are the incident's; ``near``: the first day of
    the forecast, which tells whether 3/12 is a day of March or of December.

    Raises CountsUnreadable, incident.contacts.ContactsError and OSError.
    """
    source = examine(path)
    if source.size > _LARGEST:
        raise CountsUnreadable(f"{path}: {source.size:,} bytes are too many for a table of counts")
    lines = Lines(source)
    try:
        text = "".join(lines).replace("\0", "")
    finally:
        lines.close()
    return parse_counts(text, str(path), zone, near)


def parse_counts(text: str, source: str, zone: ZoneInfo, near: date) -> Counts:
    """Read a table's text. Raises CountsUnreadable."""
    result = Counts()
    rows = list(_rows(text, source, result))
    if not rows:
        raise CountsUnreadable(f"{source}: there are no counts in it")
    order = day_first([row.when for row in rows], near)
    mistakes: list[str] = []
    seen: dict[datetime, int] = {}
    read: list[_Read] = []
    for row in rows:
        try:
            start, whole_day = moment(row.when, zone, day_first=order)
            number = whole_number(row.number)
        except ValueError as error:
            mistakes.append(f"{source}, line {row.line}: {error}")
            continue
        if start in seen:
            twice = f"{row.when!r} is here twice; first on line {seen[start]}"
            mistakes.append(f"{source}, line {row.line}: {twice}")
        seen[start] = row.line
        read.append(_Read(start, whole_day, number, row))
    if not mistakes:
        mistakes += _collect(sorted(read, key=lambda each: each.start), source, zone, result)
    if mistakes:
        more = len(mistakes) - _SHOWN_MISTAKES
        shown = mistakes[:_SHOWN_MISTAKES] + ([f"and {more} more mistakes"] if more > 0 else [])
        raise CountsUnreadable("\n".join(shown))
    return result


def _rows(text: str, source: str, result: Counts) -> Iterator[_Row]:
    """Rows with a time and a number; the header, blank counts and totals are taken away."""
    lines = [line for line in text.splitlines()[:1000] if line.strip()]
    if not lines:
        return
    delimiter = max(_DELIMITERS, key=lambda each: sum(line.count(each) > 0 for line in lines))
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    columns: tuple[int | None, int, int] | None = None
    width = blank = totals = 0
    try:
        for cells in reader:
            row = [cell.strip().lstrip("\ufeff") for cell in cells]
            if not any(row):
                continue
            if width and any(row[width:]):
                raise CountsUnreadable(
                    f"{source}, line {reader.line_num}: {len(row)} columns where there should be "
                    f"{width}; write 1234, or '1,234' in double quotes"
                )
            if columns is None:
                width = len(row)
                columns = _columns(row, source, reader.line_num)
                if _is_header(row):
                    continue
            day, when, number = (
                row[at] if at is not None and at < len(row) else "" for at in columns
            )
            if re.match(r"(grand )?(total|sum|average|mean)", (day or when).casefold()):
                totals += 1
            elif not number or number in ("-", "--", "n/a", "N/A"):
                blank += 1
            else:
                yield _Row(reader.line_num, f"{day} {when}".strip(), number)
    except csv.Error as error:
        raise CountsUnreadable(f"{source}, line {reader.line_num}: {error}") from error
    if blank:
        result.notes.append(f"{blank} rows without a count were left out")
    if totals:
        result.notes.append(f"{totals} rows of totals were left out")


def _plain(name: str) -> str:
    return re.sub(r"[^a-z]+", "_", name.casefold()).strip("_")


def _is_header(row: Sequence[str]) -> bool:
    return any(_plain(cell) in _NAMES for cell in row)


def _columns(row: Sequence[str], source: str, line: int) -> tuple[int | None, int, int]:
    """Places of the date (if it stands alone), the time and the count."""
    if not _is_header(row):
        if len(row) in (2, 3) and any(character.isdigit() for character in row[0]):
            return (None, 0, 1) if len(row) == 2 else (0, 1, 2)
        raise CountsUnreadable(
            f"{source}, line {line}: no column is named 'time' or 'calls'; found: "
            f"{', '.join(cell[:30] for cell in row[:12])}"
        )
    names = [_plain(cell) for cell in row]
    place = {
        what: [at for at, name in enumerate(names) if _NAMES.get(name) == what]
        for what in ("date", "time", "calls")
    }
    if len(place["calls"]) > 1:
        exact = [at for at in place["calls"] if "offered" in names[at]]
        place["calls"] = exact if len(exact) == 1 else place["calls"]
    missing = [what for what in ("time", "calls") if not place[what]]
    if "time" in missing and place["date"]:
        missing.remove("time")
    if missing or len(place["calls"]) > 1:
        problem = f"no column for {' and '.join(missing)}" if missing else "two columns of calls"
        raise CountsUnreadable(
            f"{source}, line {line}: {problem}; found: {', '.join(c[:30] for c in row[:12])}; "
            "name them 'time' (or 'date' and 'time') and 'calls'"
        )
    if not place["time"]:
        return None, place["date"][0], place["calls"][0]
    day = place["date"][0] if place["date"] else None
    return day, place["time"][0], place["calls"][0]


def _collect(read: list[_Read], source: str, zone: ZoneInfo, result: Counts) -> list[str]:
    """Counts by quarters. Returns mistakes."""
    if all(row.whole_day for row in read):
        for row in read:
            after = row.start.astimezone(zone).date() + timedelta(days=1)
            end = datetime.combine(after, time(), zone).astimezone(UTC)
            quarters = int((end - row.start) / timedelta(minutes=15))
            result.counts.append(Count(row.start, quarters, row.number))
        return []
    minutes = _interval([row.start for row in read])
    if minutes is None:
        return [f"{source}: the times are neither 1 to 60 minutes nor whole days apart"]
    if minutes < 15:
        return _shorter(read, minutes, source, result)
    mistakes = []
    for row in read:
        if row.start.minute % 15 or row.start.second:
            mistakes.append(f"{source}, line {row.row.line}: {row.row.when!r} is no quarter hour")
        result.counts.append(Count(row.start, minutes // 15, row.number))
    return mistakes


def _shorter(read: list[_Read], minutes: int, source: str, result: Counts) -> list[str]:
    parts: Counter[datetime] = Counter()
    sums: Counter[datetime] = Counter()
    for row in read:
        at = row.start
        quarter = at.replace(minute=at.minute // 15 * 15, second=0, microsecond=0)
        parts[quarter] += 1
        sums[quarter] += row.number
    whole = [quarter for quarter in sorted(parts) if parts[quarter] == 15 // minutes]
    result.counts += [Count(quarter, 1, sums[quarter]) for quarter in whole]
    if len(whole) < len(parts):
        missing = len(parts) - len(whole)
        result.notes.append(f"{missing} quarter hours that are not whole were left out")
    return [] if whole else [f"{source}: it holds no whole quarter hour"]


def _interval(starts: Sequence[datetime]) -> int | None:
    """Minutes from one count to the next; the shortest pause, for some may be missing."""
    gaps = [int((later - at).total_seconds()) // 60 for at, later in pairwise(starts)]
    shortest = min(gaps, default=15)
    if shortest in _MINUTES:
        return shortest
    return 15 if shortest > 60 else None
