"""Asterisk's ``queue_log``: what happened to answered calls while nobody listened to events."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_CHUNK: Final = 1 << 20
_MOST: Final = 256 << 20
"""Bytes read from the end at most: a million calls and more."""


@dataclass(slots=True)
class QueueFacts:
    """One call in the queue; times in Unix seconds. ``abandoned``: no agent took it in time.
    ``hung_up``: the person left before that. ``machine``: the agent pressed *7."""

    entered_at: float | None = None
    connected_at: float | None = None
    agent: str | None = None
    abandoned: bool = False
    hung_up: bool = False
    machine: bool = False


def read(file: Path, calls: Collection[str], since: float) -> Mapping[str, QueueFacts]:
    """What the log says of these unique ids, from ``since`` (Unix seconds) on.

    A log that is not there says nothing.
    """
    found: dict[str, QueueFacts] = {}
    wanted = frozenset(calls)
    if not wanted:
        return found
    for line in _tail(file, since).splitlines():
        fields = line.split("|")
        if len(fields) >= 5 and fields[1] in wanted and fields[0].isdigit():
            _apply(found.setdefault(fields[1], QueueFacts()), fields)
    return found


def _apply(facts: QueueFacts, fields: list[str]) -> None:
    at = float(fields[0])
    match fields[4]:
        case "ENTERQUEUE":
            facts.entered_at = at
        case "CONNECT":
            facts.connected_at = at
            facts.agent = fields[3]
        case "ABANDON":
            facts.hung_up = True
        case "EXITWITHTIMEOUT" | "EXITEMPTY" | "EXITWITHKEY":
            facts.abandoned = True
        case "BLMACHINE":  # of our own dialplan
            facts.machine = True


def _tail(file: Path, since: float) -> str:
    """The end of the file, back to a line that is older than ``since``."""
    data = b""
    try:
        with file.open("rb") as stream:
            start = stream.seek(0, 2)
            while start > 0 and len(data) < _MOST:
                size = min(_CHUNK, start)
                start = stream.seek(start - size)
                data = stream.read(size) + data
                whole = data if start == 0 else data.partition(b"\n")[2]
                stamp = whole.partition(b"|")[0]
                # Two seconds: the log's clock has whole seconds.
                if stamp.isdigit() and int(stamp) < since - 2:
                    break
    except FileNotFoundError:
        return ""
    return data.decode("utf-8", "replace")
