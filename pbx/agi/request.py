"""The opening lines of a FastAGI connection: who calls, from where, and what for."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final
from urllib.parse import parse_qsl

from pbx.agi.errors import BadRequest

_ABSENT: Final = frozenset({"", "unknown", "anonymous", "restricted", "unavailable", "<unknown>"})
_MAX_NAME: Final = 80
_MAX_NUMBER: Final = 40
_MAX_FIELD: Final = 256
_PROHIBITED: Final = 0x20
_RESTRICTION_MASK: Final = 0x60


def decode(raw: bytes) -> str:
    """Text of unknown encoding: UTF-8 where it is that, Latin-1 otherwise. Never raises."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def clean(text: str, limit: int) -> str:
    """Printable characters of ``text`` only, white space made single, ``limit`` at most.

    Control, format (bidirectional overrides), surrogate and private characters are dropped:
    caller names come from strangers.
    """
    if text.isascii() and text.isprintable() and len(text) <= limit and "  " not in text:
        return text.strip()
    kept = "".join(
        " " if char.isspace() else char
        for char in text[: 4 * limit]
        if char.isspace() or not unicodedata.category(char).startswith("C")
    )
    return " ".join(kept.split())[:limit].strip()


@dataclass(frozen=True, slots=True)
class AgiRequest:
    """What Asterisk says about the call. All text is cleaned; numbers and names may be empty."""

    script: str
    """Path of the agi:// address, without slashes around it and without its query."""
    query: Mapping[str, str]
    args: tuple[str, ...]
    channel: str
    unique_id: str
    caller_number: str
    caller_name: str
    caller_withheld: bool
    """The caller asked that the number be not shown: never speak or offer it."""
    dialled: str
    """The number that was dialled (DNID), empty when the carrier did not say."""
    extension: str
    context: str
    language: str


def parse_request(lines: Iterable[bytes]) -> AgiRequest:
    """Reads the header lines (without the empty line that ends them).

    Raises BadRequest when the lines are not Asterisk's. Asterisk says each name once: one that
    comes again was smuggled in with a value, and then no line can be trusted.
    """
    values: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(b":")
        if colon and name.startswith(b"agi_"):
            if (key := decode(name)) in values:
                raise BadRequest("a name that is said twice")
            values[key] = decode(value.removeprefix(b" "))
    if "agi_request" not in values and "agi_network_script" not in values:
        raise BadRequest("no agi_request")

    def field(name: str, limit: int = _MAX_FIELD) -> str:
        return clean(values.get(f"agi_{name}", ""), limit)

    def known(name: str, limit: int) -> str:
        text = field(name, limit)
        return "" if text.lower() in _ABSENT else text

    path, _, query = values.get("agi_network_script", "").partition("?")
    return AgiRequest(
        script=clean(path, _MAX_FIELD).strip("/"),
        query=MappingProxyType(_query(query)),
        args=_arguments(values),
        channel=field("channel"),
        unique_id=field("uniqueid"),
        caller_number=known("callerid", _MAX_NUMBER),
        caller_name=known("calleridname", _MAX_NAME),
        caller_withheld=_withheld(values.get("agi_callingpres", "")),
        dialled=known("dnid", _MAX_NUMBER),
        extension=field("extension"),
        context=field("context"),
        language=field("language", 20),
    )


def _query(text: str) -> dict[str, str]:
    try:
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=32, errors="replace")
    except ValueError:
        raise BadRequest("query") from None
    found: dict[str, str] = {}
    for name, value in pairs:
        found.setdefault(clean(name, _MAX_FIELD), clean(value, _MAX_FIELD))
    return found


def _arguments(values: Mapping[str, str]) -> tuple[str, ...]:
    found: list[str] = []
    while (value := values.get(f"agi_arg_{len(found) + 1}")) is not None:
        found.append(clean(value, _MAX_FIELD))
    return tuple(found)


def _withheld(presentation: str) -> bool:
    """Presentation values have "restricted" in bits 5 and 6 (Q.951, as Asterisk keeps them)."""
    if not (presentation.isascii() and presentation.isdigit()):
        return False
    return int(presentation[:4]) & _RESTRICTION_MASK == _PROHIBITED
