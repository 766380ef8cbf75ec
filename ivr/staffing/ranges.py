"""Ranges around an expected number of calls."""

from __future__ import annotations

import math
from typing import Final

P10: Final = -1.2815515655446004
P90: Final = 1.2815515655446004
"""Of the normal distribution: between them lies 80 %."""
_NOTHING: Final = 1e-9
"""A mean below which there is nothing to spread."""


def gamma_quantile(mean: float, variance: float, normal: float) -> float:
    """Quantile of a gamma distribution by its mean and variance; ``normal`` is the quantile of
    the normal distribution for the same probability.

    Wilson and Hilferty (1931): the cube root of a gamma variable is nearly normal. Within 1.5 % of
    the mean from a shape of 1 (as uncertain as waiting times) on; below, the low end is 0.
    """
    if mean < _NOTHING or variance <= 0:
        return max(0.0, mean)
    spread = variance / (9 * mean * mean)
    return float(mean * max(0.0, 1 - spread + normal * math.sqrt(spread)) ** 3)


def around(mean: float, variance: float) -> tuple[float, float]:
    """The range in which 80 of 100 such numbers lie."""
    return gamma_quantile(mean, variance, P10), gamma_quantile(mean, variance, P90)
