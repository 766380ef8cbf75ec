"""What is believed about the volume and the day of the response, before and after real counts.

The forecast's curve is multiplied by an unknown ``scale`` (a gamma distribution with mean 1 before
anything is known) and moved by an unknown number of whole days (``shift``: letters later or
earlier than assumed).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Scale:
    """``mean`` and standard deviation ``sd`` of the factor on the forecast."""

    mean: float
    sd: float


@dataclass(frozen=True, slots=True)
class Belief:
    """``weights``: the probability of each shift; ``scales``: the factor if it is that one."""

    weights: Mapping[int, float]
    scales: Mapping[int, Scale]

    @property
    def shift(self) -> int:
        """The likeliest one, in days; the forecast's mean takes it."""
        return max(self.weights, key=lambda shift: (self.weights[shift], -abs(shift)))

    @property
    def scale(self) -> Scale:
        return self.scales[self.shift]


def before(uncertainty: float) -> Belief:
    """Nothing known yet. ``uncertainty``: the scale's standard deviation."""
    return Belief({0: 1.0}, {0: Scale(1.0, uncertainty)})
