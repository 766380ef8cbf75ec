"""The rates a prediction rests on."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rates:
    """What has been learned of callers and agents.

    ``service``: calls a second that one busy agent finishes: 1 / (talk + wrap-up).
    ``patience``: hazard of hanging up while waiting, 1/s (0: nobody ever does).
    ``outbound``: notice calls a second, *for each agent*, that take an agent while callers wait;
    ``outbound_later``: the same from ``outbound_until`` seconds from now on, when a dialer that
    gives way to waiting callers will have done so.
    ``outbound_service``: 1 / (talk + wrap-up) of a notice call.
    ``service_spread``: squared coefficient of variation of service times (1: exponential).
    ``pace``: calls this queue really got, over those the other rates would have given it.
    ``scatter``: square errors of earlier predictions, over the variances they came with.
    ``capacity_error``, ``patience_error``: relative standard deviation of what was learned.
    """

    service: float
    patience: float
    outbound: float = 0.0
    outbound_later: float = 0.0
    outbound_until: float = 0.0
    outbound_service: float = 1 / 300
    service_spread: float = 1.0
    pace: float = 1.0
    scatter: float = 1.0
    capacity_error: float = 0.0
    patience_error: float = 0.0

    def __post_init__(self) -> None:
        values = (
            self.service,
            self.patience,
            self.outbound,
            self.outbound_later,
            self.outbound_until,
            self.outbound_service,
            self.service_spread,
            self.pace,
            self.scatter,
            self.capacity_error,
            self.patience_error,
        )
        if not all(math.isfinite(value) and value >= 0 for value in values):
            raise ValueError(f"rates must be finite and not negative: {self}")
        if not (self.service > 0 and self.outbound_service > 0 and self.pace > 0):
            raise ValueError(f"service rates and pace must be positive: {self}")


@dataclass(frozen=True, slots=True)
class Priors:
    """What is believed before the first call, and how fast the past is forgotten.

    ``service_seconds`` (talk and wrap-up) and ``patience_seconds`` (mean time until a caller who
    is not served hangs up) count as ``service_weight`` services and ``patience_weight`` hang-ups.
    ``pace_weight``: calls that the queue must have got before what it gets counts as much as what
    the model expects of it; ``scatter_weight``: the same for how far predictions were off.
    What happened ``half_life`` seconds ago counts half, and never more than about ``most`` events
    are remembered.
    """

    service_seconds: float = 300.0
    service_weight: float = 10.0
    patience_seconds: float = 180.0
    patience_weight: float = 5.0
    pace_weight: float = 50.0
    scatter_weight: float = 50.0
    half_life: float = 3600.0
    most: float = 120.0
