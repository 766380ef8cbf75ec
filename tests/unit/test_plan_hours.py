"""Agents' hours by the wall clock, also on the days on which the clocks change."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from incident.plan.hours import DAYS, Hours


def hours(zone: str = "America/New_York", closed: Any = (), **days: Any) -> Hours:
    weekly: dict[str, Any] = dict.fromkeys(DAYS) | days
    return Hours.model_validate({"timezone": zone, "weekly": weekly, "closed": closed})


WEEKDAYS = hours(
    monday="08:00-20:00",
    tuesday="08:00-20:00",
    wednesday="08:00-20:00",
    thursday="08:00-20:00",
    friday=["08:00-12:00", "13:00-17:00"],
    closed=("2026-11-26",),
)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


@pytest.mark.parametrize(
    ("moment", "is_open"),
    [
        ("2026-11-23T08:00:00-05:00", True),
        ("2026-11-23T07:59:59-05:00", False),
        ("2026-11-23T19:59:59-05:00", True),
        ("2026-11-23T20:00:00-05:00", False),
        ("2026-11-23T13:00:00+00:00", True),  # 8:00 in New York
        ("2026-11-26T10:00:00-05:00", False),  # closed that day
        ("2026-11-27T12:30:00-05:00", False),  # between two spans
        ("2026-11-28T10:00:00-05:00", False),  # Saturday
    ],
)
def test_open_is_judged_by_the_wall_clock(moment: str, is_open: bool) -> None:
    assert WEEKDAYS.open_at(at(moment)) is is_open


@pytest.mark.parametrize(
    ("moment", "opening"),
    [
        ("2026-11-23T10:00:00-05:00", "2026-11-23T10:00:00-05:00"),
        ("2026-11-23T21:00:00-05:00", "2026-11-24T08:00:00-05:00"),
        ("2026-11-25T20:00:00-05:00", "2026-11-27T08:00:00-05:00"),  # over the closed day
        ("2026-11-27T12:00:00-05:00", "2026-11-27T13:00:00-05:00"),
        ("2026-03-06T18:00:00-05:00", "2026-03-09T08:00:00-04:00"),  # clocks forward between
        ("2026-10-30T18:00:00-04:00", "2026-11-02T08:00:00-05:00"),  # clocks back between
    ],
)
def test_the_next_opening(moment: str, opening: str) -> None:
    assert WEEKDAYS.next_opening(at(moment)) == at(opening)


def test_an_opening_inside_the_skipped_hour_is_at_its_end() -> None:
    early = hours(sunday="02:30-06:00")
    assert early.next_opening(at("2026-03-08T00:00:00-05:00")) == at("2026-03-08T03:00:00-04:00")


def test_an_opening_inside_the_repeated_hour_comes_twice() -> None:
    early = hours(sunday="01:30-01:45")
    first = at("2026-11-01T01:30:00-04:00")
    assert early.next_opening(at("2026-11-01T00:00:00-04:00")) == first
    assert early.next_opening(first + timedelta(minutes=15)) == at("2026-11-01T01:30:00-05:00")


def test_day_and_night_is_open_through_both_changes() -> None:
    always = hours(**dict.fromkeys(DAYS, "00:00-24:00"))
    start = at("2026-01-01T00:00:00+00:00")
    assert all(always.open_at(start + timedelta(hours=h)) for h in range(0, 24 * 365, 1))


def test_no_opening_within_reach_is_none() -> None:
    first = at("2026-01-05T00:00:00-05:00")
    mondays = [(first + timedelta(weeks=week)).date().isoformat() for week in range(60)]
    rarely = hours(monday="08:00-09:00", closed=tuple(mondays))
    assert rarely.next_opening(first) is None


def test_a_moment_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        WEEKDAYS.open_at(datetime(2026, 11, 23, 10, 0))  # noqa: DTZ001


MINUTES = st.integers(0, 24 * 60)


@st.composite
def weeks(draw: st.DrawFn) -> Hours:
    days: dict[str, list[str]] = {}
    for day in DAYS:
        edges = sorted(draw(st.sets(MINUTES, max_size=4)))
        pairs = zip(edges[::2], edges[1::2], strict=False)
        days[day] = [f"{a // 60:02}:{a % 60:02}-{b // 60:02}:{b % 60:02}" for a, b in pairs]
    days["sunday"] = days["sunday"] or ["01:15-02:45"]
    zone = draw(st.sampled_from(["America/New_York", "Europe/London", "Australia/Lord_Howe"]))
    return hours(zone, **days)


STARTS = st.sampled_from(
    # Around the changes of these zones, and an ordinary day.
    [
        "2026-03-07",
        "2026-10-31",
        "2026-03-28",
        "2026-10-24",
        "2026-04-04",
        "2026-10-03",
        "2026-06-10",
    ]
)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(weeks(), STARTS, st.integers(0, 2 * 24 * 60))
def test_the_next_opening_is_the_first_open_minute(plan: Hours, day: str, minute: int) -> None:
    start = datetime.fromisoformat(day).replace(tzinfo=UTC) + timedelta(minutes=minute)
    walk = start
    while not plan.open_at(walk):
        walk += timedelta(minutes=1)
    assert plan.next_opening(start) == walk
