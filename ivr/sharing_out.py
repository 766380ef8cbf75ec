"""Which callers are sent to an outsourcer, and when the outsourcer is left alone: pure rules."""

from __future__ import annotations

from typing import Final

IN_A_ROW: Final = 3
"""Callers in a row whom the outsourcer did not take."""
REST_SECONDS: Final = 60.0
"""How long no further caller is made to wait for that."""


class Share:
    """Takes a share of those who come, spread evenly: of any n in a row, n times the share, give
    or take one. (The error that is left is carried on, as when a line is drawn on a grid.)"""

    def __init__(self, share: float) -> None:
        self.share = share
        self._owed = 0.0

    def takes(self) -> bool:
        """Whether the next one is taken."""
        self._owed += self.share
        # A float of a share such as 0.1 is a little off: ten of them must make one.
        if self._owed < 1.0 - 1e-9:
            return False
        self._owed -= 1.0
        return True


class Circuit:
    """Three failures in a row: a minute in which nobody is sent; then one caller tries.

    Times: monotonic seconds.
    """

    def __init__(self) -> None:
        self._row = 0
        self._until = 0.0
        self._trying = False

    def resting(self, now: float) -> float:
        """Seconds of rest that are left; 0 when there is none."""
        return max(0.0, self._until - now)

    def lets(self, now: float) -> bool:
        """Whether a caller may be sent now."""
        return self._row < IN_A_ROW or (now >= self._until and not self._trying)

    def sent(self) -> None:
        """A caller was sent."""
        if self._row >= IN_A_ROW:
            self._trying = True

    def ended(self, now: float, *, answered: bool | None) -> None:
        """What came of a caller who was sent; None: the caller left before anything was known."""
        if answered is None:
            self._trying = False
        elif answered:
            self._row, self._trying = 0, False
        else:
            self._row += 1
            self._trying = False
            if self._row >= IN_A_ROW:
                self._until = now + REST_SECONDS
