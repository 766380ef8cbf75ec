"""How long each real count is, told by its table or by how far apart the rows are, and the counts
by quarter hours that follow."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from itertools import pairwise
from typing import Final
from zoneinfo import ZoneInfo

from ivr.staffing.correct import Count

_SHORT: Final = (1, 3, 5)
"""Minutes that make up a quarter hour."""
_STEPS: Final = (*_SHORT, 15, 30, 60)
"""Minutes that are taken for the length of a count when the rows are so far apart."""
_QUARTER: Final = timedelta(minutes=15)
_CALLED: Final = {15: "quarter-hourly", 30: "half-hourly", 60: "hourly"}
_SAY_SO: Final = (
    "add a column 'minutes' (or 'end'), write the time as 08:00-09:00, or leave the time out where "
    "a count is a whole day's"
)


@dataclass(frozen=True, slots=True)
class Row:
    """One count as it was read. ``when``: as written; ``minutes``: how long it is, where the table
    says so."""

    line: int
    when: str
    start: datetime
    whole_day: bool
    minutes: int | None
    number: int


@dataclass(slots=True)
class Counts:
    """``counts`` by quarter hours; ``notes``: what was left out; ``understood``: in words, how the
    table was read."""

    counts: list[Count] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    understood: str = ""


def collect(
    rows: Sequence[Row], others: Sequence[datetime], source: str, zone: ZoneInfo, result: Counts
) -> list[str]:
    """Put the rows, in order of time, into ``result``. ``others``: times without a count, which
    also tell how far apart the rows are. Returns the mistakes."""
    days = [row for row in rows if row.whole_day]
    if len(days) == len(rows):
        _whole_days(rows, zone, result)
        return []
    if days:
        return [
            f"{source}, line {row.line}: {row.when!r} has no time of day, and others have"
            for row in days
        ]
    lengths = _lengths(rows, others, source)
    if isinstance(lengths, str):
        return [lengths]
    if set(lengths) <= set(_SHORT):
        return _shorter(rows, lengths, source, zone, result)
    mistakes = list(_misplaced(rows, lengths, source))
    if not mistakes:
        for row, minutes in zip(rows, lengths, strict=True):
            result.counts.append(Count(row.start, minutes // 15, row.number))
        result.understood = _in_words(rows, lengths, zone)
    return mistakes


def _whole_days(rows: Sequence[Row], zone: ZoneInfo, result: Counts) -> None:
    for row in rows:
        after = row.start.astimezone(zone).date() + timedelta(days=1)
        end = datetime.combine(after, time(), zone).astimezone(UTC)
        result.counts.append(Count(row.start, int((end - row.start) / _QUARTER), row.number))
    first, last = (_day(row.start.astimezone(zone)) for row in (rows[0], rows[-1]))
    span = first if len(rows) == 1 else f"{first} to {last}"
    result.understood = f"{_number(len(rows), 'daily')}, {span}"


def _lengths(rows: Sequence[Row], others: Sequence[datetime], source: str) -> list[int] | str:
    """Minutes of each row, or why they cannot be known."""
    told = [row.minutes for row in rows if row.minutes is not None]
    if len(told) == len(rows):
        return told
    if told:
        row = next(row for row in rows if row.minutes is None)
        return f"{source}, line {row.line}: {row.when!r} does not say how long it is; others do"
    starts = sorted({*(row.start for row in rows), *others})
    if len(starts) == 1:
        return (
            f"{source}, line {rows[0].line}: one count alone does not say how long it is (an hour, "
            f"a quarter hour?); {_SAY_SO}"
        )
    gaps = [int((after - at).total_seconds()) // 60 for at, after in pairwise(starts)]
    step, seen = min(gaps), Counter(gaps)
    if step not in _STEPS:
        return (
            f"{source}: some of the times are {step} minutes apart, none closer, which does not "
            f"say how long each count is; {_SAY_SO}"
        )
    usual = max(seen, key=lambda gap: (seen[gap], -gap))
    if usual in _STEPS and usual != step and step >= 15:
        return (
            f"{source}: most times are {usual} minutes apart, but some only {step}: how long is "
            f"each count? {_SAY_SO}"
        )
    return [step] * len(rows)


def _misplaced(rows: Sequence[Row], lengths: Sequence[int], source: str) -> list[str]:
    mistakes = []
    for row, minutes in zip(rows, lengths, strict=True):
        place = f"{source}, line {row.line}: {row.when!r}"
        if minutes % 15:
            mistakes.append(f"{place}: {minutes} minutes are no whole number of quarter hours")
        elif row.start.minute % 15 or row.start.second:
            mistakes.append(f"{place} is no quarter hour")
    for (row, minutes), (after, _) in pairwise(zip(rows, lengths, strict=True)):
        if row.start + timedelta(minutes=minutes) > after.start:
            mistakes.append(
                f"{source}, line {after.line}: {after.when!r} begins within the {minutes} minutes "
                f"of {row.when!r} (line {row.line})"
            )
    return mistakes


def _shorter(
    rows: Sequence[Row], lengths: Sequence[int], source: str, zone: ZoneInfo, result: Counts
) -> list[str]:
    """Counts of some minutes, put together to quarter hours; parts of one are left out."""
    minutes: Counter[datetime] = Counter()
    sums: Counter[datetime] = Counter()
    for row, length in zip(rows, lengths, strict=True):
        at = row.start
        quarter = at.replace(minute=at.minute // 15 * 15, second=0, microsecond=0)
        minutes[quarter] += length
        sums[quarter] += row.number
    whole = [quarter for quarter in sorted(minutes) if minutes[quarter] == 15]
    result.counts += [Count(quarter, 1, sums[quarter]) for quarter in whole]
    if missing := len(minutes) - len(whole):
        result.notes.append(
            f"{missing} quarter hours that are not whole were left out"
            if missing > 1
            else "1 quarter hour that is not whole was left out"
        )
    result.understood = _in_words(rows, lengths, zone)
    return [] if whole else [f"{source}: it holds no whole quarter hour"]


def _in_words(rows: Sequence[Row], lengths: Sequence[int], zone: ZoneInfo) -> str:
    """12 hourly counts, 08:00 to 20:00 on Thursday 3 December 2026."""
    few, most = min(lengths), max(lengths)
    if few == most:
        counts = _number(len(rows), _CALLED.get(few, f"{few}-minute"))
    else:
        counts = f"{len(rows)} counts of {few} to {most} minutes"
    first = rows[0].start.astimezone(zone)
    end = (rows[-1].start + timedelta(minutes=lengths[-1])).astimezone(zone)
    midnight = end.time() == time()
    last = end - timedelta(minutes=1) if midnight else end
    until = "24:00" if midnight else f"{end:%H:%M}"
    if first.date() == last.date():
        return f"{counts}, {first:%H:%M} to {until} on {_day(first)}"
    return f"{counts}, {_day(first)} {first:%H:%M} to {_day(last)} {until}"


def _number(many: int, kind: str) -> str:
    return f"{many:,} {kind} {'count' if many == 1 else 'counts'}"


def _day(moment: datetime) -> str:
    return f"{moment:%A} {moment.day} {moment:%B %Y}"
