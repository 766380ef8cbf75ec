"""Learning the rates, forgetting them, and keeping them over a restart."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivr.predictor import BadMemory, Learner, Prediction, Priors, QueueState

LONG = Priors(half_life=1e9, most=1e9)


def test_before_the_first_call_the_priors_speak() -> None:
    rates = Learner().rates(0.0)
    assert rates.service == pytest.approx(1 / 300)
    assert rates.patience == pytest.approx(1 / 180)
    assert rates.outbound == rates.outbound_later == 0.0
    assert rates.pace == 1.0
    assert rates.capacity_error > 0.2


def test_it_comes_to_the_true_rates() -> None:
    rng, learner = random.Random(1), Learner(LONG)
    for at in range(4000):
        learner.on_service(at, rng.expovariate(1 / 420))
        patience, offered = rng.expovariate(1 / 90), rng.expovariate(1 / 200)
        learner.on_wait(at, min(patience, offered), patience < offered)
    rates = learner.rates(4000.0)
    assert 1 / rates.service == pytest.approx(420, rel=0.06)
    assert 1 / rates.patience == pytest.approx(90, rel=0.06)
    assert rates.service_spread == pytest.approx(1.0, abs=0.15)
    assert rates.capacity_error < 0.03


def test_regular_calls_are_seen_to_be_regular() -> None:
    learner = Learner(LONG)
    for at in range(500):
        learner.on_service(at, 300.0 + at % 3)
    assert learner.rates(500.0).service_spread < 0.1


def test_waits_that_end_otherwise_count_as_waiting_only() -> None:
    learner = Learner(LONG)
    before = learner.rates(0.0).patience
    learner.on_left(1.0, 900.0)
    assert learner.rates(1.0).patience == pytest.approx(5 / (5 / before + 900), rel=1e-3)


def test_calls_in_progress_count_before_they_end() -> None:
    learner = Learner(LONG)
    assert learner.rates(0.0, serving=[3000.0]).service == pytest.approx(10 / 6000, rel=1e-3)
    assert learner.rates(0.0, waiting=[900.0]).patience == pytest.approx(5 / 1800, rel=1e-3)


def test_time_in_progress_is_not_counted_twice_when_the_past_fades() -> None:
    """Twenty agents, always busy: what a finished call is worth and what is still going on must
    add up to the true rate, however short the memory."""
    rng = random.Random(5)
    learner = Learner(Priors(half_life=1800.0, most=100.0))
    ends = sorted((rng.expovariate(1 / 300), agent) for agent in range(20))
    started = [0.0] * 20
    found = []
    for _ in range(6000):
        at, agent = ends.pop(0)
        learner.on_service(at, at - started[agent])
        started[agent] = at
        ends.append((at + rng.expovariate(1 / 300), agent))
        ends.sort()
        if at > 7200:
            found.append(learner.rates(at, serving=[at - since for since in started]).service)
    assert sum(found) / len(found) == pytest.approx(1 / 300, rel=0.03)


def test_the_past_is_forgotten_by_time_and_by_count() -> None:
    learner = Learner(Priors(half_life=3600.0, most=100.0))
    for at in range(100):
        learner.on_service(at, 900.0)
    taught = learner.rates(100.0).service
    assert learner.rates(100.0 + 12 * 3600).service == pytest.approx(1 / 300, rel=0.05)
    for at in range(100, 1000):
        learner.on_service(at, 100.0)
    assert learner.rates(1000.0).service > 4 * taught


def test_clocks_that_jump_back_do_no_harm() -> None:
    learner = Learner()
    learner.on_service(1000.0, 60.0)
    learner.on_service(10.0, 60.0)
    assert math.isfinite(learner.rates(0.0).service)


def test_a_queue_that_gets_less_than_expected_is_paced() -> None:
    """Ten agents should free one every 30 s; this queue gets one a minute."""
    learner = Learner()
    for at in range(0, 7200, 10):
        learner.watch(float(at), QueueState(20, 10), "en")
        if at % 60 == 0:
            learner.on_wait(float(at), 600.0, False, "en")
    assert learner.rates(7200.0, "en").pace < 0.75
    assert learner.rates(7200.0, "es").pace == 1.0


def test_callers_who_found_a_free_agent_say_nothing_of_the_pace() -> None:
    learner = Learner()
    for at in range(0, 7200, 10):
        learner.watch(float(at), QueueState(1, 10, free=5), "en")
        learner.on_wait(float(at), 5.0, False, "en")
    assert learner.rates(7200.0, "en").pace == 1.0


def test_notice_calls_are_counted_while_callers_wait() -> None:
    learner = Learner()
    for at in range(0, 3600, 10):
        learner.on_outbound(float(at), ("en",))
    assert learner.rates(3600.0, "en").outbound == 0.0
    learner.watch(3600.0, QueueState(5, 10), "en")
    for at in range(3605, 3630, 5):
        learner.on_outbound(float(at), ("en", "es"))
        learner.watch(float(at), QueueState(5, 10), "en")
    for at in range(3640, 7200, 10):
        learner.watch(float(at), QueueState(5, 10), "en")
    rates = learner.rates(7200.0, "en")
    assert rates.outbound > 0.0
    assert rates.outbound_later == 0.0
    assert rates.outbound_until == 0.0  # they have been waiting for long
    assert learner.rates(7200.0, "es").outbound == 0.0
    assert learner.rates(7200.0, "es").outbound_until > 0.0


def test_arrivals_are_those_of_late() -> None:
    learner = Learner()
    assert learner.arrivals(0.0, "es") == 0.0
    for at in range(0, 3600, 10):
        learner.on_join(float(at), "es")
    assert learner.arrivals(3600.0, "es") == pytest.approx(0.1, rel=0.25)
    assert learner.arrivals(3600.0 + 4 * 900, "es") < 0.02


def test_predictions_that_were_far_off_make_ranges_wider_and_good_ones_narrower() -> None:
    def scatter(waits: list[float]) -> float:
        learner = Learner()
        for at, wait in enumerate(waits):
            learner.watch(float(at), QueueState(5, 5))
            expected = Prediction(100.0, 50.0, 100.0, 160.0)
            learner.on_wait(at + 0.5, wait, False, predicted=expected)
        return learner.rates(float(len(waits))).scatter

    assert scatter([200.0, 0.0] * 200) > 2.0
    assert scatter([110.0, 90.0] * 200) < 0.5
    assert scatter([150.0, 50.0] * 200) == pytest.approx(1.0, abs=0.05)


def test_the_scatter_of_a_range_that_already_has_it_is_not_halved() -> None:
    learner = Learner()
    for at in range(3000):
        learner.watch(float(at), QueueState(5, 5))
        sd = 50.0 * math.sqrt(learner.rates(float(at)).scatter)
        expected = Prediction(100.0, sd, 100.0, 100.0 + sd)
        learner.on_wait(at + 0.5, 175.0, False, predicted=expected)
    assert learner.rates(3000.0).scatter == pytest.approx(2.25, abs=0.4)


def test_notice_calls_that_do_not_give_way_are_seen_later_too() -> None:
    learner = Learner()
    for at in range(0, 3600, 10):
        learner.watch(float(at), QueueState(5, 10), "en")
        if at > 60:
            learner.on_outbound(float(at), ("en",))
    rates = learner.rates(3600.0, "en")
    assert rates.outbound == 0.0
    assert rates.outbound_later == pytest.approx(0.01, rel=0.2)


def busy() -> Learner:
    rng, learner = random.Random(2), Learner()
    for at in range(500):
        learner.on_join(at * 10.0, "en")
        learner.watch(at * 10.0, QueueState(at % 7, 5), "en")
        learner.on_service(at * 10.0, rng.expovariate(1 / 200), outbound=at % 5 == 0)
        learner.on_wait(at * 10.0, rng.expovariate(1 / 100), at % 3 == 0, "en")
        learner.on_outbound(at * 10.0, ("en",))
    return learner


def test_it_survives_a_restart_through_json() -> None:
    learner = busy()
    again = Learner.from_dict(json.loads(json.dumps(learner.to_dict())))
    assert again.to_dict() == learner.to_dict()
    assert again.rates(6000.0, "en").service == learner.rates(6000.0, "en").service
    assert again.rates(6000.0, "en").pace == learner.rates(6000.0, "en").pace
    assert again.arrivals(6000.0, "en") == learner.arrivals(6000.0, "en")


def spoiled() -> list[object]:
    found: list[object] = [None, [], "x", {}, {"version": 1}, {**busy().to_dict(), "version": 2}]
    whole = busy().to_dict()
    for wrong in (None, [1, 2], [1, 2, 3, "4", 5], [-1, 0, 0, 0, 0], [math.nan] * 5, [10**400] * 5):
        found.append({**whole, "service": wrong})
    queues = whole["queues"]
    assert isinstance(queues, Mapping)
    found.append({**whole, "queues": {"en": {**queues["en"], "pace": [True, 0, 0, 0, 0]}}})
    found.append({**whole, "queues": {"en": 3}})
    found.append({**whole, "queues": {3: queues["en"]}})
    return found


@pytest.mark.parametrize("data", spoiled())
def test_what_is_not_its_own_is_refused(data: object) -> None:
    with pytest.raises(BadMemory, match="start from the priors"):
        Learner.from_dict(data)


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_garbage_is_never_half_restored(data: object) -> None:
    with pytest.raises(BadMemory):
        Learner.from_dict(data)


def test_a_duration_that_is_no_number_is_refused() -> None:
    with pytest.raises(ValueError, match="finite"):
        Learner().on_service(0.0, math.nan)


@given(
    st.lists(
        st.tuples(
            st.floats(0, 1e6), st.floats(-10, 1e5), st.booleans(), st.integers(0, 50), st.booleans()
        ),
        max_size=40,
    )
)
def test_rates_can_always_be_used(events: list[tuple[float, float, bool, int, bool]]) -> None:
    learner = Learner()
    for at, seconds, flag, ahead, outbound in events:
        learner.on_join(at)
        learner.watch(at, QueueState(ahead, 3, free=1 if flag else 0))
        learner.on_service(at, seconds, outbound=outbound)
        learner.on_wait(at, seconds, flag)
        learner.on_outbound(at)
        learner.rates(at, serving=[abs(seconds)], waiting=[abs(seconds)])  # refuses nonsense itself
        assert learner.arrivals(at) >= 0
