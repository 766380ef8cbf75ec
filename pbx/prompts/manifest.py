"""``HOME/prompts/manifest.json``: which file speaks which text, for each version of an incident."""

from __future__ import annotations

import fcntl
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from incident.home import Home

LOCK_SECONDS: Final = 120.0
STEM_LENGTH: Final = 24
"""Hex digits of a SHA-256 in a file's name: 96 bits."""


class ManifestError(Exception):
    """The manifest is not readable; ``file`` is it."""

    def __init__(self, file: Path, reason: str) -> None:
        self.file = file
        self.reason = reason
        super().__init__(f"{file}: {reason}. Remove it and run 'prompts build': it is made anew")


class BuildBusy(Exception):
    """Another process has been building this home's prompts for too long; ``lock`` is its lock."""

    def __init__(self, lock: Path) -> None:
        self.lock = lock
        super().__init__(
            f"another process is building prompts in {lock.parent} and holds {lock}; "
            "wait for it to end, or stop it"
        )


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid")


class AudioFile(_Model):
    """Sound that exists in one or more formats under one stem, ``<language>/<stem>``.

    ``engine``: engine and voice, or ``studio``. ``sizes``: format to bytes. ``seconds``: length.
    ``pipeline``: version of the steps that made it. ``retired``: since when (epoch seconds) no
    version names it; none while one does.
    """

    engine: str
    pipeline: int
    seconds: float
    sizes: dict[str, int]
    retired: float | None = None


class Entry(_Model):
    """What is played for one text: the text's hash, and the file that speaks it."""

    hash: str
    stem: str


class Version(_Model):
    """One version of an incident's content: language to text name to entry."""

    built: float
    prompts: dict[str, dict[str, Entry]]


class FirstSeen(_Model):
    """The text that a studio recording was first seen with."""

    recording: str
    text: str


class IncidentPrompts(_Model):
    """``latest``: the version built last. ``live``: the one that ``prompts/live`` points at."""

    latest: str
    live: str | None = None
    versions: dict[str, Version]


class Manifest(_Model):
    """All of a home's prompts. Keys of ``files`` are ``<language>/<stem>``, those of
    ``recordings`` ``<incident>/<language>/<text name>``."""

    layout: int = 1
    incidents: dict[str, IncidentPrompts] = Field(default_factory=dict)
    files: dict[str, AudioFile] = Field(default_factory=dict)
    recordings: dict[str, FirstSeen] = Field(default_factory=dict)

    def used(self) -> set[str]:
        """Every file that some version names."""
        return {
            file_key(language, entry.stem)
            for incident in self.incidents.values()
            for version in incident.versions.values()
            for language, entries in version.prompts.items()
            for entry in entries.values()
        }

    def mark_retired(self, now: float) -> None:
        """Note since when files are unused."""
        used = self.used()
        for key, file in self.files.items():
            if key in used:
                file.retired = None
            elif file.retired is None:
                file.retired = now


def file_key(language: str, stem: str) -> str:
    """A file's key in the manifest, and its path below ``HOME/prompts`` without extension."""
    return f"{language}/{stem}"


def manifest_file(home: Home) -> Path:
    return home.prompts / "manifest.json"


def load_manifest(home: Home) -> Manifest:
    """The home's manifest; an empty one where nothing was built yet. Raises ManifestError."""
    file = manifest_file(home)
    try:
        manifest = Manifest.model_validate_json(file.read_bytes())
    except FileNotFoundError:
        return Manifest()
    except ValidationError as error:
        raise ManifestError(
            file, f"not a prompt manifest ({error.error_count()} faults)"
        ) from error
    if manifest.layout != 1:
        raise ManifestError(file, f"layout {manifest.layout} is not known to this version")
    return manifest


def save_manifest(home: Home, manifest: Manifest) -> None:
    write_atomically(manifest_file(home), manifest.model_dump_json(indent=1).encode() + b"\n")


def write_atomically(file: Path, data: bytes) -> None:
    """A reader, Asterisk among them, sees the old file or the new one, never a part."""
    file.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=".", suffix=".part")
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
        temporary.chmod(0o644)
        temporary.replace(file)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@contextmanager
def locked(home: Home, seconds: float = LOCK_SECONDS) -> Iterator[None]:
    """Only one process changes a home's prompts at a time. Raises BuildBusy after ``seconds``."""
    home.prompts.mkdir(parents=True, exist_ok=True)
    lock = home.prompts / ".lock"
    with lock.open("w") as handle:
        deadline = time.monotonic() + seconds
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if time.monotonic() >= deadline:
                    raise BuildBusy(lock) from error
                time.sleep(0.1)
        yield
