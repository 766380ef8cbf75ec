"""Erlang A (M/M/N+M): waiting callers who lose patience.

Calls come at random at rate ``lambda``, N agents each end calls at rate ``mu``, and each waiting
caller hangs up at rate ``theta``. The number of calls n is a birth-death process with death rate
min(n, N) mu + max(n - N, 0) theta. With b the Erlang B blocking of N agents, the states above N
weigh ``r_j = prod lambda / (N mu + i theta)`` against state N, and all states up to N together
weigh 1/b. The wait V of a caller who would never hang up has, where it is not zero, the density
``exp(lambda (1 - exp(-theta x)) / theta - N mu x)`` up to its norm; the share answered within a
time is an integral over it.

Sources: C. Palm (1957); O. Garnett, A. Mandelbaum, M. Reiman, "Designing a call center with
impatient customers" (2002); A. Mandelbaum, S. Zeltyn, "The Palm/Erlang-A queue" (2005).

Everything is summed relative to the largest term, so that thousands of agents, idle or
overloaded, neither overflow nor vanish. Times are seconds, rates are per second.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ivr.staffing.erlang_b import log_inverse_blocking

Floats = NDArray[np.float64]

_NEGLIGIBLE: Final = 45.0
"""Terms below exp(-45) of the largest are left out: 3e-20, under what a double can tell."""
_MOST_TERMS: Final = 4_000_000
_LEGENDRE: Final = np.polynomial.legendre.leggauss(64)
_NODES: Final[Floats] = np.asarray(_LEGENDRE[0], dtype=float)
_WEIGHTS: Final[Floats] = np.asarray(_LEGENDRE[1], dtype=float)


class BeyondReach(ValueError):
    """A queue that would grow to millions of callers: no plan, and no sum, comes to an end."""


@dataclass(frozen=True, slots=True)
class Rates:
    """``calls``: arrivals a second; ``service``: calls an agent ends a second; ``patience``: how
    often a second a waiting caller hangs up (0: never)."""

    calls: float
    service: float
    patience: float

    def __post_init__(self) -> None:
        for name in ("calls", "service", "patience"):
            value = getattr(self, name)
            if not math.isfinite(value) or value < 0 or (name == "service" and value == 0):
                raise ValueError(f"{name} must be a rate, not {value!r}")

    @property
    def load(self) -> float:
        """Offered load in erlangs: agents that would be busy if there were always enough."""
        return self.calls / self.service


@dataclass(frozen=True, slots=True)
class Performance:
    """What callers and agents meet in the steady state.

    ``waits``: share that finds every agent busy. ``mean_wait``: seconds, over all calls, those
    that hang up included. ``abandoned``: share that hangs up waiting. ``queue``: mean number
    waiting. ``busy``: mean number of agents in a call. Without patience limits and with too few
    agents, wait and queue are infinite.
    """

    waits: float
    mean_wait: float
    abandoned: float
    queue: float
    busy: float


def performance(rates: Rates, agents: int) -> Performance:
    """The steady state with ``agents`` agents. Raises BeyondReach for an absurd queue."""
    return _performance(rates.calls, rates.service, rates.patience, agents)


@lru_cache(maxsize=100_000)
def _performance(calls: float, service: float, patience: float, agents: int) -> Performance:
    if agents < 0:
        raise ValueError(f"agents cannot be {agents}")
    if calls == 0:
        return Performance(0.0, 0.0, 0.0, 0.0, 0.0)
    capacity = agents * service
    if patience == 0 and calls >= capacity:
        return Performance(1.0, math.inf, 0.0, math.inf, float(agents))
    peak, above, queued = _above(calls, capacity, patience)
    # All states relative to the largest of those above N: below, then from N on.
    below = math.exp(min(700.0, _log_below(calls / service, agents) - peak))
    total = below + above
    queue = queued / total
    busy = (calls / service * below + agents * (above - math.exp(-peak))) / total
    if not math.isfinite(busy):
        busy = calls / service
    abandoned = min(1.0, patience * queue / calls)
    return Performance(above / total, queue / calls, abandoned, queue, min(busy, float(agents)))


def _log_below(load: float, agents: int) -> float:
    """Log of the weight of the states 0 to N-1 against state N."""
    if agents == 0:
        return -math.inf
    log_all = log_inverse_blocking(load, agents)
    return log_all + math.log(-math.expm1(-log_all)) if log_all > 0 else -math.inf


def _above(calls: float, capacity: float, patience: float) -> tuple[float, float, float]:
    """Log of the largest weight above N (0 for state N itself), and, divided by it, the sum of
    the weights from N on and the sum weighted by the number waiting."""
    if patience == 0:
        share = calls / capacity
        return 0.0, 1 / (1 - share), share / (1 - share) ** 2
    first, last = _that_matter(calls, capacity, patience)
    waiting = np.arange(first + 1, last + 1, dtype=float)
    ratios = np.log(calls / (capacity + waiting * patience))
    start = _log_weight(first, calls, capacity, patience)
    logs = np.concatenate(([start], start + np.cumsum(ratios)))
    peak = float(logs.max())
    weights = np.exp(logs - peak)
    queued = float(weights[1:] @ waiting) + first * float(weights[0])
    return peak, float(weights.sum()), queued


def _that_matter(calls: float, capacity: float, patience: float) -> tuple[int, int]:
    """The fewest and the most waiting callers whose weight matters. From the likeliest number on
    the weights fall at least like a normal curve of variance calls/patience on the lower side,
    nearly so on the upper one, and, with capacity to spare, at least geometrically."""
    fullest = max(0.0, (calls - capacity) / patience)
    deviations = math.sqrt(2 * _NEGLIGIBLE) * math.sqrt(calls / patience)
    first = max(0.0, fullest - deviations - 1)
    spread = math.sqrt(calls / patience) + 1
    last = fullest + deviations + 2 * spread + _NEGLIGIBLE + math.sqrt(fullest)
    if calls < capacity:
        last = min(last, _NEGLIGIBLE / math.log(capacity / calls) + 2)
    if last - first > _MOST_TERMS:
        raise BeyondReach(
            f"about {fullest:,.0f} callers would be waiting at once; "
            "plan for more agents, or for callers with less patience"
        )
    return int(first), int(last) + 1


def _log_weight(waiting: int, calls: float, capacity: float, patience: float) -> float:
    """Log of the weight of ``waiting`` callers in the queue against state N."""
    if waiting == 0:
        return 0.0
    full = capacity / patience
    gone = math.lgamma(full + waiting + 1) - math.lgamma(full + 1)
    return waiting * math.log(calls / patience) - gone


def answered_within(rates: Rates, agents: int, seconds: float) -> float:
    """Share of all calls answered within ``seconds``; whoever hangs up counts as not answered."""
    if rates.calls == 0:
        return 1.0
    now = performance(rates, agents)
    if agents == 0 or (math.isinf(now.mean_wait)):
        return 0.0
    return min(1.0, 1 - now.waits + now.waits * _of_waits(rates, agents, seconds)[0])


def still_waiting(rates: Rates, agents: int, seconds: float) -> float:
    """Share of all calls that wait longer than ``seconds`` and have not hung up by then."""
    if rates.calls == 0:
        return 0.0
    now = performance(rates, agents)
    if agents == 0 or math.isinf(now.mean_wait):
        return math.exp(-rates.patience * seconds)
    longer = 1 - _of_waits(rates, agents, seconds)[1]
    return max(0.0, now.waits * longer * math.exp(-rates.patience * seconds))


def _of_waits(rates: Rates, agents: int, seconds: float) -> tuple[float, float]:
    """Of the calls that find every agent busy: the share that is answered within ``seconds``,
    and the share whose turn comes by then, hung up or not."""
    return _waits(rates.calls, rates.service * agents, rates.patience, seconds)


@lru_cache(maxsize=100_000)
def _waits(calls: float, capacity: float, patience: float, seconds: float) -> tuple[float, float]:
    if seconds <= 0:
        return 0.0, 0.0
    everything, top = _everything(calls, capacity, patience)
    answered, turned, top_by_then = _Density(calls, capacity, patience).integrate(seconds)
    factor = math.exp(top_by_then - top) / everything
    return min(1.0, answered * factor), min(1.0, turned * factor)


@lru_cache(maxsize=100_000)
def _everything(calls: float, capacity: float, patience: float) -> tuple[float, float]:
    _, whole, top = _Density(calls, capacity, patience).integrate(math.inf)
    return whole, top


@dataclass(frozen=True, slots=True)
class _Density:
    """The density of the wait of those who wait, up to its norm. Its log is concave."""

    calls: float
    capacity: float
    patience: float

    def log(self, x: Floats) -> Floats:
        come = x if self.patience == 0 else -np.expm1(-self.patience * x) / self.patience
        return np.asarray(self.calls * come - self.capacity * x)

    def _log(self, x: float) -> float:
        come = x if self.patience == 0 else -math.expm1(-self.patience * x) / self.patience
        return self.calls * come - self.capacity * x

    def integrate(self, until: float) -> tuple[float, float, float]:
        """Up to ``until``: the integral of density times exp(-patience x), of the density, both
        divided by the density's largest value there, and the log of that value."""
        mode = 0.0
        if self.patience > 0 and self.calls > self.capacity:
            mode = min(until, math.log(self.calls / self.capacity) / self.patience)
        top = self._log(mode)
        first = self._fallen(mode, 0.0, top)
        last = self._fallen(mode, min(until, self._far(mode)), top)
        # Apart at the mode: on either side the density has a tail of its own.
        answered = turned = 0.0
        for start, end in pairwise(self._parts(first, mode, last)):
            if end > start:
                half = (end - start) / 2
                x = start + half * (_NODES + 1)
                values = np.exp(self.log(x) - top) * _WEIGHTS * half
                answered += float(values @ np.exp(-self.patience * x))
                turned += float(values.sum())
        return answered, turned, top

    def _parts(self, first: float, mode: float, last: float) -> list[float]:
        """Bounds of parts in which the density is smooth enough: with little patience and long
        calls it falls at first much faster than later."""
        parts = [first, mode]
        if self.patience > 0:
            parts += [
                end for part in (1, 4, 16) if mode < (end := mode + part / self.patience) < last
            ]
        return [*parts, last]

    def _far(self, mode: float) -> float:
        """A time at which the density has certainly fallen to nothing."""
        step = 1 / self.capacity
        top = self._log(mode)
        while self._log(mode + step) > top - _NEGLIGIBLE:
            step *= 2
        return mode + step

    def _fallen(self, mode: float, edge: float, top: float) -> float:
        """Where, between ``mode`` and ``edge``, the density becomes negligible; else ``edge``."""
        if self._log(edge) >= top - _NEGLIGIBLE:
            return edge
        inside, outside = mode, edge
        for _ in range(30):
            middle = (inside + outside) / 2
            if self._log(middle) >= top - _NEGLIGIBLE:
                inside = middle
            else:
                outside = middle
        return outside
