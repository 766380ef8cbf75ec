"""What callers are promised, and the fewest agents that keep it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from ivr.staffing import square_root
from ivr.staffing.erlang_a import Rates, answered_within, performance

Kind = Literal["answered", "wait", "abandoned"]


class OutOfReach(ValueError):
    """No number of agents keeps the target (100 % within 0 s)."""


@dataclass(frozen=True, slots=True)
class Target:
    """``answered``: at least ``goal`` (a share) of all calls within ``seconds``, whoever hangs up
    counting against it. ``wait``: a mean of at most ``goal`` seconds over all calls.
    ``abandoned``: at most ``goal`` (a share) hangs up waiting."""

    kind: Kind = "answered"
    goal: float = 0.8
    seconds: float = 30.0

    def kept(self, rates: Rates, agents: int) -> bool:
        """Whether ``agents`` agents keep it, by Erlang A."""
        if self.kind == "answered":
            return answered_within(rates, agents, self.seconds) >= self.goal
        now = performance(rates, agents)
        return (now.mean_wait if self.kind == "wait" else now.abandoned) <= self.goal

    def __str__(self) -> str:
        if self.kind == "answered":
            return f"{self.goal:.0%} answered within {self.seconds:g} s"
        if self.kind == "wait":
            return f"a mean wait of {self.goal:g} s"
        return f"at most {self.goal:.1%} hanging up"


@lru_cache(maxsize=100_000)
def agents_needed(rates: Rates, target: Target) -> int:
    """The fewest agents that keep the target. Raises OutOfReach, BeyondReach."""
    if rates.calls == 0:
        return 0
    high = max(1, by_square_root(rates, target))
    step = 1
    while not target.kept(rates, high):
        high += step
        step *= 2
        if step > 1_000_000:
            raise OutOfReach(f"no number of agents gives {target}")
    low, step = high, 1
    while low > 0 and target.kept(rates, low):
        high = low
        low = max(0, low - step)
        step *= 2
    if target.kept(rates, low):
        return low
    while high - low > 1:
        middle = (low + high) // 2
        if target.kept(rates, middle):
            high = middle
        else:
            low = middle
    return high


@lru_cache(maxsize=100_000)
def by_square_root(rates: Rates, target: Target) -> int:
    """The square-root rule's number for the same target: a check, never more than that."""
    limit = square_root.Limit(rates.load, rates.service, rates.patience)
    return square_root.agents(limit, target.kind, target.goal, target.seconds)
