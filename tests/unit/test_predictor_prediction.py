"""The predicted wait: against the exact sums, against brute force, and what must always hold."""

from __future__ import annotations

import ast
import math
import random
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivr import predictor
from ivr.predictor import OtherQueue, Prediction, QueueState, Rates, predict, predict_served

RATES = Rates(service=1 / 300, patience=1 / 180)


def told(state: QueueState, rates: Rates = RATES) -> Prediction:
    prediction = predict(state, rates)
    assert prediction is not None
    return prediction


def drawn(ahead: int, capacity: float, patience: float, number: int = 20_000) -> list[float]:
    """Waits by brute force: everyone ahead is served in turn or hangs up."""
    rng = random.Random(7)
    steps = [capacity + i * patience for i in range(ahead + 1)]
    return sorted(sum(rng.expovariate(step) for step in steps) for _ in range(number))


@pytest.mark.parametrize(
    ("ahead", "agents"), [(0, 1), (0, 20), (3, 3), (12, 20), (80, 20), (300, 50)]
)
def test_mean_and_spread_are_those_of_the_line_running_down(ahead: int, agents: int) -> None:
    steps = [agents / 300 + i / 180 for i in range(ahead + 1)]
    found = told(QueueState(ahead, agents))
    assert found.mean == pytest.approx(sum(1 / step for step in steps))
    assert found.sd == pytest.approx(math.sqrt(sum(1 / step**2 for step in steps)))


def test_without_hanging_up_it_is_the_line_over_the_agents() -> None:
    assert told(QueueState(9, 5), replace(RATES, patience=0.0)).mean == pytest.approx(600.0)


@pytest.mark.parametrize(("ahead", "agents"), [(0, 3), (4, 3), (10, 20), (60, 20)])
@pytest.mark.parametrize("patience", [0.0, 1 / 180])
def test_quantiles_cover_what_brute_force_gives(ahead: int, agents: int, patience: float) -> None:
    waits = drawn(ahead, agents / 300, patience)
    found = told(QueueState(ahead, agents), Rates(service=1 / 300, patience=patience))
    below = sum(wait <= found.p50 for wait in waits) / len(waits)
    assert below == pytest.approx(0.5, abs=0.03)
    below = sum(wait <= found.p90 for wait in waits) / len(waits)
    assert below == pytest.approx(0.9, abs=0.02)


def test_those_who_are_served_have_waited_less() -> None:
    """Brute force: of callers with the same patience, those who outstay the wait."""
    rng = random.Random(3)
    waits = [wait for wait in drawn(6, 5 / 300, 1 / 180) if rng.expovariate(1 / 180) > wait]
    found = predict_served(QueueState(6, 5), RATES)
    assert found is not None
    assert found.mean == pytest.approx(sum(waits) / len(waits), rel=0.03)
    assert found.mean < told(QueueState(6, 5)).mean


def test_far_back_in_line_the_short_way_gives_the_same() -> None:
    steps = [20 / 300 + i / 180 for i in range(5001)]
    found = told(QueueState(5000, 20))
    assert found.mean == pytest.approx(sum(1 / step for step in steps), rel=1e-4)
    assert found.sd == pytest.approx(math.sqrt(sum(1 / step**2 for step in steps)), rel=1e-2)


def test_nobody_signed_in_is_not_a_wait_that_can_be_told() -> None:
    assert predict(QueueState(0, 0), RATES) is None
    assert predict_served(QueueState(3, 0), RATES) is None


def test_a_free_agent_means_no_wait_and_two_free_agents_serve_two() -> None:
    assert told(QueueState(1, 5, free=2)).mean == 0.0
    assert told(QueueState(2, 5, free=2)).mean == told(QueueState(0, 5)).mean


def test_kept_places_do_not_hang_up() -> None:
    alone = told(QueueState(40, 10)).mean
    some = told(QueueState(40, 10, kept=20)).mean
    every = told(QueueState(40, 10, kept=40)).mean
    assert alone < some < every == pytest.approx(41 / (10 / 300))


def test_a_wrap_up_about_to_end_is_known() -> None:
    state = QueueState(0, 3, wrapping=(12.0,), wrap_up=60.0)
    assert told(state).p90 == pytest.approx(12.0)
    second = told(replace(state, ahead=1), replace(RATES, patience=0.0))
    assert second.mean > 60.0  # whoever talks now has a whole wrap-up before them


def test_without_a_wrap_up_that_ends_everybody_talks_and_wraps_up_first() -> None:
    found = told(QueueState(0, 3, wrap_up=60.0))
    assert found.mean == pytest.approx(60.0 + 80.0, abs=20.0)


def test_another_language_takes_shared_agents_alike() -> None:
    def mean(waiting: int, shared: int) -> float:
        other = OtherQueue(waiting, agents=shared, shared=shared, arrivals=10.0)
        patient = replace(RATES, patience=0.0)
        return told(QueueState(5, 10, others=(other,)), patient).mean

    alone = told(QueueState(5, 10), replace(RATES, patience=0.0)).mean
    assert mean(50, 0) == pytest.approx(alone)
    assert mean(50, 10) == pytest.approx(2 * alone)
    assert alone < mean(50, 5) < mean(50, 10)


def test_another_language_that_has_nobody_waiting_takes_little() -> None:
    quiet = OtherQueue(0, agents=10, shared=5, arrivals=0.001)
    alone = told(QueueState(5, 10)).mean
    assert told(QueueState(5, 10, others=(quiet,))).mean == pytest.approx(alone, rel=0.02)
    draining = OtherQueue(3, agents=10, shared=5, arrivals=0.001)
    overrun = OtherQueue(3, agents=10, shared=5, arrivals=1.0)
    long = QueueState(40, 10, others=(draining,))
    assert alone < told(long).mean < told(replace(long, others=(overrun,))).mean


def test_notice_calls_take_their_share_until_the_dialer_gives_way() -> None:
    patient = replace(RATES, patience=0.0)
    alone = told(QueueState(9, 10), patient).mean
    third = replace(patient, outbound=1 / 900, outbound_later=1 / 900, outbound_until=30.0)
    assert told(QueueState(9, 10), third).mean == pytest.approx(alone * 1.5, rel=0.05)
    gives_way = replace(third, outbound_later=0.0)
    assert alone < told(QueueState(9, 10), gives_way).mean < alone + 30.0


def test_more_notice_calls_than_agents_leave_no_endless_arithmetic() -> None:
    flooded = replace(RATES, outbound=1.0, outbound_later=1.0, patience=0.0)
    assert math.isfinite(told(QueueState(50, 2), flooded).p90)


def test_what_is_not_known_widens_the_range_only() -> None:
    sure = told(QueueState(10, 5))
    unsure = told(QueueState(10, 5), replace(RATES, capacity_error=0.3, patience_error=0.3))
    assert unsure.mean == sure.mean
    assert unsure.p90 > sure.p90


def test_a_range_follows_how_far_off_earlier_ones_were() -> None:
    found = told(QueueState(10, 5), replace(RATES, scatter=4.0))
    assert found.sd == pytest.approx(2 * told(QueueState(10, 5)).sd)


def test_regular_calls_make_long_waits_surer_than_short_ones() -> None:
    """Renewal theory: in the long run the variance is that of exponential calls times the squared
    coefficient of variation; in the next moments it is no smaller."""
    patient = replace(RATES, patience=0.0)
    regular = replace(patient, service_spread=0.1)
    long, short = QueueState(200, 2), QueueState(0, 50)
    assert told(long, regular).sd / told(long, patient).sd == pytest.approx(0.1**0.5, rel=0.05)
    assert told(short, regular).sd / told(short, patient).sd == pytest.approx(1.0, rel=0.05)


def test_hang_ups_while_nobody_can_come_free_make_no_wild_range() -> None:
    known = QueueState(1, 20, wrapping=(10.0,), wrap_up=30.0)
    assert told(known).sd < 1.5 * told(QueueState(1, 20)).sd


def test_a_queue_that_has_drained_still_takes_what_it_needs() -> None:
    def mean(arrivals: float) -> float:
        other = OtherQueue(1, agents=10, shared=10, arrivals=arrivals)
        return told(QueueState(60, 20, others=(other,)), replace(RATES, patience=1e-4)).mean

    assert mean(0.012) > 1.1 * mean(0.0001)


@pytest.mark.parametrize(
    "bad",
    [
        {"ahead": -1, "agents": 2},
        {"ahead": 0, "agents": 2, "free": 3},
        {"ahead": 1, "agents": 2, "kept": 2},
        {"ahead": 0, "agents": 2, "wrapping": (math.nan,)},
        {"ahead": 0, "agents": 1, "wrapping": (3.0, 4.0)},
    ],
)
def test_impossible_states_are_refused(bad: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"."):
        QueueState(**bad)  # type: ignore[arg-type]


@pytest.mark.parametrize("bad", [{"service": 0.0}, {"service": math.nan}, {"patience": -1.0}])
def test_impossible_rates_are_refused(bad: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="rates"):
        replace(RATES, **bad)


others = st.builds(
    lambda waiting, own, shared, arrivals: OtherQueue(waiting, own + shared, shared, arrivals),
    st.integers(0, 300),
    st.integers(0, 50),
    st.integers(0, 50),
    st.floats(0, 5),
)
rates = st.builds(
    Rates,
    service=st.floats(1e-4, 1.0),
    patience=st.one_of(st.just(0.0), st.floats(1e-6, 1.0)),
    outbound=st.floats(0, 0.1),
    outbound_later=st.floats(0, 0.1),
    outbound_until=st.floats(0, 30),
    outbound_service=st.floats(1e-4, 1.0),
    service_spread=st.floats(0.05, 4),
    pace=st.floats(0.1, 3),
    scatter=st.floats(0.2, 4),
    capacity_error=st.floats(0, 1),
    patience_error=st.floats(0, 1),
)


@st.composite
def states(draw: st.DrawFn) -> QueueState:
    agents = draw(st.integers(1, 120))
    wrapping = draw(st.lists(st.floats(0, 60), max_size=min(agents, 8)))
    left = agents - len(wrapping)
    free = draw(st.integers(0, left))
    ahead = draw(st.integers(0, 700))
    return QueueState(
        ahead=ahead,
        agents=agents,
        free=free,
        wrapping=tuple(wrapping),
        wrap_up=draw(st.sampled_from([0.0, 20.0, 60.0])),
        on_notice=draw(st.integers(0, left - free)),
        kept=draw(st.integers(0, ahead)),
        others=tuple(draw(st.lists(others, max_size=3))),
    )


@given(states(), rates)
def test_every_prediction_is_a_range(state: QueueState, learned: Rates) -> None:
    for found in (predict(state, learned), predict_served(state, learned)):
        assert found is not None
        assert all(math.isfinite(x) for x in (found.mean, found.sd, found.p50, found.p90))
        assert found.mean >= 0
        assert 0 <= found.p50 <= found.p90


@given(states(), rates)
def test_one_more_ahead_never_means_a_shorter_wait(state: QueueState, learned: Rates) -> None:
    state = replace(state, kept=0)
    longer = replace(state, ahead=state.ahead + 1)
    assert told(longer, learned).mean >= told(state, learned).mean * (1 - 1e-9)


@given(states(), rates)
def test_one_more_agent_never_means_a_longer_wait(state: QueueState, learned: Rates) -> None:
    # (Nobody else's: agents that another queue shares are agents of this one.)
    others = tuple(other for other in state.others if other.shared <= state.agents)
    state = replace(state, others=others)
    more = replace(state, agents=state.agents + 1)
    assert told(more, learned).mean <= told(state, learned).mean * (1 + 1e-9)


def test_the_predictor_is_arithmetic_alone() -> None:
    """It reads no clock, opens nothing, knows no Asterisk: only these modules, and its own."""
    allowed = {"__future__", "bisect", "collections", "dataclasses", "functools", "math", "typing"}
    for source in Path(predictor.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module is not None:
                names.append(node.module)
            for name in names:
                assert name.startswith("ivr.predictor") or name.split(".")[0] in allowed, source
