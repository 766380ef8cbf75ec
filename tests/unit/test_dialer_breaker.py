"""When a queue's calls are held because whoever answers meets no agent."""

from __future__ import annotations

import pytest

from dialer.breaker import FIRST_HOLD, LAST_HOLD, Breaker, too_many
from incident.outcomes import AttemptOutcome as Outcome


def after(*outcomes: Outcome, over: bool = False) -> Breaker:
    breaker = Breaker()
    breaker.over = over
    for outcome in outcomes:
        breaker.ended(outcome, 100.0)
    return breaker


@pytest.mark.parametrize(
    ("outcomes", "over", "held"),
    [
        ([Outcome.ABANDONED] * 2, False, False),
        ([Outcome.ABANDONED] * 3, False, True),
        ([Outcome.ABANDONED, Outcome.BUSY, Outcome.ABANDONED, Outcome.ABANDONED], False, True),
        ([Outcome.ABANDONED, Outcome.CONNECTED] * 5, False, False),
        ([Outcome.ABANDONED, Outcome.MACHINE] * 5, False, False),
        ([Outcome.ABANDONED], True, True),
        ([Outcome.BUSY] * 5, True, False),
    ],
)
def test_what_holds(outcomes: list[Outcome], over: bool, held: bool) -> None:
    assert (after(*outcomes, over=over).held(100.0) is not None) is held


def test_a_hold_says_how_long_and_why_and_ends() -> None:
    breaker = after(*[Outcome.ABANDONED] * 4)
    assert breaker.held(110.0) == (FIRST_HOLD - 10, "3 answered calls in a row met no agent")
    assert breaker.held(100.0 + FIRST_HOLD) is None


def test_holds_grow_until_an_agent_takes_a_call() -> None:
    breaker = after(*[Outcome.ABANDONED] * 3)
    now, lengths = 100.0, [FIRST_HOLD]
    for _ in range(6):
        now += lengths[-1]
        breaker.ended(Outcome.ABANDONED, now)
        held = breaker.held(now)
        assert held is not None
        lengths.append(held[0])
    assert lengths[1] == 2 * FIRST_HOLD and lengths[-1] == LAST_HOLD
    now += LAST_HOLD
    breaker.ended(Outcome.CONNECTED, now)
    breaker.ended(Outcome.ABANDONED, now)
    assert breaker.held(now) is None


@pytest.mark.parametrize(
    ("live", "abandoned", "expected"),
    [
        (60, 1, False),
        (60, 2, False),
        (29, 20, False),
        (100, 3, False),
        (99, 3, True),
        (30, 3, True),
    ],
)
def test_the_limit(live: int, abandoned: int, expected: bool) -> None:
    assert too_many(live, abandoned) is expected
