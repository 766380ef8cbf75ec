"""How long a waiting caller will wait, and what may be said about it. Pure: no clock, no I/O.

- `QueueState` and `Rates`: what is known now and what has been learned (``state``, ``rates``).
- `Learner`: learns `Rates` from what happened, forgets with time, survives restarts (``learning``).
- `predict`: the wait of one caller as mean, spread and quantiles (``prediction``).
- `promise`: the range in minutes that may be spoken, or nothing (``promise``).

Everything is in seconds and 1/second unless a name says minutes. The predicted wait is the
*virtual* one: until an agent takes the caller if the caller stays. Callers who are served have on
average waited less, because long waits end in hanging up; to tell a caller that shorter figure
would be a promise for the case that they are lucky.
"""

from __future__ import annotations

from ivr.predictor.keeping import BadMemory
from ivr.predictor.learning import Learner
from ivr.predictor.prediction import Prediction, predict, predict_served
from ivr.predictor.promise import STEPS, Promise, promise
from ivr.predictor.rates import Priors, Rates
from ivr.predictor.state import OtherQueue, QueueState

__all__ = [
    "STEPS",
    "BadMemory",
    "Learner",
    "OtherQueue",
    "Prediction",
    "Priors",
    "Promise",
    "QueueState",
    "Rates",
    "predict",
    "predict_served",
    "promise",
]
