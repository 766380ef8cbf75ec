"""What Asterisk's own queue log knows of calls that nobody else was there to see.

Format: ``epoch|unique id|queue|agent|event|data...`` (ENTERQUEUE's data holds the caller's
number: only the fields named here are ever read).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from incident.outcomes import CallOutcome

TAIL_BYTES: Final = 32 * 1024 * 1024
"""How much of the end of the log is read; a call takes about 300 bytes."""

_COMPLETE: Final = frozenset({"COMPLETEAGENT", "COMPLETECALLER", "ATTENDEDTRANSFER"})
_WITHOUT_AGENT: Final = frozenset({"EXITWITHTIMEOUT", "EXITEMPTY", "FULL"})
PLACE: Final = "BLPLACE"


@dataclass(slots=True)
class Waited:
    """What the log says of one call. Times are Unix seconds (whole ones in the log)."""

    queue: str
    entered_at: float | None = None
    connected_at: float | None = None
    agent: str | None = None
    ended_at: float | None = None
    outcome: CallOutcome | None = None
    came_back: bool = False
    """From the outsourcer, who did not take the call (``dialplan/overflow.conf``)."""


def parse(lines: Iterable[str]) -> dict[str, Waited]:
    """Every call of the lines, by unique id. Lines that are none are left out, and placeholders
    of kept places: they have unique ids like a caller's, and ``BLPLACE`` says which they are."""
    calls: dict[str, Waited] = {}
    placeholders: set[str] = set()
    for line in lines:
        fields = line.rstrip("\n").split("|")
        if len(fields) < 5 or not fields[1] or fields[1] == "NONE":
            continue
        try:
            at = float(fields[0])
        except ValueError:
            continue
        if fields[4] == PLACE:
            placeholders.add(fields[1])
        call = calls.setdefault(fields[1], Waited(fields[2]))
        _note(call, at, fields[3], fields[4])
    return {unique_id: call for unique_id, call in calls.items() if unique_id not in placeholders}


def _note(call: Waited, at: float, agent: str, event: str) -> None:
    if event in {"ENTERQUEUE", "BLSENT"}:
        # Whoever comes back from somewhere has waited since the first time.
        call.entered_at = at if call.entered_at is None else call.entered_at
        call.ended_at = call.outcome = None
    elif event == "EXITWITHKEY":
        # To keep the place. Whoever confirms no number has left the line, or comes back to it.
        call.ended_at, call.outcome = at, CallOutcome.ABANDONED_WAITING
    elif event == "BLJOINED":
        call.connected_at, call.agent = at, agent.removeprefix("agent-")
        call.outcome = CallOutcome.AGENT
    elif event == "CONNECT":
        call.connected_at, call.agent = at, agent
        call.outcome = CallOutcome.AGENT
    elif event == "BLTAKEN":
        call.connected_at, call.agent = at, agent
        call.outcome = CallOutcome.OUTSOURCED
    elif event == "BLBACK":
        call.came_back = True
    elif event == "BLGONE":
        call.ended_at = at
        call.outcome = call.outcome or CallOutcome.ABANDONED_WAITING
    elif event in _COMPLETE:
        call.agent = agent
        call.ended_at, call.outcome = at, CallOutcome.AGENT
    elif event == "ABANDON":
        call.ended_at, call.outcome = at, CallOutcome.ABANDONED_WAITING
    elif event in _WITHOUT_AGENT:
        call.ended_at, call.outcome = at, CallOutcome.NO_AGENT


def read(file: Path) -> dict[str, Waited]:
    """The end of a queue log; nothing where there is none. Blocks; raises OSError."""
    try:
        with file.open("rb") as stream:
            size = stream.seek(0, 2)
            stream.seek(max(0, size - TAIL_BYTES))
            lines = (line.decode("utf-8", "replace") for line in stream)
            return parse(lines)
    except FileNotFoundError:
        return {}
