"""Levels with hysteresis; which callers are shared out; when an outsourcer is left alone."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from incident.plan import Load
from ivr.load import FALL, HOLD_SECONDS, Level, LoadMeter, Reading, Verdict
from ivr.sharing_out import IN_A_ROW, REST_SECONDS, Circuit, Share

LIMITS = Load(busy_wait=100, shed_wait=1000, busy_channels=10, shed_channels=20)


@pytest.mark.parametrize(
    ("predicted", "channels", "verdict"),
    [
        (None, 0, Verdict(Level.NORMAL)),
        (99.9, 9, Verdict(Level.NORMAL)),
        (100, 0, Verdict(Level.BUSY)),
        (None, 10, Verdict(Level.BUSY)),
        (1000, 0, Verdict(Level.SHEDDING)),
        (math.inf, 0, Verdict(Level.SHEDDING)),
        (0, 20, Verdict(Level.SHEDDING, full=True)),
        (2000, 20, Verdict(Level.SHEDDING, full=True)),
    ],
)
def test_a_limit_that_is_reached_counts_at_once(
    predicted: float | None, channels: int, verdict: Verdict
) -> None:
    assert LoadMeter(LIMITS).judge(Reading(predicted, channels), 0.0) == verdict


def test_it_falls_only_well_below_and_after_a_while() -> None:
    meter = LoadMeter(LIMITS)

    def level(predicted: float, now: float) -> Level:
        return meter.judge(Reading(predicted, 0), now).level

    assert level(1000, 0) is Level.SHEDDING
    # Just below the limit, however long.
    assert level(1000 * FALL, 1000) is Level.SHEDDING
    # Well below, and back: the time begins anew.
    assert level(790, 1001) is Level.SHEDDING
    assert level(810, 1001 + HOLD_SECONDS - 1) is Level.SHEDDING
    assert level(790, 1001 + HOLD_SECONDS) is Level.SHEDDING
    assert level(790, 1001 + HOLD_SECONDS + HOLD_SECONDS - 0.1) is Level.SHEDDING
    # One level at a time: still over the lower limit.
    assert level(790, 1001 + HOLD_SECONDS + HOLD_SECONDS) is Level.BUSY
    assert level(10, 1100) is Level.BUSY
    assert level(10, 1100 + HOLD_SECONDS) is Level.NORMAL


def test_what_is_not_known_any_more_lets_the_level_fall_in_time() -> None:
    meter = LoadMeter(LIMITS)
    assert meter.judge(Reading(200, 0), 0).level is Level.BUSY
    assert meter.judge(Reading(None, 0), 1).level is Level.BUSY
    assert meter.judge(Reading(None, 0), 1 + HOLD_SECONDS).level is Level.NORMAL


def test_another_plans_limits_hold_at_once() -> None:
    meter = LoadMeter(LIMITS)
    assert meter.judge(Reading(100, 0), 0).level is Level.BUSY
    meter.change(Load(busy_wait=None))
    assert meter.judge(Reading(100, 0), 1).level is Level.NORMAL
    meter.change(Load(busy_wait=50))
    assert meter.judge(Reading(60, 0), 2).level is Level.BUSY


@given(st.floats(0.001, 1.0), st.integers(0, 400), st.integers(1, 400))
def test_of_any_callers_in_a_row_the_share_is_kept_to_one(
    share: float, before: int, number: int
) -> None:
    rule = Share(share)
    for _ in range(before):
        rule.takes()
    assert abs(sum(rule.takes() for _ in range(number)) - number * share) <= 1 + 1e-6


def test_a_share_is_exact_over_a_hundred() -> None:
    rule = Share(0.3)
    assert [sum(rule.takes() for _ in range(100)) for _ in range(5)] == [30] * 5
    everybody = Share(1.0)
    assert all(everybody.takes() for _ in range(100))


def test_an_outsourcer_who_takes_nobody_is_left_alone_for_a_minute() -> None:
    circuit = Circuit()
    for moment in range(IN_A_ROW):
        assert circuit.lets(moment)
        circuit.sent()
        circuit.ended(moment, answered=False)
    last = IN_A_ROW - 1
    assert not circuit.lets(last)
    assert circuit.resting(last) == REST_SECONDS
    assert not circuit.lets(last + REST_SECONDS - 1)


def test_after_the_rest_one_caller_tries() -> None:
    circuit = Circuit()
    for _ in range(IN_A_ROW):
        circuit.ended(0.0, answered=False)
    assert circuit.lets(REST_SECONDS)
    circuit.sent()
    assert not circuit.lets(REST_SECONDS)
    # It fails: another minute. It is answered: all is well again.
    circuit.ended(REST_SECONDS, answered=False)
    assert not circuit.lets(2 * REST_SECONDS - 1)
    assert circuit.lets(2 * REST_SECONDS)
    circuit.sent()
    circuit.ended(2 * REST_SECONDS, answered=True)
    assert circuit.lets(2 * REST_SECONDS)
    circuit.sent()
    assert circuit.lets(2 * REST_SECONDS)


def test_a_caller_who_hangs_up_says_nothing_of_the_outsourcer() -> None:
    circuit = Circuit()
    for _ in range(IN_A_ROW + 2):
        circuit.sent()
        circuit.ended(0.0, answered=None)
    assert circuit.lets(0.0)
    for _ in range(IN_A_ROW):
        circuit.ended(0.0, answered=False)
    circuit.sent()
    circuit.ended(REST_SECONDS, answered=None)
    assert circuit.lets(REST_SECONDS)


def test_one_answer_between_failures_starts_the_count_anew() -> None:
    circuit = Circuit()
    for _ in range(4):
        circuit.ended(0.0, answered=False)
        circuit.ended(0.0, answered=False)
        circuit.ended(0.0, answered=True)
    assert circuit.lets(0.0)
