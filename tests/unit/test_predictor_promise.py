"""What may be said of a wait, and said again."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivr.predictor import STEPS, Prediction, Promise, promise


def minutes(p50: float, p90: float) -> Prediction:
    return Prediction(p50 * 60, p50 * 20, p50 * 60, p90 * 60)


@pytest.mark.parametrize(
    ("p50", "p90", "said"),
    [
        (0.0, 0.0, Promise(0, 1)),
        (0.2, 0.9, Promise(0, 1)),
        (1.0, 2.0, Promise(1, 2)),
        (1.01, 2.01, Promise(2, 3)),
        (3.5, 4.9, Promise(0, 5)),  # both round up to five: "less than five minutes"
        (6.0, 12.0, Promise(10, 15)),
        (50.0, 120.0, Promise(60, 120)),
    ],
)
def test_both_ends_are_rounded_up_to_what_is_spoken(p50: float, p90: float, said: Promise) -> None:
    assert promise(None, minutes(p50, p90)) == said


def test_nothing_is_promised_that_nobody_can_know() -> None:
    assert promise(None, None) is None
    assert promise(Promise(5, 10), None, 60.0) is None
    assert promise(None, minutes(70, 121)) is None


def test_time_that_passes_is_no_improvement() -> None:
    assert promise(Promise(5, 10), minutes(1.5, 4.9), elapsed=5 * 60) is None


def test_a_better_wait_is_told() -> None:
    assert promise(Promise(10, 20), minutes(4, 8), elapsed=60) == Promise(5, 10)


def test_not_for_a_flicker() -> None:
    """Ten minutes would just do, but not if it is a tenth more."""
    assert promise(Promise(10, 15), minutes(4, 9.9), elapsed=10) is None
    assert promise(Promise(10, 15), minutes(4, 9.0), elapsed=10) == Promise(5, 10)


def test_when_only_the_upper_end_is_better_it_alone_is_spoken() -> None:
    assert promise(Promise(2, 20), minutes(4, 8), elapsed=60) == Promise(0, 10)


def test_worse_is_kept_quiet_while_the_promise_can_still_come_true() -> None:
    assert promise(Promise(5, 10), minutes(30, 60), elapsed=9.9 * 60) is None


def test_a_broken_promise_is_corrected_once() -> None:
    corrected = promise(Promise(5, 10), minutes(8, 14), elapsed=10 * 60)
    assert corrected == Promise(10, 15, correction=True)
    assert promise(corrected, minutes(8, 14), elapsed=15 * 60) is None
    better = promise(corrected, minutes(2, 4), elapsed=60)
    assert better == Promise(3, 5, correction=True)
    assert promise(better, minutes(8, 14), elapsed=5 * 60) is None


predictions = st.one_of(
    st.none(),
    st.builds(
        lambda p50, more: Prediction(p50, more, p50, p50 + more),
        st.floats(0, 9000),
        st.floats(0, 3000),
    ),
)


@given(st.lists(st.tuples(st.floats(0, 900), predictions), min_size=1, max_size=40))
def test_whatever_happens_nobody_is_strung_along(
    looks: list[tuple[float, Prediction | None]],
) -> None:
    said: list[tuple[float, Promise, Prediction]] = []
    now = 0.0
    for gap, prediction in looks:
        now += gap
        last = said[-1] if said else None
        found = promise(last[1] if last else None, prediction, now - last[0] if last else 0.0)
        if found is not None:
            assert prediction is not None
            said.append((now, found, prediction))
    for _, found, prediction in said:
        assert found.high_minutes in STEPS
        assert found.low_minutes == 0 or found.low_minutes in STEPS
        assert found.low_minutes < found.high_minutes
        assert found.high_minutes * 60 >= prediction.p90 - 1e-6
        assert found.low_minutes == 0 or found.low_minutes * 60 >= prediction.p50 - 1e-6
    corrections = 0
    for (before, old, _), (at, new, _) in pairwise(said):
        if at - before >= old.high_minutes * 60:
            assert new.correction
            assert not old.correction
            corrections += 1
        else:
            assert at + new.high_minutes * 60 < before + old.high_minutes * 60
            assert at + new.low_minutes * 60 <= max(at, before + old.low_minutes * 60) + 1e-6
    assert corrections <= 1
