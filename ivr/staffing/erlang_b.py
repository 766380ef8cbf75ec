"""Erlang B (M/G/N/N): calls that find every channel busy are lost. How many a load takes."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np


def log_inverse_blocking(load: float, channels: int) -> float:
    """Log of 1/B for ``load`` erlangs on ``channels`` channels.

    1/B is the sum of channels! / (channels - k)! / load^k over k = 0..channels; summed by
    logarithms, it neither overflows for idle channels nor loses the small terms of overloaded ones.
    """
    if load <= 0:
        return math.inf if channels > 0 else 0.0
    logs = np.cumsum(np.log(np.arange(channels, 0, -1, dtype=float) / load))
    top = max(0.0, float(logs.max(initial=0.0)))
    return top + math.log(math.exp(-top) + float(np.exp(logs - top).sum()))


def blocking(load: float, channels: int) -> float:
    """Share of calls that find all ``channels`` busy when ``load`` erlangs are offered."""
    return math.exp(-log_inverse_blocking(load, channels))


@lru_cache(maxsize=100_000)
def channels_needed(load: float, lost: float = 0.001) -> int:
    """The fewest channels on which at most ``lost`` of the calls finds none free."""
    if not math.isfinite(load) or load < 0 or not 0 < lost < 1:
        raise ValueError(f"no channels can be found for {load!r} erlangs and {lost!r} lost")
    if load == 0:
        return 0
    enough = max(1, math.ceil(load))
    while blocking(load, enough) > lost:
        enough += max(1, math.ceil(math.sqrt(enough)))
    short = 0
    while enough - short > 1:
        middle = (short + enough) // 2
        if blocking(load, middle) > lost:
            short = middle
        else:
            enough = middle
    return enough
