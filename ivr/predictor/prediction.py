"""The time until a caller is served, if the caller stays."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from ivr.predictor.rates import Rates
from ivr.predictor.releases import Releases, releases
from ivr.predictor.state import QueueState

Z90: Final = 1.2815515655446004
"""The standard normal distribution's 0.9 quantile."""
SINGLY: Final = 512.0
"""So many callers ahead are followed one by one."""
ENDLESS: Final = 7 * 86400.0
"""Nobody is told anything about a wait beyond a week; the arithmetic stops there."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """Seconds from now until an agent takes the call: mean, standard deviation, quantiles."""

    mean: float
    sd: float
    p50: float
    p90: float


AT_ONCE: Final = Prediction(0.0, 0.0, 0.0, 0.0)


def predict(state: QueueState, rates: Rates) -> Prediction | None:
    """The wait of a caller with ``state.ahead`` before them. None: nobody is there to serve, so
    the wait is unknown and nothing may be promised.

    The callers ahead leave one by one, served at the rate c at which agents come free, or
    hanging up at the rate patience each, so the wait is a sum of exponential steps of rates
    c + i * patience, i = ahead..0 (mean and variance: sums of 1/r and 1/r^2), which is exact for
    Poisson releases. c follows `releases`. The quantiles are those of the gamma distribution
    with the same mean and variance, to which what is not known of the rates has been added.
    """
    return _predict(state, rates, 0.0)


def predict_served(state: QueueState, rates: Rates) -> Prediction | None:
    """The wait of those who are served, of callers who hang up as others do: for comparing with
    waits that were measured, and to learn from them. Not to be announced.

    Given that a caller outstays the wait, each step of it has been shortened by that caller's
    own patience: its rate is c + (i + 1) * patience.
    """
    return _predict(state, rates, rates.patience)


def _predict(state: QueueState, rates: Rates, own: float) -> Prediction | None:
    if state.agents == 0:
        return None
    behind_free = state.ahead - state.free
    if behind_free < 0:
        return AT_ONCE
    flow = releases(state, rates)
    sums = _Sums()
    impatient = 1.0 - state.kept / state.ahead if state.ahead else 1.0
    _walk(behind_free, flow, rates.patience * impatient, own, sums)
    mean = min(sums.time, ENDLESS)
    dispersion = _dispersion(rates.service_spread, rates.service * mean)
    variance = sums.variance + (dispersion - 1.0) * sums.served_variance
    variance += (rates.capacity_error * sums.by_capacity) ** 2
    variance += (rates.patience_error * sums.by_patience) ** 2
    variance *= rates.scatter
    sd = math.sqrt(max(0.0, variance))
    return Prediction(mean, sd, _gamma_quantile(mean, sd, 0.0), _gamma_quantile(mean, sd, Z90))


@dataclass(slots=True)
class _Sums:
    """``by_capacity``, ``by_patience``: how much the mean changes with a relative change."""

    time: float = 0.0
    variance: float = 0.0
    served_variance: float = 0.0
    by_capacity: float = 0.0
    by_patience: float = 0.0


def _walk(ahead: int, flow: Releases, patience: float, own: float, sums: _Sums) -> None:
    """Follow the line down: ``ahead + 1`` departures are to happen; ``own``: what the caller's
    own patience adds to the rate of each, given that it lasts (`predict_served`). A boundary (a
    known release, or a new rate) that falls into a step takes over what is left of the step."""
    points, segments = flow.points, flow.segments
    segment, point = 0, 0
    left = ahead + 1.0
    while left > 1e-9 and sums.time < ENDLESS:
        rate = segments[segment][1]
        before = max(0.0, math.ceil(left - 1e-9) - 1.0)
        step = left - before
        hang_up = before * patience
        if before > SINGLY:
            # Far back, several departures in one step, at the rate in their middle.
            more = before // (SINGLY / 2.0)
            step += more
            hang_up -= more / 2.0 * patience
        if rate + hang_up > 0.0:
            hang_up += own
        total = rate + hang_up
        boundary = segments[segment + 1][0] if segment + 1 < len(segments) else math.inf
        known = point < len(points) and points[point] < boundary
        if known:
            boundary = points[point]
        needed = step / total if total > 0 else math.inf
        if sums.time + needed > boundary:
            done = (boundary - sums.time) * total
            _add(sums, done, rate, hang_up)
            sums.time = boundary
            left -= done
            following = segments[min(segment + 1, len(segments) - 1)][1] + hang_up
            if known:
                left -= flow.worth
                point += 1
                if left <= 1e-9:
                    _rescale(sums, total, following)
            else:
                segment += 1
                _rescale(sums, total, following)
        else:
            _add(sums, step, rate, hang_up)
            sums.time += needed
            left -= step


def _rescale(sums: _Sums, before: float, after: float) -> None:
    """At a moment that is known the rate changes: being some callers off by then means being off
    by another time from then on."""
    if after <= 0.0:
        return
    scale = before / after
    sums.variance *= scale * scale
    sums.served_variance *= scale * scale
    sums.by_capacity *= scale
    sums.by_patience *= scale


def _add(sums: _Sums, share: float, rate: float, hang_up: float) -> None:
    total = rate + hang_up
    if share <= 0.0 or total <= 0.0:
        return
    square = share / (total * total)
    sums.variance += square
    sums.served_variance += square * rate / total
    sums.by_capacity += square * rate
    sums.by_patience += square * hang_up


def _dispersion(spread: float, services: float) -> float:
    """Variance over mean of how many calls busy agents finish in the time of ``services`` mean
    services: 1 at first (many agents at random points of their calls), in the long run the
    squared coefficient of variation of a service (renewal theory); an exponential passage."""
    if services <= 0.0:
        return 1.0
    early = -math.expm1(-2.0 * services) / (2.0 * services)
    return spread + (1.0 - spread) * early


def _gamma_quantile(mean: float, sd: float, z: float) -> float:
    """Quantile of the gamma distribution with these moments; Wilson and Hilferty's cube root."""
    if mean <= 0.0 or sd <= 0.0:
        return mean
    ninth = (sd / mean) ** 2 / 9.0
    return float(mean * max(0.0, 1.0 - ninth + z * math.sqrt(ninth)) ** 3)
