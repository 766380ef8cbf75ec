"""What is known of a queue at the moment for which a wait is predicted."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class OtherQueue:
    """Another queue of callers (a language) that takes some of the same agents.

    app_queue does not serve several queues in the order of joining: whichever queue's first
    caller asks next gets the free agent, so a shared agent goes to each waiting queue alike.

    ``waiting``: callers in it now. ``agents``: able to take its calls, free or not.
    ``shared``: how many of these are able to take our caller, too. ``arrivals``: callers a second
    who join it (`Learner.arrivals`).
    """

    waiting: int
    agents: int
    shared: int
    arrivals: float = 0.0

    def __post_init__(self) -> None:
        if min(self.waiting, self.agents, self.shared) < 0 or self.shared > self.agents:
            raise ValueError(f"impossible queue: {self}")
        if not (math.isfinite(self.arrivals) and self.arrivals >= 0):
            raise ValueError(f"arrivals must be finite and not negative: {self.arrivals}")


@dataclass(frozen=True, slots=True)
class QueueState:
    """The queue as one caller sees it.

    ``ahead``: callers (and placeholders of kept places) before this one; ``kept``: how many of
    them are placeholders, which never hang up.
    ``agents``: signed in, not paused, able to take this call: free, talking or in wrap-up.
    Whoever is paused, also during a call, or has signed out, is not counted.
    ``free``: how many of them are free now.
    ``wrapping``: seconds of wrap-up left for each agent in wrap-up; ``wrap_up``: the fixed length
    of a wrap-up (0: not known, or none).
    ``on_notice``: how many agents are on a notice call now.
    ``others``: other queues that share these agents.
    """

    ahead: int
    agents: int
    free: int = 0
    wrapping: tuple[float, ...] = ()
    wrap_up: float = 0.0
    on_notice: int = 0
    kept: int = 0
    others: tuple[OtherQueue, ...] = ()

    def __post_init__(self) -> None:
        if min(self.ahead, self.agents, self.free, self.on_notice, self.kept) < 0:
            raise ValueError(f"a queue state has no negative numbers: {self}")
        if self.free + len(self.wrapping) + self.on_notice > self.agents:
            raise ValueError(f"more agents free, wrapping up and on notices than agents: {self}")
        if self.kept > self.ahead:
            raise ValueError(f"more places kept than callers ahead: {self}")
        if not all(math.isfinite(left) and left >= 0 for left in (*self.wrapping, self.wrap_up)):
            raise ValueError(f"wrap-up times must be finite and not negative: {self}")
