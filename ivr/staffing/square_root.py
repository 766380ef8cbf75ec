"""Square-root staffing: N = R + beta sqrt(R) for R erlangs, as a check beside the exact count.

Near full load, with beta fixed, the wait of those who wait is a normal distribution cut off at
zero (Garnett, Mandelbaum and Reiman 2002; without loss of patience Halfin and Whitt 1981). All
that a target asks for then has a closed form.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

_SPAN: Final = 30.0
_TAIL: Final = 8.0
_NO_LOAD: Final = 1e-6
_PART_OF_AN_AGENT: Final = 0.01


def _tail(x: float) -> float:
    """The normal distribution beyond x."""
    return 0.5 * math.erfc(x / math.sqrt(2))


def _mills(x: float) -> float:
    """``_tail(x)`` over the normal density at x."""
    if x < _TAIL:
        return _tail(x) * math.sqrt(2 * math.pi) * math.exp(x * x / 2) if x > -35 else math.inf
    return 1 / (x + 1 / (x + 2 / (x + 3 / (x + 4 / (x + 5 / x)))))


@dataclass(frozen=True, slots=True)
class Limit:
    """The limit for ``load`` erlangs, calls of mean 1/``service`` s, hang-ups at ``patience``."""

    load: float
    service: float
    patience: float

    def waits(self, beta: float) -> float:
        """Share of calls that wait."""
        if self.patience == 0:
            return 1 / (1 + beta * _mills(-beta)) if beta > 0 else 1.0
        scaled = beta * math.sqrt(self.service / self.patience)
        odds = math.sqrt(self.service / self.patience) * _mills(scaled) / _mills(-beta)
        return odds / (1 + odds)

    def answered_within(self, beta: float, seconds: float) -> float:
        """Share of all calls answered within ``seconds``."""
        drift = beta * self.service * math.sqrt(self.load)
        if self.patience == 0:
            return 1 - self.waits(beta) * math.exp(-max(0.0, drift) * seconds)
        answered = self._moment(drift + self.patience, seconds) / self._moment(drift, math.inf)
        return 1 - self.waits(beta) * (1 - answered)

    def abandoned(self, beta: float) -> float:
        """Share of all calls that hang up waiting."""
        return 1 - self.answered_within(beta, math.inf) if self.patience > 0 else 0.0

    def mean_wait(self, beta: float) -> float:
        """Seconds, over all calls."""
        if self.patience > 0:
            return self.abandoned(beta) / self.patience
        if beta <= 0:
            return math.inf
        return self.waits(beta) / (beta * self.service * math.sqrt(self.load))

    def _moment(self, drift: float, until: float) -> float:
        """Integral from 0 of exp(-drift x - curve x^2 / 2), up to a factor."""
        curve = math.sqrt(self.load * self.service * self.patience)
        start = drift / curve
        if math.isinf(until):
            return _mills(start)
        end = start + until * curve
        fallen = math.exp(min(700.0, (start * start - end * end) / 2))
        return _mills(start) - _mills(end) * fallen


def agents(limit: Limit, reached: str, goal: float, seconds: float = 0.0) -> int:
    """Agents by the rule. ``reached``: answered (share within ``seconds``, at least ``goal``),
    wait (mean seconds, at most ``goal``) or abandoned (share, at most ``goal``)."""
    if limit.load < _NO_LOAD:
        return 0 if limit.load <= 0 else 1

    def meets(beta: float) -> bool:
        if reached == "answered":
            return limit.answered_within(beta, seconds) >= goal
        if reached == "wait":
            return limit.mean_wait(beta) <= goal
        return limit.abandoned(beta) <= goal

    low, high = -min(_SPAN, math.sqrt(limit.load)), _SPAN
    if meets(low):
        return max(0, math.ceil(limit.load + low * math.sqrt(limit.load)))
    while (high - low) * math.sqrt(limit.load) > _PART_OF_AN_AGENT:
        middle = (low + high) / 2
        if meets(middle):
            high = middle
        else:
            low = middle
    return max(1, math.ceil(limit.load + high * math.sqrt(limit.load)))
