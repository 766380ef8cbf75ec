"""What the supervisor is given, what it tells, and how long it waits between restarts."""

from __future__ import annotations

import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

EventKind = Literal["started", "ready", "died", "restarting", "stopped"]


@dataclass(frozen=True)
class Part:
    """One program of the system.

    ``ready`` is asked again and again until it says True; OSError from it means not yet.
    ``env`` is added to our own environment. Times are in seconds. ``adopt``: a process left over
    from a supervisor that was killed is kept rather than replaced (Asterisk, which holds callers).
    ``end_if_silent``: one that runs but no longer answers ``ready`` is killed and started again
    (a service whose event loop is stuck holds its callers in silence).
    """

    name: str
    argv: Sequence[str]
    log: Path
    ready: Callable[[], Awaitable[bool]]
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: Path | None = None
    ready_timeout: float = 30.0
    stop_signal: signal.Signals = signal.SIGTERM
    stop_timeout: float = 10.0
    adopt: bool = False
    end_if_silent: bool = False


@dataclass(frozen=True, slots=True)
class PartEvent:
    """Something that happened to a part, for showing to people."""

    name: str
    kind: EventKind
    pid: int | None
    detail: str = ""


@dataclass(slots=True)
class Backoff:
    """How long to wait before the next restart, in seconds.

    The first is short, so that a service that was killed is back at once; each following one
    doubles up to ``longest``. A part that was up for ``reset_after`` begins anew.
    """

    first: float = 0.2
    longest: float = 10.0
    reset_after: float = 30.0
    deaths: int = 0
    """Deaths in this row, without a long enough time up between them."""

    def after(self, uptime: float) -> float:
        if uptime >= self.reset_after:
            self.deaths = 0
        self.deaths += 1
        # The exponent is bounded so that a part that never comes up cannot overflow it.
        return min(self.longest, self.first * 2.0 ** min(self.deaths - 1, 30))
