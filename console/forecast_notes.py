"""What a reader of a forecast should know about its days: when letters go out, which holidays
count, what is past, and what lies beyond its end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Final

from console.forecast_tables import long_day, number
from incident.plan import Plan
from ivr.staffing.forecast import Forecast
from ivr.staffing.scenario import LONGEST_DAYS

_NAMED_ONE_BY_ONE: Final = 3


def day_notes(forecast: Forecast, today: date, *, counted: bool) -> Iterator[str]:
    """A sentence each. ``today``: in the incident's zone; ``counted``: real counts are there, so
    that days in the past are no surprise."""
    yield _mailing(forecast)
    last = max(forecast.ground.delivered(forecast.belief.shift))
    yield f"The last letters arrive by {long_day(last)} {last.year}."
    yield _holidays(forecast)
    if not counted:
        yield from _past(forecast, today)
    yield from _beyond(forecast)


def deadline(found: Plan, forecast: Forecast) -> Iterator[str]:
    """Whether notice comes later than the plan's own date for it."""
    due = found.dates.notice_by
    if due is None:
        return
    letters = max(forecast.ground.delivered(forecast.belief.shift))
    for what, day in (("letters", letters), ("notice calls", forecast.finish)):
        if day is not None and day > due:
            yield f"Too late: the last {what} come {(day - due).days} days after notice_by ({due})."


def _mailing(forecast: Forecast) -> str:
    days = sorted(forecast.ground.mailed)
    if len(days) <= _NAMED_ONE_BY_ONE:
        when = f"on {_listed(days)}"
    else:
        year = f" {days[0].year}" if days[0].year != days[-1].year else ""
        when = f"on {len(days)} days from {long_day(days[0])}{year} to {long_day(days[-1])}"
    rule = (
        "the days that letters.by_day names"
        if forecast.scenario.letters.by_day
        else "Mondays to Fridays, public holidays included"
    )
    return f"Letters go out {when} {days[-1].year} ({rule}), and arrive on no Sunday."


def _holidays(forecast: Forecast) -> str:
    closed = sorted(set(forecast.scenario.hours.closed) & set(forecast.ground.days))
    if closed:
        return f"Holidays, without agents: {_listed(closed)} (hours.closed); no others are known."
    return "No day counts as a holiday: name those without agents in hours.closed."


def _past(forecast: Forecast, today: date) -> Iterator[str]:
    first = min(forecast.ground.mailed)
    if first < today:
        yield (
            f"Note: the first mailing day, {long_day(first)} {first.year}, is past "
            f"(today is {long_day(today)} {today.year}); --actual corrects a forecast by real "
            "counts."
        )
    calls = forecast.ground.notices
    if calls and calls[0].day < today and calls[0].day != first:
        day = calls[0].day
        yield f"Note: the first day of notice calls, {long_day(day)} {day.year}, is past."


def _beyond(forecast: Forecast) -> Iterator[str]:
    """What comes after the last day that is shown."""
    ground, shift = forecast.ground, forecast.belief.shift
    end = ground.days[-1]
    letters = ground.delivered(shift)
    late = sum(each for day, each in letters.items() if day > end)
    placed = sum(each.placed for each in ground.notices if each.day > end)
    if late < 0.5 and placed < 0.5:
        return
    calls = sum(each for day, each in ground.fresh_by_day(shift).items() if day > end)
    what = [f"{number(late)} letters arrive"] if late >= 0.5 else []
    what += [f"{number(placed)} notice calls are placed"] if placed >= 0.5 else []
    last = max([*letters, *(each.day for each in ground.notices if each.placed >= 0.5)])
    needed = (last - ground.days[0]).days + 15
    more = (
        f"--days {needed} shows them"
        if needed <= LONGEST_DAYS
        else f"--days shows {LONGEST_DAYS} at most, so plan the later ones on their own"
    )
    first_calls = number(calls * forecast.belief.scale.mean)
    yield (
        f"Note: the forecast ends on {long_day(end)} {end.year}, but {' and '.join(what)} after "
        f"it, until {long_day(last)} {last.year}, and {first_calls} first calls come then; {more}."
    )


def _listed(days: Sequence[date]) -> str:
    texts = [long_day(day) for day in days]
    return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} and {texts[-1]}"
