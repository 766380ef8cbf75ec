"""What may be said to a caller about the wait."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from typing import Final

from ivr.predictor.prediction import Prediction

STEPS: Final = (1, 2, 3, 5, 10, 15, 20, 30, 45, 60, 90, 120)
"""Minutes that are spoken. There is a recording for each."""
MARGIN: Final = 1.1
"""A better promise must hold even if the wait is a tenth longer than predicted: what was said is
not changed for a flicker of the prediction."""
_BEYOND: Final = 2 * STEPS[-1]


@dataclass(frozen=True, slots=True)
class Promise:
    """ "Between ``low_minutes`` and ``high_minutes``"; ``low_minutes`` 0: "less than
    ``high_minutes``". Counted from the moment it is spoken. ``correction``: it takes back an
    earlier one that was broken, and is the only one that may."""

    low_minutes: int
    high_minutes: int
    correction: bool = False


def promise(
    previous: Promise | None, prediction: Prediction | None, elapsed: float = 0.0
) -> Promise | None:
    """What to say now; None: nothing new to say, or nothing that may be promised.

    ``previous``: the last promise spoken to this caller, ``elapsed`` seconds ago.

    - P50 to P90, both rounded up to `STEPS`; the same step for both: "less than" it.
    - Nobody there to serve, or P90 beyond the last step: nothing is promised.
    - After a promise, only a better one: its upper end at least one step under what is left of
      the old upper end, with `MARGIN`; its lower end not later than what is left of the old one,
      or else not spoken ("less than").
    - It got worse: nothing is said while the old promise can still come true. Once its upper end
      has passed, one correction is said; a corrected promise is never corrected again.
    """
    if prediction is None:
        return None
    if previous is None:
        return _range(prediction, 1.0)
    waited = max(0.0, elapsed) / 60.0
    left = previous.high_minutes - waited
    if left <= 0.0:
        if previous.correction:
            return None
        found = _range(prediction, 1.0)
        return found and Promise(found.low_minutes, found.high_minutes, correction=True)
    better = _range(prediction, MARGIN)
    if better is None or better.high_minutes >= _up(left):
        return None
    low = better.low_minutes
    if low > previous.low_minutes - waited:
        low = 0
    return Promise(low, better.high_minutes, previous.correction)


def _range(prediction: Prediction, margin: float) -> Promise | None:
    if not prediction.p90 * margin <= STEPS[-1] * 60.0:
        return None
    low, high = _up(prediction.p50 * margin / 60.0), _up(prediction.p90 * margin / 60.0)
    return Promise(0 if low >= high else low, high)


def _up(minutes: float) -> int:
    """The next step that is not less; beyond the last, more than any."""
    index = bisect_left(STEPS, minutes - 1e-9)
    return STEPS[index] if index < len(STEPS) else _BEYOND
