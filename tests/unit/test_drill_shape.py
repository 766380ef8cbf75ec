"""Influxes of every shape: their number, their order, and where the calls are."""

from __future__ import annotations

import pytest

from drill.shape import Shape, arrivals


@pytest.mark.parametrize("shape", Shape)
def test_as_many_calls_as_asked_for_in_order_within_the_time(shape: Shape) -> None:
    times = arrivals(shape, 1000, 60.0, seed=3)
    assert len(times) == 1000
    assert times == sorted(times)
    assert times[0] >= 0
    assert times[-1] <= 60


def test_the_same_seed_gives_the_same_influx_and_another_seed_another() -> None:
    first = arrivals(Shape.MAILING, 50, 10.0, seed=1)
    assert first == arrivals(Shape.MAILING, 50, 10.0, seed=1)
    assert first != arrivals(Shape.MAILING, 50, 10.0, seed=2)


def share(times: list[float], begin: float, end: float) -> float:
    return sum(begin <= at < end for at in times) / len(times)


def test_flat_is_even() -> None:
    times = arrivals(Shape.FLAT, 20_000, 1.0, seed=1)
    for quarter in range(4):
        assert share(times, quarter / 4, (quarter + 1) / 4) == pytest.approx(0.25, abs=0.02)


def test_a_ramp_has_three_quarters_in_its_second_half() -> None:
    assert share(arrivals(Shape.RAMP, 20_000, 1.0, seed=1), 0.5, 1) == pytest.approx(0.75, abs=0.02)


def test_a_spike_has_half_of_all_calls_in_a_sixth_of_the_time() -> None:
    times = arrivals(Shape.SPIKE, 20_000, 1.0, seed=1)
    assert share(times, 0.25, 0.25 + 1 / 6) == pytest.approx(0.5, abs=0.02)


def test_a_mailing_day_rises_fast_after_each_post_and_falls_slowly() -> None:
    times = arrivals(Shape.MAILING, 50_000, 1.0, seed=1)
    assert share(times, 0.30, 0.35) < share(times, 0.37, 0.42) / 2
    assert share(times, 0.37, 0.42) > share(times, 0.55, 0.60)
    assert share(times, 0.37, 0.42) > share(times, 0.07, 0.12)
