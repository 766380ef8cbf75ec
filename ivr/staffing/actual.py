"""Real counts from other people's tables: when, and how many calls were offered.

Any usual CSV: a time, or a date and a time, and a number; how long each count is follows from the
rows (``intervals``) or from a column. What cannot be read is refused with its line number; blank
counts and totals are left out and told.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from incident.contacts.source import Lines, examine
from ivr.staffing.intervals import Counts, Row, collect
from ivr.staffing.moments import Moment, day_first, end_of, moment
from ivr.staffing.values import count as whole_number

_LARGEST: Final = 5_000_000
_SHOWN_MISTAKES: Final = 8
_DAY: Final = 1440
"""Minutes."""
_DELIMITERS: Final = ",;\t|"
HEADERS: Final = {
    "date": "date day call_date",
    "time": "time start start_time interval interval_start quarter quarter_hour timestamp "
    "datetime date_time period from begin hour",
    "calls": "calls offered calls_offered offered_calls received calls_received count volume "
    "inbound inbound_calls incoming n total_calls call_count",
    "end": "end end_time interval_end until to",
    "minutes": "minutes interval_minutes",
}
"""Names of columns that are understood, in small letters; other signs than letters count as _."""
_NAMES: Final = {name: what for what, names in HEADERS.items() for name in names.split()}


class CountsUnreadable(ValueError):
    """A table of counts cannot be used; the message names each line and why."""


@dataclass(frozen=True, slots=True)
class _Columns:
    """Places of the count, the time, the date (if it stands alone), the end and the length."""

    calls: int
    time: int
    date: int | None = None
    end: int | None = None
    minutes: int | None = None


@dataclass(frozen=True, slots=True)
class _Cells:
    line: int
    when: str
    number: str
    end: str
    minutes: str


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
    all_rows = list(_rows(text, source, result))
    rows = [row for row in all_rows if row.number]
    if not rows:
        raise CountsUnreadable(f"{source}: there are no counts in it")
    order = day_first([row.when for row in rows], near)
    mistakes: list[str] = []
    seen: dict[datetime, int] = {}
    read: list[Row] = []
    for row in rows:
        try:
            at = moment(row.when, zone, day_first=order)
            number = whole_number(row.number)
            minutes = _minutes(row, at, zone)
        except ValueError as error:
            mistakes.append(f"{source}, line {row.line}: {error}")
            continue
        if at.start in seen:
            twice = f"{row.when!r} is here twice; first on line {seen[at.start]}"
            mistakes.append(f"{source}, line {row.line}: {twice}")
        seen[at.start] = row.line
        read.append(Row(row.line, row.when, at.start, at.whole_day, minutes, number))
    if not mistakes:
        blank = [row for row in all_rows if not row.number]
        read.sort(key=lambda each: each.start)
        mistakes += collect(read, list(_times(blank, zone, order)), source, zone, result)
    if mistakes:
        more = len(mistakes) - _SHOWN_MISTAKES
        shown = mistakes[:_SHOWN_MISTAKES] + ([f"and {more} more mistakes"] if more > 0 else [])
        raise CountsUnreadable("\n".join(shown))
    return result


def _minutes(row: _Cells, at: Moment, zone: ZoneInfo) -> int | None:
    """How long a count is, if its row says so. Raises ValueError."""
    if at.whole_day:
        return None
    if row.minutes:
        minutes = whole_number(row.minutes)
        if not 1 <= minutes <= _DAY:
            raise ValueError(f"{row.minutes!r} minutes are no length of a count")
        return minutes
    end = at.end
    if row.end:
        start = at.start.astimezone(zone)
        # With a date of its own, or a time of day alone.
        dated = re.match(r"\d{1,4}[-/.]\d{1,2}[-/.]\d", row.end)
        order = day_first([row.when, row.end], start.date())
        end = moment(row.end, zone, day_first=order).start if dated else None
        end = end or end_of(row.end, start, row.end)
    if end is None:
        return None
    minutes = int((end - at.start).total_seconds()) // 60
    if (minutes + 1) % 15 == 0:
        minutes += 1  # 08:00 to 08:59
    if not 1 <= minutes <= _DAY:
        raise ValueError(f"{row.when!r} is no interval of a minute to a day")
    return minutes


def _rows(text: str, source: str, result: Counts) -> Iterator[_Cells]:
    """Rows with a time and a number, or no number; the header and totals are taken away."""
    lines = [line for line in text.splitlines()[:1000] if line.strip()]
    if not lines:
        return
    delimiter = max(_DELIMITERS, key=lambda each: sum(line.count(each) > 0 for line in lines))
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    columns: _Columns | None = None
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
            places = (columns.date, columns.time, columns.calls, columns.end, columns.minutes)
            day, when, number, end, minutes = (
                row[at] if at is not None and at < len(row) else "" for at in places
            )
            if re.match(r"(grand )?(total|sum|average|mean)", (day or when).casefold()):
                totals += 1
            elif not number or number in ("-", "--", "n/a", "N/A"):
                blank += 1
                yield _Cells(reader.line_num, f"{day} {when}".strip(), "", end, minutes)
            else:
                yield _Cells(reader.line_num, f"{day} {when}".strip(), number, end, minutes)
    except csv.Error as error:
        raise CountsUnreadable(f"{source}, line {reader.line_num}: {error}") from error
    if blank:
        result.notes.append(f"{_were(blank)} without a count left out")
    if totals:
        result.notes.append(f"{_were(totals)} of totals left out")


def _were(rows: int) -> str:
    return "1 row" if rows == 1 else f"{rows} rows"


def _times(rows: Sequence[_Cells], zone: ZoneInfo, order: bool) -> Iterator[datetime]:
    for row in rows:
        try:
            at = moment(row.when, zone, day_first=order)
        except ValueError:
            continue  # nothing is counted there
        if not at.whole_day:
            yield at.start


def _plain(name: str) -> str:
    return re.sub(r"[^a-z]+", "_", name.casefold()).strip("_")


def _is_header(row: Sequence[str]) -> bool:
    return any(_plain(cell) in _NAMES for cell in row)


def _columns(row: Sequence[str], source: str, line: int) -> _Columns:
    """Where everything stands. Raises CountsUnreadable."""
    if not _is_header(row):
        if len(row) in (2, 3) and any(character.isdigit() for character in row[0]):
            return _Columns(1, 0) if len(row) == 2 else _Columns(2, 1, 0)
        raise CountsUnreadable(_no_columns(row, source, line, "no column has a name that is known"))
    names = [_plain(cell) for cell in row]
    place = {
        what: [at for at, name in enumerate(names) if _NAMES.get(name) == what] for what in HEADERS
    }
    if len(place["calls"]) > 1:
        exact = [at for at in place["calls"] if "offered" in names[at]]
        place["calls"] = exact if len(exact) == 1 else place["calls"]
    missing = [what for what in ("time", "calls") if not place[what]]
    if "time" in missing and place["date"]:
        missing.remove("time")
    if missing or len(place["calls"]) > 1:
        problem = f"no column for {' and '.join(missing)}" if missing else "two columns of calls"
        raise CountsUnreadable(_no_columns(row, source, line, problem))
    first = {what: at[0] for what, at in place.items() if at}
    alone = "time" not in first
    return _Columns(
        calls=first["calls"],
        time=first["date"] if alone else first["time"],
        date=None if alone else first.get("date"),
        end=first.get("end"),
        minutes=first.get("minutes"),
    )


def _no_columns(row: Sequence[str], source: str, line: int, problem: str) -> str:
    known = "; ".join(
        f"{what}: {names.replace(' ', ', ').replace('_', ' ')}" for what, names in HEADERS.items()
    )
    return (
        f"{source}, line {line}: {problem}; found: {', '.join(cell[:30] for cell in row[:12])}. "
        f"Name them 'time' (or 'date' and 'time') and 'calls'. Also understood: {known}"
    )
