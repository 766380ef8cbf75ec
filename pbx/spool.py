"""Call-back requests that the emergency path takes while no service is there.

One file a request, ``<uuid>.sealed``: a plain first line names the incident whose key opens the
rest; the rest is sealed, so that nothing in this folder shows a telephone number. The hotline
takes them over into its store, where the file's stem (``source_key``) makes each count once,
and removes them after that.
"""

from __future__ import annotations

import json
import logging
import os
import re
import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from incident.privacy import IncidentKey

_log = logging.getLogger(__name__)

SUFFIX: Final = ".sealed"
REFUSED: Final = ".refused"
"""What the store refused; tried again when the hotline starts, or given its former name."""
_HEADING: Final = b"breachline-callback 1 "
_INCIDENT: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_KEY: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,79}")
_PHONE: Final = re.compile(r"\+[1-9][0-9]{6,14}")
_TOKEN: Final = re.compile(r"[0-9a-f]{32}")
_MAX_BYTES: Final = 16384


class SpoolError(Exception):
    """A spooled file could not be taken over. ``path`` is where it is now."""

    def __init__(self, path: Path, message: str) -> None:
        super().__init__(message)
        self.path = path


class SpoolDamaged(SpoolError):
    """Not a call-back request, or changed; it was moved into ``bad/``."""


class SpoolNotOurs(SpoolError):
    """Of an incident whose key is not at hand; it stays where it is, for a later try."""

    def __init__(self, path: Path, incident: str) -> None:
        super().__init__(path, f"a call-back request of incident {incident}, which is not active")
        self.incident = incident


@dataclass(frozen=True, slots=True)
class CallbackRequest:
    """``phone`` in E.164; ``requested_at`` in Unix seconds; ``call_id`` is the channel's id.

    ``token``: of the placeholder that holds the place, "" where none does. ``rank``: when the
    caller joined the line, ``not_before``: from when on to call; Unix seconds.
    ``relay``: a relay operator will speak for the caller."""

    incident: str
    language: str
    phone: str
    requested_at: float
    call_id: str
    token: str = ""
    rank: float | None = None
    not_before: float = 0.0
    relay: bool = False

    def to_bytes(self) -> bytes:
        """What is sealed."""
        return json.dumps(asdict(self)).encode()


def write_spooled(folder: Path, incident: str, sealed: bytes, key: str | None = None) -> str:
    """Adds one request, durably (on the disk when this returns); gives its ``source_key``.

    ``key``: the source key of a request that has one already; by default a new one.

    Raises OSError, and ValueError for what is no incident id.
    """
    if not _INCIDENT.fullmatch(incident):
        raise ValueError("not an incident id")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    key = uuid.uuid4().hex if key is None else key
    if not _KEY.fullmatch(key):
        raise ValueError("not a source key")
    write_durably(folder / f"{key}{SUFFIX}", _HEADING + incident.encode() + b"\n" + sealed, 0o600)
    return key


def list_spooled(folder: Path) -> tuple[Path, ...]:
    """Whole requests only, oldest first; none where the folder is not there yet."""
    found: list[tuple[float, Path]] = []
    for path in folder.glob(f"*{SUFFIX}"):
        with suppress(FileNotFoundError):  # taken over by another process meanwhile
            found.append((path.stat().st_mtime, path))
    return tuple(path for _, path in sorted(found))


def source_key(path: Path) -> str:
    """What makes this request count once, however often it is read."""
    return path.name.removesuffix(SUFFIX)


def read_spooled(path: Path, keys: Mapping[str, IncidentKey]) -> CallbackRequest:
    """Opens one request with the keys of the active incidents, by incident id.

    Raises SpoolNotOurs (left where it is), SpoolDamaged (moved into ``bad/``, with a warning)
    or FileNotFoundError (another process took it).
    """
    from incident.privacy import PrivacyError  # noqa: PLC0415 - the emergency path starts fast

    with path.open("rb") as file:
        content = file.read(_MAX_BYTES + 1)
    heading, _, sealed = content.partition(b"\n")
    incident = heading.removeprefix(_HEADING).decode("ascii", "replace")
    if not heading.startswith(_HEADING) or not _INCIDENT.fullmatch(incident):
        raise _set_aside(path, "it has no heading")
    if incident not in keys:
        raise SpoolNotOurs(path, incident)
    try:
        request = _parse(keys[incident].open_sealed(sealed))
    except (PrivacyError, ValueError, TypeError, KeyError) as error:
        raise _set_aside(path, f"it does not open ({type(error).__name__})") from None
    if request.incident != incident:
        raise _set_aside(path, "it is of another incident")
    return request


def remove_spooled(path: Path) -> None:
    """After the store has it. Not finding it is fine."""
    path.unlink(missing_ok=True)
    _sync(path.parent)


def refuse_spooled(path: Path) -> Path:
    """Sets aside what the store will never take, beside the others and still sealed; gives where.

    Raises OSError."""
    aside = path.with_name(f"{source_key(path)}{REFUSED}")
    path.replace(aside)
    _sync(path.parent)
    return aside


def count_refused(folder: Path) -> int:
    """How many requests are set aside: refused by the store, or damaged."""
    return sum(1 for _ in folder.glob(f"*{REFUSED}")) + sum(1 for _ in folder.glob("bad/*"))


def offer_again(folder: Path) -> None:
    """Puts what was refused back among the others. Raises OSError."""
    for path in folder.glob(f"*{REFUSED}"):
        path.replace(path.with_name(path.name.removesuffix(REFUSED) + SUFFIX))


def write_durably(path: Path, content: bytes, mode: int) -> None:
    """Replaces ``path`` with ``content``: readers see the old file or the new one, and after
    a power cut the new one is there."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.{uuid.uuid4().hex}.tmp")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    _sync(path.parent)


def _parse(data: bytes) -> CallbackRequest:
    fields = json.loads(data)
    request = CallbackRequest(
        incident=str(fields["incident"]),
        language=str(fields["language"]),
        phone=str(fields["phone"]),
        requested_at=float(fields["requested_at"]),
        call_id=str(fields["call_id"]),
        token=str(fields.get("token", "")),
        rank=None if fields.get("rank") is None else float(fields["rank"]),
        not_before=float(fields.get("not_before", 0.0)),
        relay=fields.get("relay") is True,
    )
    if not _PHONE.fullmatch(request.phone):
        raise ValueError("no telephone number")
    if request.token and not _TOKEN.fullmatch(request.token):
        raise ValueError("no token")
    return request


def _set_aside(path: Path, why: str) -> SpoolDamaged:
    aside = path.parent / "bad" / path.name
    aside.parent.mkdir(mode=0o700, exist_ok=True)
    path.replace(aside)
    _log.warning("%s was moved into bad/: %s", path.name, why)
    return SpoolDamaged(aside, f"{path.name} is no call-back request: {why}")


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
