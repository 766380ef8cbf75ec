"""What Asterisk's queue log knows of tries to call people back, for when nobody else saw them.

Lines of the dialplan (kept.conf, agents.conf), ``epoch|id|queue|agent|event|data``:

- ``BLDIAL``, id the try, data the token: written before the dial;
- ``BLANSWERED``, id the try: somebody answered;
- ``BLOVER``, id the try, data ``DIALSTATUS^cause``: it is over;
- ``BLKEPTMACHINE``, id the token: the agent heard a machine;
- ``BLJOINED``, id the call, data the token: the caller was still on the line when the agent came.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

TAIL_BYTES: Final = 32 * 1024 * 1024
"""How much of the end of the log is read."""


@dataclass(slots=True)
class TryFacts:
    """One try. Times: Unix seconds. ``over``: DIALSTATUS and cause, as the dialplan wrote them."""

    dialled_at: float | None = None
    answered_at: float | None = None
    over: tuple[str, str] | None = None
    over_at: float | None = None
    machine: bool = False


@dataclass(frozen=True, slots=True)
class Joined:
    token: str
    call: str
    agent: str
    at: float


@dataclass(slots=True)
class KeptLog:
    """``since``: what happened before is not in the part that was read."""

    since: float | None = None
    tries: dict[str, TryFacts] = field(default_factory=dict)
    joined: list[Joined] = field(default_factory=list)


def parse(lines: Iterable[str]) -> KeptLog:
    """Lines that are none of ours are left out."""
    log = KeptLog()
    going: dict[str, TryFacts] = {}
    for line in lines:
        fields = line.rstrip("\n").split("|")
        if len(fields) < 5:
            continue
        try:
            at = float(fields[0])
        except ValueError:
            continue
        log.since = at if log.since is None else log.since
        _note(log, going, at, fields)
    return log


def _note(log: KeptLog, going: dict[str, TryFacts], at: float, fields: list[str]) -> None:
    name, event, data = fields[1], fields[4], fields[5] if len(fields) > 5 else ""
    if event == "BLDIAL":
        facts = log.tries.setdefault(name, TryFacts())
        facts.dialled_at = at
        going[data] = facts
    elif event == "BLANSWERED":
        log.tries.setdefault(name, TryFacts()).answered_at = at
    elif event == "BLOVER":
        status, _, cause = data.partition("^")
        facts = log.tries.setdefault(name, TryFacts())
        facts.over, facts.over_at = (status, cause), at
    elif event == "BLKEPTMACHINE" and name in going:
        going[name].machine = True
    elif event == "BLJOINED":
        log.joined.append(Joined(data, name, fields[3].removeprefix("agent-"), at))


def read(file: Path) -> KeptLog:
    """The end of a queue log; empty where there is none. Blocks; raises OSError."""
    try:
        with file.open("rb") as stream:
            size = stream.seek(0, 2)
            start = max(0, size - TAIL_BYTES)
            stream.seek(start)
            if start:
                stream.readline()  # a half
            return parse(line.decode("utf-8", "replace") for line in stream)
    except FileNotFoundError:
        return KeptLog()
