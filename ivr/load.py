"""How busy an incident is: a pure decision from a predicted wait and a number of calls.

A limit that is reached counts as passed until the value has stayed well below it for a while:
without that, callers a second apart would be treated differently for hours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from incident.plan import Load

FALL: Final = 0.8
"""Share of a limit that a value must be below before the limit counts as not reached."""
HOLD_SECONDS: Final = 10.0
"""For how long, without a break."""


class Level(StrEnum):
    """``busy``: the dialer gives way. ``shedding``: new callers get the short way."""

    NORMAL = "normal"
    BUSY = "busy"
    SHEDDING = "shedding"


LEVELS: Final = tuple(Level)


@dataclass(frozen=True, slots=True)
class Reading:
    """``predicted``: seconds that a new caller would wait (median); infinite where nobody could
    ever serve them, none where nothing is known. ``channels``: calls of the incident now."""

    predicted: float | None
    channels: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """``full``: shedding because of the number of calls, so that new callers should not even go
    through the menus."""

    level: Level
    full: bool = False


class Limit:
    """One limit with memory. ``None`` is never reached."""

    def __init__(self, at: float | None) -> None:
        self.at = at
        self._over = False
        self._below_since: float | None = None

    def over(self, value: float | None, now: float) -> bool:
        """Whether the limit counts as reached; ``now``: monotonic seconds."""
        if self.at is None:
            self._over = False
        elif value is not None and value >= self.at:
            self._over, self._below_since = True, None
        elif self._over:
            if value is not None and value >= self.at * FALL:
                self._below_since = None
            elif self._below_since is None:
                self._below_since = now
            elif now - self._below_since >= HOLD_SECONDS:
                self._over, self._below_since = False, None
        return self._over


class LoadMeter:
    """The limits of one incident on this node. ``change`` takes over those of another plan."""

    def __init__(self, load: Load) -> None:
        self._limits: Mapping[str, Limit] = {
            name: Limit(None)
            for name in ("busy_wait", "shed_wait", "busy_channels", "shed_channels")
        }
        self.change(load)

    @property
    def most_channels(self) -> float | None:
        """Calls from which on the incident is full."""
        return self._limits["shed_channels"].at

    def change(self, load: Load) -> None:
        for name, limit in self._limits.items():
            limit.at = getattr(load, name)

    def judge(self, reading: Reading, now: float) -> Verdict:
        """The level at ``now`` (monotonic seconds)."""
        over = {
            name: limit.over(
                reading.predicted if name.endswith("_wait") else float(reading.channels), now
            )
            for name, limit in self._limits.items()
        }
        if over["shed_channels"]:
            return Verdict(Level.SHEDDING, full=True)
        if over["shed_wait"]:
            return Verdict(Level.SHEDDING)
        busy = over["busy_wait"] or over["busy_channels"]
        return Verdict(Level.BUSY if busy else Level.NORMAL)
