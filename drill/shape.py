"""When callers call: influxes of a chosen shape, the same for the same seed."""

from __future__ import annotations

import bisect
import itertools
import math
import random
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Final


class Shape(StrEnum):
    """How an influx is spread over its time.

    ``flat``: evenly. ``ramp``: rising from nothing to twice the mean. ``spike``: half of all calls
    within a sixth of the time, as after a broadcast. ``mailing``: three posts a day, each with a
    sharp rise and a slow fall, the second the largest.
    """

    FLAT = "flat"
    RAMP = "ramp"
    SPIKE = "spike"
    MAILING = "mailing"


_STEPS: Final = 600
_SPIKE: Final = (0.25, 0.25 + 1 / 6)
_POSTS: Final = ((0.05, 0.6), (0.35, 1.0), (0.65, 0.5))
"""When a post is read (share of the time) and how strongly people answer it."""


def _spike(at: float) -> float:
    begin, end = _SPIKE
    inside = end - begin
    return 0.5 / inside if begin <= at < end else 0.5 / (1 - inside)


def _mailing(at: float) -> float:
    answers = (
        strength * (1 - math.exp(-(at - begin) / 0.02)) * math.exp(-(at - begin) / 0.15)
        for begin, strength in _POSTS
        if at >= begin
    )
    return 0.1 + sum(answers)


_INTENSITY: Final[Mapping[Shape, Callable[[float], float]]] = {
    Shape.FLAT: lambda _at: 1.0,
    Shape.RAMP: lambda at: 2 * at,
    Shape.SPIKE: _spike,
    Shape.MAILING: _mailing,
}


def arrivals(shape: Shape, calls: int, seconds: float, seed: int) -> list[float]:
    """Seconds after the beginning at which each call is placed, rising.

    A Poisson stream of the shape's intensity, conditioned on its number: ``calls`` independent
    draws from the intensity.
    """
    intensity = _INTENSITY[shape]
    middles = ((step + 0.5) / _STEPS for step in range(_STEPS))
    total = [0.0, *itertools.accumulate(intensity(middle) for middle in middles)]
    rng = random.Random(seed)  # noqa: S311 - a simulation, not a secret
    return sorted(_inverse(total, rng.random()) * seconds for _ in range(calls))


def _inverse(total: list[float], share: float) -> float:
    """Where the running total reaches this share of its end, between 0 and 1."""
    wanted = share * total[-1]
    step = min(bisect.bisect_right(total, wanted), _STEPS) - 1
    return (step + (wanted - total[step]) / (total[step + 1] - total[step])) / _STEPS
