"""One line per idle agent, each agent counted once, no limit ever passed."""

from __future__ import annotations

from collections import Counter
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialer.limits import CallRate
from dialer.pacing import AgentState, AgentView, Limits, Progressive, Snapshot
from dialer.sharing import claimed, matched

WIDE = Limits(channels=1000, calls=1000, ceiling=1000)


def snapshot(
    idle: int = 0,
    *,
    others: tuple[AgentState, ...] = (),
    ringing: int = 0,
    answered: int = 0,
    inbound: int = 0,
    claimed_elsewhere: int = 0,
    limits: Limits = WIDE,
) -> Snapshot:
    states = (AgentState.IDLE,) * idle + others
    return Snapshot(
        queue="northwind-es",
        now=100.0,
        agents=tuple(AgentView(state, 1.0) for state in states),
        claimed=claimed_elsewhere,
        ringing=(1.0,) * ringing,
        answered_waiting=answered,
        inbound_waiting=inbound,
        limits=limits,
    )


@pytest.mark.parametrize(
    ("given_snapshot", "dial", "said"),
    [
        (snapshot(), 0, "0 agents are signed in for northwind-es"),
        (snapshot(others=(AgentState.OFFLINE,)), 0, "0 agents are signed in"),
        (snapshot(others=(AgentState.BUSY, AgentState.WRAPUP)), 0, "none of the 2 agents"),
        (snapshot(3), 3, "3 free agents"),
        (snapshot(3, ringing=1, answered=1), 1, "1 free agents"),
        (snapshot(3, inbound=3), 0, "3 waiting callers"),
        (snapshot(2, inbound=5), 0, "5 waiting callers"),
        (snapshot(2, claimed_elsewhere=2), 0, "2 calls of other queues"),
        (snapshot(3, limits=Limits(1, 9, 9)), 1, "carrier's channels"),
        (snapshot(3, limits=Limits(9, 2, 9)), 2, "calls per second"),
        (snapshot(3, limits=Limits(9, 9, 0)), 0, "operator's ceiling"),
        (snapshot(3, limits=Limits(9, 9, -2)), 0, "operator's ceiling"),
    ],
)
def test_progressive(given_snapshot: Snapshot, dial: int, said: str) -> None:
    decision = Progressive().decide(given_snapshot)
    assert decision.dial == dial
    assert said in decision.reason


small = st.integers(0, 6)


@given(small, small, small, small, small, small, small, small)
def test_progressive_never_outnumbers_idle_agents_or_limits(
    idle: int,
    ringing: int,
    answered: int,
    inbound: int,
    elsewhere: int,
    channels: int,
    calls: int,
    ceiling: int,
) -> None:
    decision = Progressive().decide(
        snapshot(
            idle,
            ringing=ringing,
            answered=answered,
            inbound=inbound,
            claimed_elsewhere=elsewhere,
            limits=Limits(channels, calls, ceiling),
        )
    )
    assert 0 <= decision.dial <= min(channels, calls, ceiling)
    assert decision.dial == 0 or (decision.dial + ringing + answered + inbound + elsewhere <= idle)
    assert decision.reason


queues = st.sampled_from(["en", "es", "fr"])
agents = st.lists(st.frozensets(queues, min_size=1), max_size=5)
needs = st.dictionaries(queues, st.integers(0, 2))


@given(agents, needs)
def test_matching_is_the_best_there_is(idle: list[frozenset[str]], wanted: dict[str, int]) -> None:
    calls = [queue for queue, number in wanted.items() for _ in range(number)]

    def best(left: tuple[frozenset[str], ...], rest: list[str]) -> int:
        if not rest:
            return 0
        skipped = best(left, rest[1:])
        taken = [
            1 + best(left[:i] + left[i + 1 :], rest[1:])
            for i, agent in enumerate(left)
            if rest[0] in agent
        ]
        return max([skipped, *taken])

    assert matched(idle, wanted) == best(tuple(idle), calls)


@given(agents, st.permutations(["en", "es", "fr"]))
def test_campaigns_in_any_order_never_share_an_agent(
    idle: list[frozenset[str]], order: list[str]
) -> None:
    lines: Counter[str] = Counter()
    for _ in range(3):
        for queue in order:
            mine = sum(1 for agent in idle if queue in agent)
            free = mine - claimed(idle, queue, lines) - lines[queue]
            lines[queue] += max(0, free)
    assert lines.total() <= len(idle)
    assert matched(idle, lines) == lines.total(), "some line could find no agent"
    assert lines.total() == len(idle), "an agent stayed without a line"


def test_an_agent_of_two_languages_is_counted_once() -> None:
    both = [frozenset({"en", "es"})]
    for first, second in permutations(("en", "es")):
        assert claimed(both, first, {}) == 0
        assert claimed(both, first, {second: 1}) == 1


@given(
    st.sampled_from([0.5, 1.0, 2.0, 5.0, 30.0]),
    st.lists(st.tuples(st.floats(0, 0.6), st.integers(1, 9), st.floats(0, 0.9)), max_size=60),
)
def test_no_second_sees_more_calls_than_the_rate(
    rate: float, steps: list[tuple[float, int, float]]
) -> None:
    limit = CallRate(rate)
    window = max(1.0, 1 / rate)
    now, waiting = 0.0, 0
    sent: list[float] = []
    for pause, wanted, delay in steps:
        now += pause
        taken = min(wanted, limit.available(now))
        limit.take(taken, now)
        waiting += taken
        if delay < 0.45:  # else the store is slow, and they go out at some later step
            now += delay
            for _ in range(waiting):
                limit.sent(now)
                sent.append(now)
            waiting = 0
    for start in sent:
        assert sum(1 for at in sent if start <= at < start + window) <= max(1, int(rate))


def test_calls_that_are_given_back_may_be_taken_again() -> None:
    limit = CallRate(2.0)
    limit.take(2, 0.0)
    assert limit.available(0.0) == 0
    with pytest.raises(ValueError, match="more than the rate"):
        limit.take(1, 0.0)
    limit.give_back()
    limit.sent(0.0)
    assert limit.available(0.0) == 1
    limit.change(5.0)
    assert limit.available(0.5) == 4
    assert limit.available(1.5) == 5
