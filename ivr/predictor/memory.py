"""Events and their exposure, the old ones fading."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(slots=True)
class Faded:
    """Events over exposure (calls over seconds), both forgotten exponentially by time.

    ``at``: the moment the sums are valid for. ``span``: the seconds they cover, forgotten alike.
    ``began``: the moment of the first event. Time that runs backwards counts as no time.
    """

    events: float = 0.0
    exposure: float = 0.0
    at: float = 0.0
    span: float = 0.0
    began: float = 0.0

    def fade(self, at: float, half_life: float) -> None:
        """Bring the sums to ``at``."""
        if self.events == 0.0 and self.exposure == 0.0:
            self.at = self.began = max(self.at, at)
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

    def remembered(self, seconds: float, half_life: float, most: float) -> float:
        """What counts of an exposure of ``seconds`` that ends now, or goes on. Its beginning would
        by now be partly forgotten, had it been counted as it went; without this, time in progress
        would be counted twice, and rates would come out too low."""
        by_count = self.events / self.span / most if self.span > 0.0 else 0.0
        forgetting = math.log(2.0) / half_life + by_count
        # Nothing was forgotten before the first event.
        counted = min(max(0.0, seconds), self.at - self.began)
        left = math.exp(-forgetting * counted)
        return (seconds - counted) * left + (1.0 - left) / forgetting

    def factor(self, at: float, half_life: float) -> float:
        """What is left of the sums at ``at``, without changing them."""
        return 2.0 ** (-(at - self.at) / half_life) if at > self.at else 1.0

    def plausible(self) -> bool:
        return (
            math.isfinite(self.events)
            and math.isfinite(self.exposure)
            and math.isfinite(self.at)
            and math.isfinite(self.span)
            and math.isfinite(self.began)
            and self.began <= self.at
            and min(self.events, self.exposure, self.span) >= 0
        )
