"""Erlang A against published figures, a simulation, its limits, and laws that always hold."""

from __future__ import annotations

import math
import random
from collections.abc import Generator
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

import pytest
import simpy
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ivr.staffing.erlang_a import (
    BeyondReach,
    Rates,
    answered_within,
    performance,
    still_waiting,
)
from ivr.staffing.erlang_b import blocking, channels_needed
from ivr.staffing.target import OutOfReach, Target, agents_needed, by_square_root

HANDLE, PATIENCE = 300.0, 180.0


def rates(load: float, patience: float = PATIENCE, handle: float = HANDLE) -> Rates:
    return Rates(load / handle, 1 / handle, 1 / patience if patience else 0.0)


def test_the_published_example_of_mandelbaum_and_zeltyn() -> None:
    """ "The Palm/Erlang-A queue" (2005): 48 calls a minute of one minute each, 50 agents, callers
    who wait two minutes on average; and the same without impatience, and with 3.1 % fewer calls."""
    impatient = performance(Rates(48 / 60, 1 / 60, 1 / 120), 50)
    assert impatient.abandoned == pytest.approx(0.031, abs=0.0005)
    assert impatient.mean_wait == pytest.approx(3.7, abs=0.05)
    assert impatient.queue == pytest.approx(3.0, abs=0.05)
    assert impatient.busy / 50 == pytest.approx(0.93, abs=0.005)
    assert still_waiting(Rates(48 / 60, 1 / 60, 1 / 120), 50, 12.5) == pytest.approx(0.1, abs=0.001)

    patient = Rates(48 / 60, 1 / 60, 0)
    assert performance(patient, 50).mean_wait == pytest.approx(20.8, abs=0.05)
    assert performance(patient, 50).queue == pytest.approx(17, abs=0.5)
    assert still_waiting(patient, 50, 58.1) == pytest.approx(0.1, abs=0.001)

    fewer = Rates(48 * 0.969 / 60, 1 / 60, 0)
    assert performance(fewer, 50).mean_wait == pytest.approx(8.8, abs=0.05)
    assert still_waiting(fewer, 50, 28.2) == pytest.approx(0.1, abs=0.001)


@pytest.mark.parametrize(
    ("lines", "load"),
    [(1, 0.0101), (5, 1.36), (10, 4.46), (20, 12.0), (50, 37.9), (100, 84.1)],
)
def test_erlang_b_in_the_traffic_tables(lines: int, load: float) -> None:
    """Loads that lose 1 % (ITU-T's tables of the Erlang loss formula)."""
    assert blocking(load, lines) == pytest.approx(0.01, rel=0.03)
    assert channels_needed(load * 0.99, 0.0101) == lines


@dataclass
class Seen:
    waited: list[float]
    answered: list[bool]


def simulate(case: Rates, agents: int, calls: int, seed: int) -> Seen:
    """The same queue, call by call."""
    chance = random.Random(seed)
    world = simpy.Environment()
    desk = simpy.Resource(world, capacity=agents)
    seen = Seen([], [])

    def call() -> Generator[Any, Any, None]:
        began = world.now
        with desk.request() as turn:
            gone = world.timeout(chance.expovariate(case.patience))
            yield turn | gone
            seen.waited.append(world.now - began)
            seen.answered.append(turn.triggered)
            if turn.triggered:
                yield world.timeout(chance.expovariate(case.service))

    def arrive() -> Generator[Any, Any, None]:
        for _ in range(calls):
            yield world.timeout(chance.expovariate(case.calls))
            world.process(call())

    world.process(arrive())
    world.run()
    skip = calls // 10
    return Seen(seen.waited[skip:], seen.answered[skip:])


def near(values: list[float], expected: float) -> bool:
    """Whether the mean of dependent values agrees with ``expected``: within four standard errors
    of the means of 20 stretches, each longer than the queue's memory."""
    stretch = len(values) // 20
    means = [fmean(values[i * stretch : (i + 1) * stretch]) for i in range(20)]
    return abs(fmean(means) - expected) <= 4 * stdev(means) / math.sqrt(20) + 1e-9


@pytest.mark.parametrize(
    ("case", "agents"),
    [
        (rates(2), 3),
        (rates(20), 20),
        (rates(60), 50),
        (rates(40, patience=60), 44),
        (rates(12, patience=900), 13),
    ],
)
def test_a_simulation_agrees(case: Rates, agents: int) -> None:
    seen = simulate(case, agents, calls=40_000, seed=20261201)
    now = performance(case, agents)
    assert near([float(wait > 0) for wait in seen.waited], now.waits)
    assert near(seen.waited, now.mean_wait)
    assert near([float(not each) for each in seen.answered], now.abandoned)
    in_time = [
        float(answered and wait <= 30)
        for wait, answered in zip(seen.waited, seen.answered, strict=True)
    ]
    assert near(in_time, answered_within(case, agents, 30))
    assert near([float(wait > 60) for wait in seen.waited], still_waiting(case, agents, 60))


def erlang_c(load: float, agents: int) -> float:
    """Share that waits when nobody hangs up, from its textbook sum."""
    full = load**agents / math.factorial(agents) / (1 - load / agents)
    return full / (sum(load**n / math.factorial(n) for n in range(agents)) + full)


@pytest.mark.parametrize(("load", "agents"), [(0.5, 1), (8.0, 10), (45.0, 50), (95.0, 100)])
def test_without_impatience_it_is_erlang_c(load: float, agents: int) -> None:
    waits = erlang_c(load, agents)
    mean_wait = waits * HANDLE / (agents - load)
    in_time = 1 - waits * math.exp(-(agents - load) * 30 / HANDLE)
    patient = rates(load, patience=0)
    assert performance(patient, agents).waits == pytest.approx(waits, rel=1e-9)
    assert performance(patient, agents).mean_wait == pytest.approx(mean_wait, rel=1e-9)
    assert answered_within(patient, agents, 30) == pytest.approx(in_time, rel=1e-9)
    nearly = rates(load, patience=1e9)
    assert performance(nearly, agents).waits == pytest.approx(waits, rel=1e-3)
    assert performance(nearly, agents).mean_wait == pytest.approx(mean_wait, rel=1e-3)
    assert answered_within(nearly, agents, 30) == pytest.approx(in_time, rel=1e-3)


def test_without_impatience_too_few_agents_never_catch_up() -> None:
    now = performance(rates(10, patience=0), 10)
    assert (now.waits, now.mean_wait, now.busy) == (1.0, math.inf, 10.0)
    assert answered_within(rates(10, patience=0), 10, 30) == 0.0


def test_no_agents_and_no_calls() -> None:
    alone = performance(rates(10), 0)
    assert alone.abandoned == pytest.approx(1.0)
    assert alone.mean_wait == pytest.approx(PATIENCE)
    assert answered_within(rates(10), 0, 30) == 0.0
    assert still_waiting(rates(10), 0, PATIENCE) == pytest.approx(math.exp(-1))
    assert performance(rates(0), 0).waits == 0.0
    assert answered_within(rates(0), 0, 30) == 1.0


def test_plenty_of_agents_leave_no_wait() -> None:
    assert performance(rates(100), 5000).waits < 1e-200
    assert performance(rates(100), 5000).busy == pytest.approx(100)
    assert answered_within(rates(100), 5000, 1) == pytest.approx(1.0)


def test_an_absurd_queue_is_refused() -> None:
    with pytest.raises(BeyondReach, match="callers would be waiting"):
        performance(Rates(1e6, 1 / 300, 1e-6), 1)


def test_a_queue_of_many_thousands_is_what_is_too_much() -> None:
    """Far beyond capacity, all but N mu calls hang up, and the wait is the fluid one."""
    now = performance(rates(60_000, patience=1800), 5000)
    assert now.abandoned == pytest.approx(11 / 12, rel=1e-6)
    assert now.queue == pytest.approx(55_000 / 300 * 1800, rel=1e-6)
    assert now.busy == pytest.approx(5000)


@pytest.mark.parametrize("bad", [-1.0, math.nan, math.inf])
def test_rates_are_rates(bad: float) -> None:
    with pytest.raises(ValueError, match="calls"):
        Rates(bad, 1, 1)
    with pytest.raises(ValueError, match="service"):
        Rates(1, bad, 1)


cases = st.builds(
    rates,
    load=st.floats(0.01, 6000),
    patience=st.floats(5, 3600),
    handle=st.floats(20, 1800),
)
agent_numbers = st.integers(1, 5000)


@settings(deadline=None, max_examples=150)
@given(cases, agent_numbers, st.floats(0.1, 1200))
@example(Rates(calls=1 / 99, service=1 / 99, patience=0.2), 1, 1.0)  # two scales of time
def test_laws(case: Rates, agents: int, seconds: float) -> None:
    now = performance(case, agents)
    assert 0 <= now.waits <= 1 + 1e-12
    assert 0 <= now.abandoned <= 1
    assert 0 <= now.busy <= agents
    # Who comes and does not hang up is served by a busy agent.
    assert case.calls * (1 - now.abandoned) == pytest.approx(now.busy * case.service, rel=1e-6)
    # Little's law.
    assert now.queue == pytest.approx(case.calls * now.mean_wait, rel=1e-9, abs=1e-12)
    # The sum over states and the integral over waits know nothing of each other.
    ever = answered_within(case, agents, 1e7)
    assert ever == pytest.approx(1 - now.abandoned, rel=1e-6, abs=1e-9)
    in_time = answered_within(case, agents, seconds)
    on = still_waiting(case, agents, seconds)
    assert 0 <= in_time <= ever + 1e-9
    assert 0 <= on <= now.waits + 1e-12
    assert in_time + on <= 1 + 1e-9
    assert in_time <= answered_within(case, agents, seconds * 1.5) + 1e-9
    more = performance(case, agents + 1)
    assert more.waits <= now.waits + 1e-12
    assert more.abandoned <= now.abandoned + 1e-9
    assert more.mean_wait <= now.mean_wait * (1 + 1e-9)
    assert answered_within(case, agents + 1, seconds) >= in_time - 1e-9


@pytest.mark.parametrize(("load", "agents"), [(3.0, 4), (60.0, 50), (200.0, 210)])
def test_the_mean_wait_is_the_sum_of_its_tail(load: float, agents: int) -> None:
    case = rates(load)
    step = 0.5
    tail = [still_waiting(case, agents, step * n) for n in range(1, 4000)]
    whole = step * (performance(case, agents).waits / 2 + sum(tail))
    assert whole == pytest.approx(performance(case, agents).mean_wait, rel=1e-3)


targets = st.one_of(
    st.builds(Target, st.just("answered"), st.floats(0.3, 0.99), st.floats(1, 120)),
    st.builds(Target, st.just("wait"), st.floats(0.5, 100)),
    st.builds(Target, st.just("abandoned"), st.floats(0.002, 0.3)),
)


@settings(deadline=None, max_examples=100)
@given(st.floats(0.01, 800), st.floats(20, 1800), targets)
def test_the_fewest_agents_that_keep_the_target(
    load: float, patience: float, target: Target
) -> None:
    case = rates(load, patience)
    agents = agents_needed(case, target)
    assert target.kept(case, agents)
    assert agents == 0 or not target.kept(case, agents - 1)


@pytest.mark.parametrize("target", [Target(), Target("wait", 10), Target("abandoned", 0.03)])
@pytest.mark.parametrize("load", [5, 20, 60, 200, 1000])
def test_the_square_root_rule_stands_beside(load: float, target: Target) -> None:
    exact, rule = agents_needed(rates(load), target), by_square_root(rates(load), target)
    assert abs(exact - rule) <= 1 + 0.015 * exact


def test_the_square_root_rule_without_impatience() -> None:
    """Halfin and Whitt."""
    assert [by_square_root(rates(r, patience=0), Target()) for r in (20, 200, 1000)] == [
        agents_needed(rates(r, patience=0), Target()) for r in (20, 200, 1000)
    ]


def test_a_target_that_no_number_of_agents_keeps() -> None:
    with pytest.raises(OutOfReach):
        agents_needed(rates(10), Target("answered", 1.5, 30))
