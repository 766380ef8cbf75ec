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
    rivals = [_Rival.of(other, state, rates) for other in state.others if other.shared]
    rate = _mixed(state, rates, _outbound(rates, 0.0))
    return rate * rates.pace * _share(rivals, 0.0, state.agents)


def releases(state: QueueState, rates: Rates) -> Releases:
    """From now on, for a state with at least one agent, none of them free."""
    rivals = [_Rival.of(other, state, rates) for other in state.others if other.shared]
    wrap_up = _wrap_up_known(state, rates)
    starts = {0.0, rates.outbound_until, *(rival.drained for rival in rivals)}
    if wrap_up:
        starts |= {state.wrap_up, 2.0 * state.wrap_up}
    elif state.on_notice or rates.outbound or rates.outbound_later:
        starts.add(1.0 / rates.outbound_service)
    segments = tuple(
        (start, _rate(state, rates, start) * rates.pace * _share(rivals, start, state.agents))
        for start in sorted(starts)
        if math.isfinite(start)
    )
    if not wrap_up:
        return Releases((), 1.0, segments)
    worth = min(1.0, rates.pace) * _share(rivals, 0.0, state.agents)
    worth *= 1.0 - _taken(rates, _outbound(rates, 0.0))
    return Releases(tuple(sorted(state.wrapping)), worth, segments)


def _wrap_up_known(state: QueueState, rates: Rates) -> bool:
    return 0.0 < state.wrap_up < 0.5 / rates.service


def _rate(state: QueueState, rates: Rates, at: float) -> float:
    """Agents a second at that moment, by what the agents are doing now."""
    outbound = _outbound(rates, at)
    steady = state.agents * rates.service * _time_left(rates, outbound)
    if not _wrap_up_known(state, rates):
        soon = at < 1.0 / rates.outbound_service
        return _mixed(state, rates, outbound) if soon else steady
    # Whoever talks now is free in a wrap-up's time at the earliest; until then only those come
    # free who are in wrap-up now.
    if at < state.wrap_up:
        return 0.0
    if at >= 2.0 * state.wrap_up:
        return steady
    talking = state.agents - len(state.wrapping)
    rate = talking / (1.0 / rates.service - state.wrap_up) * _time_left(rates, outbound)
    return max(rate, LEAST_SHARE * steady)


def _mixed(state: QueueState, rates: Rates, outbound: float) -> float:
    """Agents who come free now, from callers' calls and from notice calls, less the share that
    notice calls take."""
    free = (state.agents - state.on_notice) * rates.service
    free += state.on_notice * rates.outbound_service
    return free * (1.0 - _taken(rates, outbound))


def _outbound(rates: Rates, at: float) -> float:
    return rates.outbound if at < rates.outbound_until else rates.outbound_later


def _time_left(rates: Rates, outbound: float) -> float:
    """The share of agents' time that notice calls leave."""
    return max(LEAST_SHARE, 1.0 - outbound / rates.outbound_service)


def _taken(rates: Rates, outbound: float) -> float:
    """The share of agents coming free that notice calls take."""
    callers = rates.service * _time_left(rates, outbound)
    return min(1.0 - LEAST_SHARE, outbound / (outbound + callers))


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
        kept = _time_left(rates, rates.outbound_later)
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
