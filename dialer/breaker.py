"""Stops a queue's notice calls for a while when those who answer find no agent."""

from __future__ import annotations

from typing import Final

from incident.outcomes import AttemptOutcome

IN_A_ROW: Final = 3
"""Abandoned calls without one that an agent took: the agents are not at their telephones."""

FIRST_HOLD: Final = 60.0
LAST_HOLD: Final = 900.0

MOST_ABANDONED: Final = 0.03
"""Of the calls that a person answered (47 CFR 64.1200(a)(7))."""
FEWEST_ABANDONED: Final = 3
FEWEST_LIVE: Final = 30
"""Below these a ratio says nothing."""


def too_many(live: int, abandoned: int) -> bool:
    """Whether more of the calls that were answered live were abandoned than may be."""
    return (
        live >= FEWEST_LIVE and abandoned >= FEWEST_ABANDONED and abandoned / live > MOST_ABANDONED
    )


class Breaker:
    """One queue of one campaign. Times: monotonic seconds.

    Three abandoned calls in a row hold the queue for a minute; if the next call after that is
    abandoned too, twice as long, a quarter of an hour at most. A call that an agent takes ends
    it. While the campaign's ratio is ``over`` the limit, each single abandoned call holds.
    """

    def __init__(self) -> None:
        self.over = False
        self._row = 0
        self._until = 0.0
        self._hold = FIRST_HOLD
        self._why = ""

    def ended(self, outcome: AttemptOutcome, now: float) -> None:
        """A call of the queue ended so."""
        if outcome in {AttemptOutcome.CONNECTED, AttemptOutcome.MACHINE}:
            self._row = 0
            self._hold = FIRST_HOLD
        elif outcome is AttemptOutcome.ABANDONED:
            self._row += 1
            if now < self._until:
                return  # placed before the hold began
            if self._row >= IN_A_ROW:
                self._why = f"{self._row} answered calls in a row met no agent"
            elif self.over:
                self._why = f"more than {MOST_ABANDONED:.0%} of the answered calls met no agent"
            else:
                return
            self._until = now + self._hold
            self._hold = min(LAST_HOLD, self._hold * 2)

    def held(self, now: float) -> tuple[float, str] | None:
        """Seconds that nothing may be dialled yet, and why; None: it may."""
        return (self._until - now, self._why) if now < self._until else None
