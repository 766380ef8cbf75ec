"""One command is one line: quoting as Asterisk's AGI reader takes it apart.

Asterisk splits a line at spaces outside double quotes; a backslash, inside quotes or out, makes
the next character an ordinary one. It reads lines in pieces of a fixed size, so that the rest of
a longer line would be run as another command: lines past ``MAX_LINE`` are refused.
"""

from __future__ import annotations

import re
from typing import Final

from pbx.agi.errors import InvalidArgument

MAX_LINE: Final = 2000
"""Bytes in a command line. Asterisk's smallest line buffer is 2,048."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_PLAIN = re.compile(r"[A-Za-z0-9_./:+-]+")
_DIGITS = re.compile(r"[0-9*#A-D]*")
_VARIABLE = re.compile(r"_{0,2}[A-Za-z][A-Za-z0-9_]*(\([A-Za-z0-9_:,. -]*\))?")


def quote(value: str) -> str:
    """``value`` as one AGI argument.

    Raises InvalidArgument for control characters (a line end would start another command).
    """
    if _PLAIN.fullmatch(value):
        return value
    if _CONTROL.search(value):
        raise InvalidArgument("an argument holds a control character")
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def command_line(verb: str, *args: str | int) -> bytes:
    """The bytes of one command, line end included. ``verb`` is ours and trusted."""
    parts = [verb]
    parts += [quote(arg) if isinstance(arg, str) else str(int(arg)) for arg in args]
    try:
        line = " ".join(parts).encode() + b"\n"
    except UnicodeEncodeError:
        raise InvalidArgument("an argument is not valid text") from None
    if len(line) > MAX_LINE:
        raise InvalidArgument(f"a command of {len(line)} bytes; Asterisk takes {MAX_LINE}")
    return line


def escape_digits(digits: str) -> str:
    """``digits``, if they are keys of a telephone."""
    if not _DIGITS.fullmatch(digits):
        raise InvalidArgument("keys are 0-9, * and #")
    return digits


def variable_name(name: str) -> str:
    """``name``, if it names a channel variable or function call."""
    if not _VARIABLE.fullmatch(name):
        raise InvalidArgument("not the name of a channel variable")
    return name
