"""Real counts: reading other people's tables, and what they do to the forecast."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from incident.contacts.errors import SourceUnreadable
from ivr.staffing.actual import CountsUnreadable, parse_counts, read_counts
from ivr.staffing.correct import Correction, Count, NothingToCompare, correct
from ivr.staffing.days import summaries
from ivr.staffing.forecast import Ground, ground
from ivr.staffing.intervals import Counts
from ivr.staffing.load import scenario

ZONE = ZoneInfo("America/New_York")
NEAR = date(2026, 12, 1)
MONDAY = date(2026, 12, 7)


def read(text: str) -> Counts:
    return parse_counts(text, "counts.csv", ZONE, NEAR)


def shown(counts: Counts) -> list[tuple[str, int, int]]:
    return [
        (f"{each.start.astimezone(ZONE):%d %H:%M}", each.quarters, each.calls)
        for each in counts.counts
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "time,calls\n2026-12-03 08:00,12\n2026-12-03 08:15,9\n",
            [("08:00", 1, 12), ("08:15", 1, 9)],
        ),
        ('Interval;Calls Offered\n12/3/2026 8:00 AM - 8:15 AM;"1,234"\n', [("08:00", 1, 1234)]),
        ("Date\tStart Time\tEnd\tOffered\n3.12.2026\t14:30\t15:30\t7\n", [("14:30", 4, 7)]),
        ("date,time,calls\n12/3/2026,1:15 PM - 1:30 PM,4\n", [("13:15", 1, 4)]),
        (
            "2026-12-03T13:15:00Z,4\n2026-12-03T13:30:00Z,5\n",
            [("08:15", 1, 4), ("08:30", 1, 5)],
        ),
        (
            "2026-12-03 07:15:00-06:00,4\n2026-12-03T07:45-06:00,5\n",
            [("08:15", 2, 4), ("08:45", 2, 5)],
        ),
        ("\ufefftime,calls\r\n\r\n2026-12-03 08:00-09:00,12.0\r\n", [("08:00", 4, 12)]),
        (
            "time,calls\n03/12/2026 08:00,1\n03/12/2026 09:00,2\n",
            [("08:00", 4, 1), ("09:00", 4, 2)],
        ),
        ("time,calls,offered,minutes\n2026-12-03 08:00,1,2,30\n", [("08:00", 2, 2)]),
    ],
)
def test_usual_tables(text: str, expected: list[tuple[str, int, int]]) -> None:
    assert shown(read(text)) == [(f"03 {at}", quarters, calls) for at, quarters, calls in expected]


def test_whole_days_and_short_intervals() -> None:
    assert shown(read("day,calls\n2026-12-03,579\n")) == [("03 00:00", 96, 579)]
    assert read("day,calls\n2026-11-01,9\n").counts[0].quarters == 100
    fives = "".join(f"2026-12-03 08:{minute:02},3\n" for minute in range(0, 25, 5))
    counts = read("time,calls\n" + fives)
    assert shown(counts) == [("03 08:00", 1, 9)]
    assert counts.notes == ["1 quarter hour that is not whole was left out"]


@pytest.mark.parametrize(
    ("text", "understood"),
    [
        (
            "".join(f"2026-12-03 {hour:02}:00,60\n" for hour in range(8, 20)),
            "12 hourly counts, 08:00 to 20:00 on Thursday 3 December 2026",
        ),
        (
            "2026-12-03 23:30,1\n2026-12-03 23:45,1\n",
            "2 quarter-hourly counts, 23:30 to 24:00 on Thursday 3 December 2026",
        ),
        (
            "2026-12-03 19:30,1\n2026-12-04 08:00,1\n2026-12-04 08:30,1\n",
            "3 half-hourly counts, Thursday 3 December 2026 19:30 to Friday 4 December 2026 09:00",
        ),
        ("day,calls\n2026-12-03,9\n", "1 daily count, Thursday 3 December 2026"),
        (
            "time,calls\n2026-12-03 08:00-10:00,9\n2026-12-03 10:00-10:30,9\n",
            "2 counts of 30 to 120 minutes, 08:00 to 10:30 on Thursday 3 December 2026",
        ),
    ],
)
def test_what_was_understood_is_said(text: str, understood: str) -> None:
    assert read(text).understood == understood


@pytest.mark.parametrize(
    ("when", "begins", "quarters"),
    [
        ("2026-12-03 08:00-09:00", "08:00", 4),
        ("2026-12-03 8:00 to 8:59", "08:00", 4),
        ("2026-12-03 8 - 9 PM", "20:00", 4),
        ("12/3/2026 11:45 - 12:00 PM", "11:45", 1),
        ("2026-12-03 23:00-24:00", "23:00", 4),
    ],
)
def test_a_time_may_say_its_end(when: str, begins: str, quarters: int) -> None:
    assert shown(read(f"time,calls\n{when},7\n")) == [(f"03 {begins}", quarters, 7)]


def test_times_that_are_still_blank_tell_how_long_the_others_are() -> None:
    hours = "time,calls\n2026-12-03 08:00,40\n2026-12-03 09:00,\n2026-12-03 10:00,\n"
    assert shown(read(hours)) == [("03 08:00", 4, 40)]


def test_an_end_may_have_a_date_of_its_own() -> None:
    over_night = "start,end,calls\n2026-12-03 23:00,2026-12-04 01:00,8\n"
    assert shown(read(over_night)) == [("03 23:00", 8, 8)]


def test_blank_counts_and_totals_are_left_out_and_told() -> None:
    counts = read("time,calls\n2026-12-03 08:00,5\n2026-12-03 08:15,\nTotal,5\n")
    assert shown(counts) == [("03 08:00", 1, 5)]
    assert len(counts.notes) == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("time,calls\n2026-12-03 08:00,x\n", "line 2: 'x' is not a whole number"),
        ("time,calls\n2026-12-03 08:00,-4\n", "line 2: '-4' is not"),
        ("time,calls\n2026-12-03 25:00,4\n", "line 2: '2026-12-03 25:00' is no time of day"),
        ("time,calls\n2026-02-30 08:00,4\n", "not a day of the calendar"),
        ("time,calls\nyesterday,4\n", "line 2: 'yesterday' is not a date and time"),
        ("time,calls\n2026-12-03 08:00,1,234\n", "line 2: 3 columns where there should be 2"),
        ("time,calls\n2026-12-03 08:00,1\n2026-12-03 08:00,2\n", "is here twice; first on line 2"),
        ("time,calls\n2026-12-03 08:07-08:22,1\n", "'2026-12-03 08:07-08:22' is no quarter hour"),
        ("time,abandoned\n2026-12-03 08:00,1\n", "no column for calls"),
        ("calls,received,time\n1,2,2026-12-03 08:00\n", "two columns of calls"),
        ("a,b,c,d\n", "no column has a name that is known; found: a, b, c, d. Name them"),
        ("time,calls\n2026-12-03 08:00,1\n2026-12-03 08:40,1\n", "40 minutes apart, none closer"),
        ("time,calls\n2026-12-03 08:00,1\n", "line 2: one count alone does not say how long it is"),
        ("time,calls\n2026-12-03 08:00,1\n2026-12-03 10:00,1\n", "120 minutes apart"),
        (
            "".join(f"2026-12-03 {at},1\n" for at in ("08:00", "09:00", "10:00", "10:15")),
            "most times are 60 minutes apart, but some only 15",
        ),
        ("time,calls\n2026-12-03 08:00,1\n2026-12-04,1\n", "'2026-12-04' has no time of day"),
        (
            "time,calls\n2026-12-03 08:00-09:00,1\n2026-12-03 09:00,1\n",
            "line 3: '2026-12-03 09:00' does not say how long it is",
        ),
        (
            "time,calls\n2026-12-03 08:00-09:00,1\n2026-12-03 08:30-09:30,1\n",
            "'2026-12-03 08:30-09:30' begins within the 60 minutes of '2026-12-03 08:00-09:00'",
        ),
        ("time,calls,minutes\n2026-12-03 08:00,1,20\n", "20 minutes are no whole number of"),
        ("time,calls,minutes\n2026-12-03 08:00,1,0\n", "'0' minutes are no length"),
        ("time,end,calls\n2026-12-03 08:00,07:00,1\n", "'07:00' ends before it begins"),
        ("time,calls\n2026-12-03 08:00,1.234\n", "line 2: '1.234' may be read in two ways"),
        ("", "no counts in it"),
        ("time,calls\n", "no counts in it"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_line(text: str, message: str) -> None:
    with pytest.raises(CountsUnreadable) as caught:
        read(text)
    assert message in str(caught.value)


def test_many_mistakes_are_not_all_listed() -> None:
    with pytest.raises(CountsUnreadable, match="and 12 more mistakes"):
        read("time,calls\n" + "never,1\n" * 20)


@settings(deadline=None, max_examples=200)
@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        read("time,calls\n" + text)
    except CountsUnreadable:
        return


def test_files_of_any_encoding(tmp_path: Path) -> None:
    file = tmp_path / "counts.csv"
    file.write_text("time,calls\n2026-12-03 08:00-08:15,5\n", encoding="utf-16")
    assert shown(read_counts(file, ZONE, NEAR)) == [("03 08:00", 1, 5)]
    file.write_bytes(b"")
    with pytest.raises(SourceUnreadable):
        read_counts(file, ZONE, NEAR)


@lru_cache
def base() -> Ground:
    given_keys = {
        "--people": (("people",), "814000"),
        "--letters-from": (("letters", "first"), "2026-12-01"),
        "--days": (("days",), "14"),
    }
    return ground(scenario(None, given_keys), NEAR)


def counted(factor: float, until: datetime, shift: int = 0) -> list[Count]:
    """What would be counted if the truth were the forecast times ``factor``, moved by days."""
    return [
        Count(quarter.start, 1, round(calls * factor))
        for quarter, calls in zip(base().quarters, base().fresh(shift), strict=True)
        if quarter.start < until
    ]


def corrected(factor: float, until: datetime, shift: int = 0) -> Correction:
    return correct(base(), counted(factor, until, shift))


FIRST_HOURS = datetime(2026, 12, 3, 14, tzinfo=ZONE)
TWO_DAYS = datetime(2026, 12, 4, 20, tzinfo=ZONE)


def test_more_calls_than_forecast_raise_it() -> None:
    done = corrected(1.6, TWO_DAYS)
    assert done.ratio == pytest.approx(1.57, abs=0.05)
    assert done.after.belief.shift == 0
    assert done.after.belief.scale.mean == pytest.approx(1.55, abs=0.1)
    calls, low, high = done.day(MONDAY)
    assert low < 1.6 * 7330 < high
    assert calls == pytest.approx(1.57 * 7500, rel=0.08)
    assert done.next_peak == MONDAY
    old, new = (
        next(each for each in summaries(which) if each.day == MONDAY).agents
        for which in (done.before, done.after)
    )
    assert 1.35 < new / old < 1.65


def test_the_range_narrows_with_every_day() -> None:
    widths = []
    for until in (FIRST_HOURS, TWO_DAYS, datetime(2026, 12, 5, 17, tzinfo=ZONE)):
        calls, low, high = corrected(1.0, until).day(MONDAY)
        widths.append((high - low) / calls)
    before = corrected(1.0, FIRST_HOURS).before
    low, high = before.range_of(before.of(MONDAY))
    prior = (high - low) / sum(before.shown[i].calls for i in before.of(MONDAY))
    assert prior > widths[0] > widths[1] > widths[2]


@pytest.mark.parametrize(("factor", "low", "high"), [(6.0, 4.0, 6.3), (0.1, 0.07, 0.14)])
def test_a_flood_and_a_trickle(factor: float, low: float, high: float) -> None:
    assert low < corrected(factor, TWO_DAYS).after.belief.scale.mean < high


@pytest.mark.parametrize("shift", [-1, 1, 2])
def test_a_peak_that_comes_on_another_day(shift: int) -> None:
    done = corrected(1.0, datetime(2026, 12, 8, 20, tzinfo=ZONE), shift)
    assert done.after.belief.shift == shift
    assert done.after.belief.weights[shift] > 0.8
    assert done.after.belief.scale.mean == pytest.approx(1.0, abs=0.12)


def test_calls_as_forecast_change_little() -> None:
    done = corrected(1.0, TWO_DAYS)
    assert done.after.belief.shift == 0
    assert done.after.belief.scale.mean == pytest.approx(1.0, abs=0.06)


def test_hours_say_the_same_as_their_quarters() -> None:
    quarters = counted(1.6, TWO_DAYS)
    hourly = [
        Count(first.start, 4, sum(each.calls for each in quarters[at : at + 4]))
        for at, first in enumerate(quarters)
        if at % 4 == 0
    ]
    one, other = correct(base(), quarters), correct(base(), hourly)
    assert one.hours == other.hours
    assert one.after.belief.scale.mean == pytest.approx(other.after.belief.scale.mean, rel=0.02)


def test_a_day_that_is_not_over_keeps_what_is_counted() -> None:
    done = corrected(1.6, FIRST_HOURS)
    today = date(2026, 12, 3)
    calls, low, high = done.day(today)
    so_far = sum(done.seen[i] for i in done.after.of(today) if i in done.seen)
    assert so_far < low < calls < high


def test_counts_of_other_days_are_left_out() -> None:
    far = [Count(each.start + timedelta(days=365), 1, 5) for each in counted(1, FIRST_HOURS)]
    with pytest.raises(NothingToCompare, match="2026-12-01 to 2026-12-14"):
        correct(base(), far)
    done = correct(base(), [*counted(1.0, FIRST_HOURS), far[0]])
    assert done.left_out == 1
