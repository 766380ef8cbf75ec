"""Retry rules and calling hours: what they say, and what they refuse."""

from __future__ import annotations

import json
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialer.eligibility import BadHours, CallingHours, CampaignRules, may_call
from dialer.retry import BadRules, RetryRules, Rule
from incident.outcomes import AttemptOutcome
from incident.store.attempts import Candidate, NextStep
from incident.store.schema import ContactState

DONE = NextStep(ContactState.DONE)
EXHAUSTED = NextStep(ContactState.EXHAUSTED)


def ready(at: float) -> NextStep:
    return NextStep(ContactState.READY, at)


@pytest.mark.parametrize(
    ("outcome", "tries", "same", "expected"),
    [
        ("connected", 1, 1, DONE),
        ("connected", 9, 1, DONE),
        ("busy", 1, 1, ready(1000 + 900)),
        ("no_answer", 1, 1, ready(1000 + 3 * 3600)),
        ("congestion", 1, 1, ready(1000 + 120)),
        ("failed", 1, 1, ready(1000 + 120)),
        ("machine", 1, 1, ready(1000 + 4 * 3600)),
        ("abandoned", 1, 1, ready(1000 + 2 * 3600)),
        ("live_answered", 1, 1, ready(1000 + 2 * 3600)),
        ("invalid_number", 1, 1, EXHAUSTED),
        ("unknown", 1, 1, ready(1000 + 4 * 3600)),
        ("unknown", 2, 2, EXHAUSTED),
        ("unknown", 2, 1, ready(1000 + 4 * 3600)),
        ("busy", 5, 5, ready(1000 + 900)),
        ("busy", 6, 1, EXHAUSTED),
    ],
)
def test_defaults(outcome: str, tries: int, same: int, expected: NextStep) -> None:
    assert RetryRules().next_step(AttemptOutcome(outcome), tries, same, 1000.0) == expected


def test_what_is_left_out_keeps_its_default_and_all_of_it_survives_json() -> None:
    rules = RetryRules.parse('{"max_attempts": 2, "busy": {"after": 5}, "machine": "no"}')
    assert rules.rule(AttemptOutcome.BUSY) == Rule(after=5)
    assert rules.rule(AttemptOutcome.MACHINE) is None
    assert rules.rule(AttemptOutcome.NO_ANSWER) == RetryRules().no_answer
    assert RetryRules.parse(rules.to_json()) == rules
    assert rules.pauses["busy"] == 5
    assert set(rules.last) == {"connected", "machine", "invalid_number"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{",
        '{"bussy": {"after": 5}}',
        '{"busy": {"after": 5, "often": 2}}',
        '{"busy": {"after": 0}}',
        '{"busy": "yes"}',
        '{"connected": {"after": 5}}',
        '{"max_attempts": 0}',
    ],
)
def test_rules_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(BadRules):
        RetryRules.parse(text)


def test_a_refusal_names_the_key() -> None:
    with pytest.raises(BadRules, match="bussy"):
        RetryRules.parse('{"bussy": {"after": 5}}')


@given(st.sampled_from(list(AttemptOutcome)), st.integers(1, 200), st.integers(1, 200))
def test_tries_always_come_to_an_end(outcome: AttemptOutcome, tries: int, same: int) -> None:
    step = RetryRules().next_step(outcome, tries, same, 50.0)
    if tries >= RetryRules().max_attempts:
        assert step.state is not ContactState.READY
    if step.state is ContactState.READY:
        assert step.not_before > 50.0


CHICAGO = ZoneInfo("America/Chicago")


def at(hour: int, minute: int = 0, day: int = 23) -> float:
    return datetime(2026, 11, day, hour, minute, tzinfo=CHICAGO).timestamp()


@pytest.mark.parametrize(
    ("now", "opens"),
    [
        (at(8), None),
        (at(12), None),
        (at(19, 59), None),
        (at(20), at(8, day=24)),
        (at(23), at(8, day=24)),
        (at(7, 59), at(8)),
        (at(0), at(8)),
    ],
)
def test_the_window(now: float, opens: float | None) -> None:
    hours = CallingHours.parse("08:00-20:00 America/Chicago")
    assert hours.opens(now) == opens
    assert CallingHours.parse(hours.to_json()) == hours
    verdict = may_call(Candidate(1, "en", "IL", "60601", 0), CampaignRules(hours), now)
    assert (verdict.ok, verdict.until) == (opens is None, opens)
    assert verdict.ok or "08:00-20:00 America/Chicago" in verdict.reason


def test_a_window_over_a_change_of_the_clocks() -> None:
    hours = CallingHours.parse("08:00-20:00 America/Chicago")
    before = datetime(2027, 3, 13, 21, tzinfo=CHICAGO).timestamp()
    assert hours.opens(before) == datetime(2027, 3, 14, 8, tzinfo=CHICAGO).timestamp()


def test_round_the_clock() -> None:
    hours = CallingHours.parse("00:00-24:00 UTC")
    assert all(hours.opens(at(hour)) is None for hour in range(24))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "08:00-20:00",
        "8-20 America/Chicago",
        "20:00-08:00 America/Chicago",
        "08:00-08:00 America/Chicago",
        "08:00-25:00 America/Chicago",
        "08:00-20:00 America/Nowhere",
        "08:00-20:00 ../../etc/passwd",
        '{"timezone": "UTC"}',
        json.dumps({"timezone": "UTC", "start": "9:77", "end": "x"}),
    ],
)
def test_hours_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(BadHours):
        CallingHours.parse(text)
