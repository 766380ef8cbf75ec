"""When agents come free for this queue: known moments and a rate that changes with time."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

from ivr.predictor.rates import Rates
from ivr.predictor.state import OtherQueue, QueueState

LEAST_SHARE = 0.05
"""However much other work takes agents away, this share of them comes free for callers; less is
not a model of a hotline but of a mistake in the rates."""


@dataclass(frozen=True, slots=True)
class Releases:
    """``points``: moments (seconds from now, ascending) at which an agent is known to come free,
    each worth ``worth`` of an agent. ``segments``: from that many seconds on, agents come free at
    that rate (1/s); the first begins at 0, the last never ends and has a rate above 0."""

    points: tuple[float, ...]
    worth: float
    segments: tuple[tuple[float, float], ...]


def rate_now(state: QueueState, rates: Rates) -> float:
    """Agents a second that come free for this queue just now, all of them busy; without what is
    known of single wrap-ups, which is right on average."""
    kept = _kept_from_notices(rates)
    callers = (state.agents - state.on_notice) * rates.service
    notices = state.on_notice * rates.outbound_service
    rivals = [_Rival.of(other, state, rates) for other in state.others if other.shared]
    return (callers + notices) * kept * rates.pace * _share(rivals, 0.0, state.agents)


def releases(state: QueueState, rates: Rates) -> Releases:
    """From now on, for a state with at least one agent, none of them free."""
    kept = _kept_from_notices(rates)
    steady = state.agents * rates.service * kept
    phases = _phases(state, rates, steady, kept)
    rivals = [_Rival.of(other, state, rates) for other in state.others if other.shared]
    starts = sorted({0.0, *(start for start, _ in phases), *(rival.drained for rival in rivals)})
    segments: list[tuple[float, float]] = []
    for start in starts:
        if not math.isfinite(start):
            continue
        rate = next(rate for since, rate in reversed(phases) if since <= start)
        rate *= rates.pace * _share(rivals, start, state.agents)
        segments.append((start, rate))
    worth = min(1.0, rates.pace) * kept * _share(rivals, 0.0, state.agents)
    points = tuple(sorted(state.wrapping)) if _wrap_up_known(state, rates) else ()
    return Releases(points, worth, tuple(segments))


def _kept_from_notices(rates: Rates) -> float:
    """Notice calls hold outbound / outbound_service of every agent's time."""
    return max(LEAST_SHARE, 1.0 - rates.outbound / rates.outbound_service)


def _wrap_up_known(state: QueueState, rates: Rates) -> bool:
    return 0.0 < state.wrap_up < 0.5 / rates.service


def _phases(
    state: QueueState, rates: Rates, steady: float, kept: float
) -> list[tuple[float, float]]:
    """What the agents' present work means for the rate: (from, rate), ascending."""
    if _wrap_up_known(state, rates):
        # Whoever talks now is free in a wrap-up's time at the earliest; until then only those
        # come free who are in wrap-up now.
        talk = 1.0 / rates.service - state.wrap_up
        talking = state.agents - len(state.wrapping)
        first = max(talking / talk * kept, LEAST_SHARE * steady)
        return [(0.0, 0.0), (state.wrap_up, first), (2.0 * state.wrap_up, steady)]
    if state.on_notice and rates.outbound_service != rates.service:
        mixed = (state.agents - state.on_notice) * rates.service
        mixed += state.on_notice * rates.outbound_service
        return [(0.0, mixed * kept), (1.0 / rates.outbound_service, steady)]
    return [(0.0, steady)]


@dataclass(frozen=True, slots=True)
class _Rival:
    """Another queue: ``shared`` agents, surely waiting until ``drained``, then with ``later``."""

    shared: int
    now: float
    drained: float
    later: float

    @staticmethod
    def of(other: OtherQueue, state: QueueState, rates: Rates) -> _Rival:
        shared = min(other.shared, state.agents)
        own = other.agents - shared
        kept = _kept_from_notices(rates)
        later = _waits(
            round(other.arrivals / rates.service, 2),
            own,
            shared,
            round(rates.patience / rates.service, 2),
        )
        rate = (own + shared / 2) * rates.service * kept
        drained = _drains(other.waiting, other.arrivals, rate, rates.patience)
        return _Rival(shared, 1.0 if other.waiting else later, drained, later)

    def waiting(self, at: float) -> float:
        return self.now if at < self.drained else self.later


def _share(rivals: list[_Rival], at: float, agents: int) -> float:
    """The share of agents coming free that this queue gets."""
    chances = [rival.waiting(at) for rival in rivals]
    lost = 0.0
    for index, rival in enumerate(rivals):
        rest = sum(chances) - chances[index]
        lost += rival.shared * chances[index] / (2.0 + rest)
    return max(LEAST_SHARE, 1.0 - lost / agents)


def _drains(waiting: int, arrivals: float, rate: float, patience: float) -> float:
    """Seconds until a queue of ``waiting`` has come down to nobody, on average; may be inf."""
    if waiting == 0:
        return 0.0
    spare = rate - arrivals
    if patience <= 0:
        return waiting / spare if spare > 0 else math.inf
    if spare <= 0:
        return math.inf
    return math.log1p(patience * waiting / spare) / patience


@lru_cache(maxsize=4096)
def _waits(load: float, own: int, shared: int, patience: float) -> float:
    """Stationary probability that somebody waits in a queue with ``own`` agents of its own that
    also gets every second of ``shared`` agents coming free. ``load`` and ``patience`` are in units
    of the service rate. A birth-death chain: k callers with an own agent or waiting."""
    if load == 0.0:
        return 0.0
    weight, calm, waits = 1.0, 1.0, 0.0
    for callers in range(1, own + 1000):
        if callers <= own:
            weight *= load / callers
            calm += weight
        else:
            waiting = callers - own
            weight *= load / max(1e-9, own + shared / 2 + (waiting - 1) * patience)
            waits += weight
            if weight < 1e-6 * waits or waits > 1e6 * calm:
                break
        if weight > 1e200:
            calm, waits, weight = calm / weight, waits / weight, 1.0
    return waits / (calm + waits)
