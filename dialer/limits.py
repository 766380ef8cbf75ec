"""What a carrier takes: so many channels at once, so many calls per second. Strictly."""

from __future__ import annotations

from collections import deque

_MARGIN = 1.02
"""The carrier counts by its own clock, behind a network: our second is a little longer."""


class CallRate:
    """Never more than the rate within any one second (or, below one call a second, within the
    time that one call is worth).

    A call's place is taken when it is decided (``take``) and stamped again when it is sent
    (``sent``): whatever delay lies between, sent calls keep the rate.
    """

    def __init__(self, per_second: float) -> None:
        self._sent: deque[float] = deque()
        self._taken = 0
        self.change(per_second)

    def available(self, now: float) -> int:
        """How many may be taken at ``now`` (monotonic seconds)."""
        while self._sent and self._sent[0] <= now - self._window:
            self._sent.popleft()
        return max(0, self._most - len(self._sent) - self._taken)

    def take(self, number: int, now: float) -> None:
        """Raises ValueError when more are taken than are there."""
        if number > self.available(now):
            raise ValueError(f"{number} calls are more than the rate allows now")
        self._taken += number

    def give_back(self, number: int = 1) -> None:
        """Calls that were taken and will not be sent."""
        self._taken -= number

    def sent(self, now: float) -> None:
        """One taken call goes out now."""
        self._taken -= 1
        self._sent.append(now)

    def change(self, per_second: float) -> None:
        """Another rate from now on; what was sent counts."""
        if per_second <= 0:
            raise ValueError("calls per second have to be positive")
        self.per_second = per_second
        self._most = max(1, int(per_second))
        self._window = max(1.0, 1.0 / per_second) * _MARGIN
