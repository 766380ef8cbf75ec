"""When a person who keeps a place may be called, and which times can be chosen."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from incident.plan.hours import DAYS, Hours
from incident.store.callbacks import Place, PlaceState
from ivr.keeping.times import NOTICE_SECONDS, due, is_open, next_open, time_choice, time_choices


def hours(spans: Any = "08:00-20:00", zone: str = "America/New_York", **more: Any) -> Hours:
    weekly = dict.fromkeys(DAYS, spans) | more
    return Hours.model_validate({"timezone": zone, "weekly": weekly})


def at(*wall: int, zone: str = "America/New_York", fold: int = 0) -> float:
    moment = datetime(*wall, tzinfo=hours(zone=zone).zone)  # type: ignore[arg-type,misc]
    return moment.replace(fold=fold).timestamp()


def place(state: PlaceState = PlaceState.OPEN, not_before: float = 0.0) -> Place:
    return Place(
        id=1,
        token="t",
        incident="northwind",
        language="en",
        rank=1.0,
        not_before=not_before,
        state=state,
        attempts=0,
        call_id=None,
        phone=b"",
        phone_hash=b"",
        source="waiting",
        requested_at=1.0,
        ended_at=None,
        agent=None,
        detail=None,
    )


NOON = at(2026, 11, 23, 12)


@pytest.mark.parametrize("state", list(PlaceState))
def test_only_open_places_are_due(state: PlaceState) -> None:
    assert due(place(state), NOON, hours()) is (state is PlaceState.OPEN)


def test_due_from_its_time_on_and_while_agents_answer() -> None:
    later = place(not_before=NOON + 60)
    assert not due(later, NOON + 59, hours())
    assert due(later, NOON + 60, hours())
    assert not due(later, at(2026, 11, 23, 20), hours())
    assert due(later, at(2026, 11, 24, 8), hours())


def test_next_open() -> None:
    assert next_open(hours(), NOON) == NOON
    assert next_open(hours(), at(2026, 11, 23, 20)) == at(2026, 11, 24, 8)
    assert next_open(hours(None, sunday="10:00-11:00"), NOON) == at(2026, 11, 29, 10)


def test_whole_hours_of_today_and_tomorrow() -> None:
    found = time_choices(at(2026, 11, 23, 17, 30), hours(["09:30-12:00", "13:00-20:00"]))
    assert [(choice.days, choice.hour) for choice in found] == [
        *((0, hour) for hour in (18, 19)),
        *((1, hour) for hour in (10, 11, *range(13, 20))),
    ]
    assert found[0].at == at(2026, 11, 23, 18)
    assert time_choice(found, 1, 13) == found[4]
    assert time_choice(found, 1, 12) is None
    assert time_choice(found, 0, 10) is None


def test_a_time_that_is_close_is_not_offered() -> None:
    six = at(2026, 11, 23, 18)
    assert time_choices(six - NOTICE_SECONDS, hours())[0].hour == 18
    assert time_choices(six - NOTICE_SECONDS + 1, hours())[0].hour == 19


def test_closed_days_have_no_times() -> None:
    assert time_choices(NOON, hours(None, sunday="10:00-11:00")) == ()


def test_an_hour_that_the_clocks_skip_is_not_offered() -> None:
    # Sunday 8 March 2026: 02:00 becomes 03:00.
    found = time_choices(at(2026, 3, 7, 23), hours("00:00-05:00"))
    assert [choice.hour for choice in found] == [0, 1, 3, 4]
    assert found[2].at - found[1].at == 3600


def test_of_an_hour_that_occurs_twice_the_first_to_come_is_offered() -> None:
    # Sunday 1 November 2026: 02:00 becomes 01:00.
    early = time_choices(at(2026, 11, 1, 0, 30), hours("00:00-05:00"), days=1)
    assert [choice.hour for choice in early] == [1, 2, 3, 4]
    assert early[0].at == at(2026, 11, 1, 1, fold=0)
    between = time_choices(at(2026, 11, 1, 1, 10), hours("00:00-05:00"), days=1)
    assert between[0].at == at(2026, 11, 1, 1, fold=1)
    assert [choice.hour for choice in between] == [1, 2, 3, 4]


@given(
    st.datetimes(datetime(2026, 1, 1), datetime(2028, 1, 1)),  # noqa: DTZ001
    st.sampled_from(["America/New_York", "Europe/London", "Asia/Kolkata", "Australia/Lord_Howe"]),
    st.sampled_from(["00:00-24:00", "08:00-20:00", ["01:30-02:30", "22:00-24:00"]]),
)
@settings(max_examples=60, deadline=None)
def test_every_choice_is_a_whole_hour_when_agents_answer(
    moment: datetime, zone: str, spans: Any
) -> None:
    open_hours = hours(spans, zone)
    now = moment.replace(tzinfo=UTC).timestamp()
    today = datetime.fromtimestamp(now, open_hours.zone).date()
    found = time_choices(now, open_hours)
    assert [choice.at for choice in found] == sorted({choice.at for choice in found})
    for choice in found:
        wall = datetime.fromtimestamp(choice.at, open_hours.zone)
        assert (wall.hour, wall.minute, wall.second) == (choice.hour, 0, 0)
        assert (wall.date() - today).days == choice.days
        assert is_open(open_hours, choice.at)
        assert choice.at >= now + NOTICE_SECONDS
