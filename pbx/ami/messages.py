"""Typed messages: what arrives (`Event`, `Response`) and what leaves (`Outgoing`).

Limits of what leaves stay below Asterisk's own (main/manager.c; measured with 22.10: a line of
1,022 bytes and 128 headers still pass). Past them Asterisk discards the message.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from panoramisk.actions import Action

from pbx.ami.errors import InvalidValue, Refused, UnexpectedReply

MAX_LINE_BYTES: Final = 1_000
MAX_HEADERS: Final = 120
MAX_LIST_ITEMS: Final = 200_000
"""A list action that never stops listing must not eat the memory."""

_HEADER_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,79}")
_VARIABLE_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,79}")
_SUCCESS: Final = frozenset({"success", "follows", "goodbye"})


class Fields(Mapping[str, str]):
    """Headers of one message: names in any case; a repeated header's values joined by newlines.

    ``repeated``: the names, in lower case, that came more than once.
    """

    __slots__ = ("_stored", "repeated")

    def __init__(self, headers: Iterable[tuple[str, str]] = ()) -> None:
        stored: dict[str, tuple[str, str]] = {}
        repeated: set[str] = set()
        for name, value in headers:
            key = name.lower()
            before = stored.get(key)
            if before is not None:
                repeated.add(key)
            stored[key] = (name, value) if before is None else (name, f"{before[1]}\n{value}")
        self._stored = stored
        self.repeated = frozenset(repeated)

    @classmethod
    def parse(cls, text: str) -> Fields:
        """The headers of one message. Lines that are no header are left out.

        (panoramisk's own parser takes the last header of a failure for a body, and with it the
        ActionID that the caller waits for.)
        """
        headers = []
        for line in text.split("\r\n"):
            name, colon, value = line.partition(":")
            if colon and name:
                headers.append((name.strip(), value.removeprefix(" ")))
        return cls(headers)

    @property
    def kind(self) -> str:
        """The first header's name in lower case: ``event`` or ``response``, if it is anything."""
        return next(iter(self._stored), "")

    def __getitem__(self, name: str) -> str:
        return self._stored[name.lower()][1]

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._stored

    def __iter__(self) -> Iterator[str]:
        return (name for name, _ in self._stored.values())

    def __len__(self) -> int:
        return len(self._stored)

    def __repr__(self) -> str:
        """Names alone: values may be telephone numbers, and a repr ends up in logs."""
        return f"Fields({', '.join(self)})"


@dataclass(frozen=True)
class Event:
    """Something that Asterisk reports. ``received`` is in `time.monotonic` seconds."""

    name: str
    fields: Mapping[str, str]
    received: float

    def get(self, key: str, default: str = "") -> str:
        return self.fields.get(key, default)


@dataclass(frozen=True)
class Response:
    """Asterisk's successful answer to one action. (An unsuccessful one is raised as `Refused`.)"""

    action: str
    action_id: str
    fields: Mapping[str, str]
    items: tuple[Event, ...] = field(default=(), repr=False)
    """For list actions: the events of the list, without the one that ends it."""

    def get(self, key: str, default: str = "") -> str:
        return self.fields.get(key, default)

    @property
    def message(self) -> str:
        return self.get("Message")


class Outgoing(Action):  # type: ignore[misc]  # panoramisk has no types
    """An action on its way: panoramisk's, with a completion rule that knows refusals and lists."""

    def __init__(
        self,
        name: str,
        action_id: str,
        headers: Mapping[str, str | Sequence[str]],
        *,
        is_list: bool = False,
    ) -> None:
        check_headers(name, headers)
        values = {key: v if isinstance(v, str) else list(v) for key, v in headers.items()}
        super().__init__({"Action": name, "ActionID": action_id, **values})
        self.name = name
        self.is_list = is_list
        self.reply: Fields | None = None
        self.collected: list[Event] = []

    def encoded(self) -> bytes:
        return str(self).encode("utf-8")

    def add_message(self, fields: Fields) -> bool:
        """Take a Response with our ActionID; True when nothing more is to come."""
        if fields.get("Response", "").lower() not in _SUCCESS:
            reason = " ".join(fields.get("Message", "").split())  # one ends in a line feed
            return self._fail(Refused(self.name, reason))
        self.reply = fields
        if not self.is_list:
            return self._complete()
        announced = fields.get("EventList", "").lower() == "start"
        if announced or "will follow" in fields.get("Message", "").lower():
            return False
        return self._fail(UnexpectedReply(self.name, "it announces no list"))

    def add_event(self, event: Event) -> bool:
        """Take an event with our ActionID; True when it ends the list that we wait for."""
        if not self.is_list or self.reply is None:
            return False  # an OriginateResponse, say: the action itself ends with its Response
        ending = event.get("EventList").lower()
        if ending == "complete":
            return self._complete()
        if ending:
            return self._fail(UnexpectedReply(self.name, "Asterisk broke the list off"))
        if len(self.collected) >= MAX_LIST_ITEMS:
            return self._fail(UnexpectedReply(self.name, f"over {MAX_LIST_ITEMS} items"))
        self.collected.append(event)
        return False

    def _complete(self) -> bool:
        if not self.future.done():
            self.future.set_result(
                Response(self.name, self.action_id, self.reply or Fields(), tuple(self.collected))
            )
        return True

    def _fail(self, error: Exception) -> bool:
        if not self.future.done():
            self.future.set_exception(error)
        return True


def check_headers(action: str, headers: Mapping[str, str | Sequence[str]]) -> None:
    """Raise `InvalidValue` unless each header arrives in Asterisk as exactly one header."""
    _check_name(action, "Action")
    _check_line("Action", action)
    seen = {"action", "actionid"}
    lines = 2
    for name, value in headers.items():
        _check_name(name, name)
        if name.lower() in seen:
            raise InvalidValue(name, "it is given twice, or is one that the client sets itself")
        seen.add(name.lower())
        values = (value,) if isinstance(value, str) else tuple(value)
        lines += len(values)
        for one in values:
            _check_line(name, one)
    if lines > MAX_HEADERS:
        raise InvalidValue(action, f"{lines} headers; Asterisk takes {MAX_HEADERS} at most")


def variable_headers(variables: Mapping[str, str]) -> list[str]:
    """The ``Variable`` headers of an Originate, one variable each.

    Asterisk splits such a header like a dialplan application's arguments: it breaks at commas and
    eats quotation marks and backslashes. Values that hold them are refused, not quoted, and so
    are values whose blank ends would be trimmed.
    """
    headers = []
    for name, value in variables.items():
        shown = f"Variable {name}"
        if not _VARIABLE_NAME.fullmatch(name):
            raise InvalidValue("Variable", "a variable's name has letters, digits and underscores")
        if any(mark in value for mark in ',"\\'):
            raise InvalidValue(shown, "a comma, quotation mark or backslash would be split or lost")
        if value != value.strip():
            raise InvalidValue(shown, "blanks at its ends would be lost")
        _check_line(shown, value)
        headers.append(f"{name}={value}")
    return headers


def _check_name(name: str, header: str) -> None:
    if not _HEADER_NAME.fullmatch(name):
        # The name itself may be hostile: show it escaped and cut.
        raise InvalidValue(header[:80], "a name has letters, digits, dashes and underscores")


def _check_line(name: str, value: str) -> None:
    if not isinstance(value, str):
        raise InvalidValue(name, "its value is not text")
    if any(unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"} for character in value):
        raise InvalidValue(name, "its value has a line break or another control character")
    if len(name) + len(value.encode("utf-8")) + 2 > MAX_LINE_BYTES:
        raise InvalidValue(name, f"longer than the {MAX_LINE_BYTES} bytes that Asterisk takes")
