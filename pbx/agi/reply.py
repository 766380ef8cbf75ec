"""Asterisk's answers to AGI commands."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pbx.agi.errors import AgiProtocolError
from pbx.agi.request import decode

_RESULT = re.compile(r"result=(\S*)(?: \((.*)\))?(?: endpos=(\d{1,18}))?\s*", re.DOTALL)
_CODE = re.compile(rb"[1-5][0-9]{2}(?=[ -]|$)")

OK = 200
UNKNOWN_COMMAND = 510
DEAD_CHANNEL = 511
USAGE = 520


@dataclass(frozen=True, slots=True)
class Reply:
    """One whole answer. ``data`` is what stood in parentheses, None where nothing did."""

    code: int
    result: str
    data: str | None = None
    endpos: int | None = None
    text: str = ""

    @property
    def number(self) -> int:
        """``result`` as a number; raises AgiProtocolError when it is none."""
        try:
            return int(self.result)
        except ValueError:
            raise AgiProtocolError("a result that is no number") from None


class ReplyReader:
    """Puts lines together to answers: most are one line, some are more.

    Usage replies run from ``520-`` to ``520 ``; a variable's value may hold line ends.
    """

    __slots__ = ("_limit", "_lines", "_size", "_usage")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lines: list[bytes] = []
        self._size = 0
        self._usage = False

    @property
    def partial(self) -> bool:
        return bool(self._lines)

    def feed(self, line: bytes) -> Reply | None:
        """Takes a line without its end; gives the answer when it is complete.

        Raises AgiProtocolError for anything that is no answer, or one past the limit.
        """
        if not self._lines and line.startswith(b"200 result=") and b" (" not in line:
            return _success(decode(line[4:]))
        self._size += len(line) + 1
        if self._size > self._limit:
            raise AgiProtocolError("a reply past the limit")
        self._lines.append(line)
        if len(self._lines) == 1:
            if not _CODE.match(line):
                raise AgiProtocolError("a line that is no reply")
            self._usage = line[3:4] == b"-"
        if self._usage:
            complete = len(self._lines) > 1 and line.startswith(self._lines[0][:3] + b" ")
        else:
            complete = not _open_value(self._lines[0]) or _value_ends(line)
        if not complete:
            return None
        whole = b"\n".join(self._lines)
        self._lines = []
        self._size = 0
        return _parse(whole)


def _open_value(first: bytes) -> bool:
    return first.startswith(b"200 result=1 (")


def _value_ends(line: bytes) -> bool:
    return line.endswith(b")")


def _parse(whole: bytes) -> Reply:
    code = int(whole[:3])
    text = decode(whole[4:])
    return _success(text) if code == OK else Reply(code, "", text=text)


def _success(text: str) -> Reply:
    match = _RESULT.fullmatch(text)
    if match is None:
        raise AgiProtocolError("a reply without a result")
    result, data, endpos = match.groups()
    return Reply(OK, result, data, None if endpos is None else int(endpos))
