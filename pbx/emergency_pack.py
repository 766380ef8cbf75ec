"""What the emergency path needs of an incident, in one file, written when it is activated.

The emergency script runs when the services, the database or the broker are gone: everything it
plays and the public key that it seals with stand in ``HOME/emergency/<incident>.json``.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from incident.home import Home
from pbx.spool import write_durably

OFFER_LANGUAGE: Final = "language.offer"
ESSENTIALS: Final = "emergency.essentials"
OFFER_CALLBACK: Final = "emergency.callback_offer"
SHED_OFFER: Final = "shed.callback_offer"
TO_AGENT: Final = "emergency.to_agent"
ENTER_NUMBER: Final = "callback.enter_number"
CONFIRM: Final = "callback.confirm"
INVALID: Final = "callback.invalid"
THANKS: Final = "callback.thanks"
GOODBYE: Final = "goodbye"

PROMPTS: Final = (
    OFFER_LANGUAGE,
    ESSENTIALS,
    OFFER_CALLBACK,
    SHED_OFFER,
    TO_AGENT,
    ENTER_NUMBER,
    CONFIRM,
    INVALID,
    THANKS,
    GOODBYE,
)
"""Names of the texts that the emergency path speaks, in every language."""

_FORMAT: Final = 1
_KEY_BYTES: Final = 32
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_UNSPEAKABLE = re.compile(r'["\\\x00-\x1f\x7f]')


class PackError(Exception):
    """The emergency pack cannot be written, or is missing or damaged; says what to mend."""


@dataclass(frozen=True, slots=True)
class EmergencyPack:
    """``prompts``: language, then text name, then absolute path without extension."""

    incident: str
    languages: tuple[str, ...]
    prompts: Mapping[str, Mapping[str, str]]
    public_key: bytes


def pack_path(home: Home, incident: str) -> Path:
    """Raises PackError for what is no incident id (it becomes part of a path)."""
    if not _ID.fullmatch(incident):
        raise PackError("not an incident id")
    return home.emergency / f"{incident}.json"


def write_emergency_pack(
    home: Home,
    incident_id: str,
    languages: Sequence[str],
    prompts: Mapping[str, Mapping[str, str | Path]],
    public_key: bytes,
) -> Path:
    """Writes the pack, replacing an earlier one in one step; gives its path.

    ``languages`` in the order of their keys (1, 2, ...). Raises PackError where a text of
    ``PROMPTS`` is missing in a language, or a path cannot be given to Asterisk.
    """
    path = pack_path(home, incident_id)
    if not languages or not all(_ID.fullmatch(language) for language in languages):
        raise PackError(f"incident {incident_id} has no languages")
    if len(public_key) != _KEY_BYTES:
        raise PackError(f"the public key of incident {incident_id} is not {_KEY_BYTES} bytes")
    missing = [
        f"{language}/{name}"
        for language in languages
        for name in PROMPTS
        if name not in prompts.get(language, {})
    ]
    if missing:
        raise PackError(f"the emergency path lacks prompts: {', '.join(missing)}")
    spoken = {
        language: {name: _playable(prompts[language][name]) for name in PROMPTS}
        for language in languages
    }
    content = {
        "format": _FORMAT,
        "incident": incident_id,
        "languages": list(languages),
        "prompts": spoken,
        "public_key": base64.b64encode(public_key).decode(),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    write_durably(path, json.dumps(content, indent=1).encode(), 0o644)
    return path


def read_emergency_pack(home: Home, incident_id: str) -> EmergencyPack:
    """Raises PackError, whatever is wrong with the file."""
    path = pack_path(home, incident_id)
    try:
        content = json.loads(path.read_bytes())
        if content["format"] != _FORMAT or content["incident"] != incident_id:
            raise PackError(f"{path.name} is of another format or incident; activate it again")
        return EmergencyPack(
            incident=incident_id,
            languages=tuple(str(language) for language in content["languages"]),
            prompts={
                str(language): {str(name): _playable(where) for name, where in named.items()}
                for language, named in content["prompts"].items()
            },
            public_key=base64.b64decode(content["public_key"], validate=True),
        )
    except FileNotFoundError:
        raise PackError(f"{path.name} is missing; activate the incident again") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, binascii.Error) as error:
        raise PackError(f"{path.name} is damaged ({type(error).__name__})") from error


def _playable(path: str | Path) -> str:
    """An AGI script sends paths in plain quotes: they may hold nothing that ends those."""
    text = str(path)
    if not text.startswith("/") or _UNSPEAKABLE.search(text):
        raise PackError("a prompt's path is not absolute, or holds quotes or control characters")
    return text
