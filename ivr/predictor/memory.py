"""Events and their exposure, the old ones fading."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(slots=True)
class Faded:
    """Events over exposure (calls over seconds), both forgotten exponentially by time.

    ``at``: the moment the sums are valid for. ``span``: the seconds they cover, forgotten alike.
    Time that runs backwards counts as no time.
    """

    events: float = 0.0
    exposure: float = 0.0
    at: float = 0.0
    span: float = 0.0

    def fade(self, at: float, half_life: float) -> None:
        """Bring the sums to ``at``."""
        if self.events == 0.0 and self.exposure == 0.0:
            self.at = max(self.at, at)
        elif at > self.at:
            left = 2.0 ** (-(at - self.at) / half_life)
            self.events *= left
            self.exposure *= left
            self.span = self.span * left + (at - self.at)
            self.at = at

    def shrink(self, most: float) -> None:
        """Forget by count: called with each event, keeps at most about ``most`` of them."""
        left = 1.0 - 1.0 / most
        self.events *= left
        self.exposure *= left
        self.span *= left

    def forgetting(self, half_life: float, most: float) -> float:
        """How fast it is forgotten now, by time and by count (1/s)."""
        by_count = self.events / self.span / most if self.span > 0.0 else 0.0
        return math.log(2.0) / half_life + by_count

    def factor(self, at: float, half_life: float) -> float:
        """What is left of the sums at ``at``, without changing them."""
        return 2.0 ** (-(at - self.at) / half_life) if at > self.at else 1.0

    def plausible(self) -> bool:
        return (
            math.isfinite(self.events)
            and math.isfinite(self.exposure)
            and math.isfinite(self.at)
            and math.isfinite(self.span)
            and min(self.events, self.exposure, self.span) >= 0
        )
