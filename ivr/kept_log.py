"""What Asterisk's queue log knows of tries to call people back, for when nobody else saw them.

Lines of the dialplan (kept.conf, agents.conf), ``epoch|id|queue|agent|event|data``:

- ``BLDIAL``, id the try, data the token: written before the dial;
- ``BLANSWERED``, id the try: somebody answered;
- ``BLMET``, id the try: they have heard who calls, and are joined with the agent;
- ``BLOVER``, id the try, data ``DIALSTATUS^cause``: it is over;
- ``BLKEPTMACHINE``, id the token: the agent heard a machine;
- ``BLJOINED``, id the call, data the token: the caller was still on the line when the agent came.

Only what is new is read each time: the log grows by every call, and these lines are few.
"""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final

TAIL_BYTES: Final = 32 * 1024 * 1024
"""How much of the end of the log is read the first time."""
_REMEMBERED: Final = 20_000
"""Tries of which it is remembered what the log said."""
_OURS: Final = b"|BL"
_HEAD_BYTES: Final = 64


@dataclass(slots=True)
class TryFacts:
    """One try. Times: Unix seconds. ``over``: DIALSTATUS and cause, as the dialplan wrote them."""

    dialled_at: float | None = None
    answered_at: float | None = None
    met_at: float | None = None
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
    """``since``: what happened before is not in the part that was read. ``joined``: by token."""

    since: float | None = None
    tries: dict[str, TryFacts] = field(default_factory=dict)
    joined: dict[str, Joined] = field(default_factory=dict)


class KeptLogFile:
    """The log at ``path``, and how far it has been read. Its methods may be called from threads.

    The file stays open: when the log is put away under another name, its end is still read before
    the new one's beginning. A log that was cut off, or written anew, is known by its first bytes.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._known = KeptLog()
        self._going: dict[str, TryFacts] = {}
        self._stream: BinaryIO | None = None
        self._head = b""
        self._offset = 0

    def read(self) -> KeptLog:
        """All that is known by now; nothing where there is no log. Blocks; raises OSError."""
        with self._lock:
            try:
                self._read_on()
            except FileNotFoundError:
                self.close()
                self._known.since = None
            self._forget()
            return KeptLog(self._known.since, dict(self._known.tries), dict(self._known.joined))

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def _read_on(self) -> None:
        if self._stream is not None and self._written_anew(self._stream):
            self.close()
        if self._stream is None:
            self._known.since = None
            self._open(from_end=TAIL_BYTES)
            return
        self._read_rest(self._stream)
        there, ours = self._path.stat(), os.fstat(self._stream.fileno())
        if (there.st_dev, there.st_ino) != (ours.st_dev, ours.st_ino):
            self._read_rest(self._stream)  # what came before it was put away
            self.close()
            self._open(from_end=None)

    def _open(self, *, from_end: int | None) -> None:
        stream = self._stream = self._path.open("rb")
        self._head, self._offset = b"", 0
        if from_end is not None:
            size = stream.seek(0, os.SEEK_END)
            self._offset = max(0, size - from_end)
            stream.seek(self._offset)
            if self._offset:
                self._offset += len(stream.readline())  # a half
        self._read_rest(stream)

    def _written_anew(self, stream: BinaryIO) -> bool:
        if os.fstat(stream.fileno()).st_size < self._offset:
            return True
        # Not by the stream, which would give what it has read before.
        return os.pread(stream.fileno(), len(self._head), 0) != self._head

    def _read_rest(self, stream: BinaryIO) -> None:
        stream.seek(self._offset)
        for line in stream:
            if not line.endswith(b"\n"):
                break  # it is being written
            self._offset += len(line)
            if self._known.since is None or _OURS in line:
                self._note(line.decode("utf-8", "replace"))
        if len(self._head) < _HEAD_BYTES:
            self._head = os.pread(stream.fileno(), min(_HEAD_BYTES, self._offset), 0)

    def _note(self, line: str) -> None:
        """Lines that are none of ours are left out."""
        fields = line.rstrip("\n").split("|")
        if len(fields) < 5:
            return
        try:
            at = float(fields[0])
        except ValueError:
            return
        if self._known.since is None:
            self._known.since = at
        name, event, data = fields[1], fields[4], fields[5] if len(fields) > 5 else ""
        if event == "BLDIAL":
            facts = self._try(name)
            facts.dialled_at = at
            self._going[data] = facts
        elif event == "BLANSWERED":
            self._try(name).answered_at = at
        elif event == "BLMET":
            self._try(name).met_at = at
        elif event == "BLOVER":
            status, _, cause = data.partition("^")
            facts = self._try(name)
            facts.over, facts.over_at = (status, cause), at
        elif event == "BLKEPTMACHINE" and name in self._going:
            self._going[name].machine = True
        elif event == "BLJOINED":
            self._known.joined[data] = Joined(data, name, fields[3].removeprefix("agent-"), at)

    def _try(self, name: str) -> TryFacts:
        return self._known.tries.setdefault(name, TryFacts())

    def _forget(self) -> None:
        """The oldest; they are as if they had been before the log began."""
        tries = self._known.tries
        while len(tries) > _REMEMBERED:
            gone = tries.pop(next(iter(tries)))
            times = (self._known.since, gone.dialled_at, gone.answered_at, gone.over_at)
            self._known.since = max(time for time in times if time is not None)
        for known in (self._going, self._known.joined):
            while len(known) > _REMEMBERED:
                known.pop(next(iter(known)))
