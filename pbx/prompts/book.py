"""Which file to play for a text: what the flows ask, and what the dialplan finds by name."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from incident.home import Home
from pbx.prompts.manifest import (
    Entry,
    Manifest,
    Version,
    file_key,
    load_manifest,
    locked,
    save_manifest,
)
from pbx.prompts.quiet import PLACE_TEXTS, quieten

KEEP_SECONDS: Final = 86400.0
"""How long a file stays after the last version that names it is gone: calls may be playing it."""


class PromptMissing(Exception):
    """No sound for a text. ``name`` and ``language`` are none when the whole version is missing."""

    def __init__(self, incident: str, name: str | None = None, language: str | None = None) -> None:
        self.incident = incident
        self.name = name
        self.language = language
        what = f"the prompt {name!r} in {language!r}" if name else "this version's prompts"
        super().__init__(f"incident {incident!r}: {what} not built; run 'prompts build'")


@dataclass(frozen=True, slots=True)
class Prompt:
    """A text's sound. ``path`` has no extension: Asterisk picks the format that the call has."""

    name: str
    language: str
    hash: str
    path: Path


class PromptBook:
    """One version of an incident's prompts, read once; safe to share."""

    def __init__(self, incident: str, version: str, prompts: dict[tuple[str, str], Prompt]) -> None:
        self.incident = incident
        self.version = version
        self._prompts = prompts

    @classmethod
    def load(cls, home: Home, incident: str, version: str | None = None) -> PromptBook:
        """The prompts of ``version``, by default of the one built last.

        Raises PromptMissing where it was not built, ManifestError.
        """
        manifest = load_manifest(home)
        chosen, content = _version(manifest, incident, version)
        prompts = {
            (name, language): Prompt(
                name, language, entry.hash, home.prompts / file_key(language, entry.stem)
            )
            for language, entries in content.prompts.items()
            for name, entry in entries.items()
        }
        return cls(incident, chosen, prompts)

    def prompt(self, name: str, language: str) -> Prompt:
        """Raises PromptMissing."""
        try:
            return self._prompts[name, language]
        except KeyError:
            raise PromptMissing(self.incident, name, language) from None

    def path(self, name: str, language: str) -> str:
        """What STREAM FILE takes: an absolute path without extension. Raises PromptMissing."""
        return str(self.prompt(name, language).path)

    def has(self, name: str, language: str) -> bool:
        return (name, language) in self._prompts

    @property
    def languages(self) -> tuple[str, ...]:
        """In the order of the plan."""
        return tuple(dict.fromkeys(language for _, language in self._prompts))


def _version(manifest: Manifest, incident: str, version: str | None) -> tuple[str, Version]:
    known = manifest.incidents.get(incident)
    chosen = version or (known.latest if known else "")
    if known is None or chosen not in known.versions:
        raise PromptMissing(incident)
    return chosen, known.versions[chosen]


def go_live(home: Home, incident: str, version: str | None = None) -> Path:
    """Make the dialplan speak ``version`` (by default the latest): queue, apology, farewell.

    Asterisk finds them as ``HOME/prompts/live/<incident>/<language>/<text name>``. The change is
    one rename: no call sees half of it. Raises PromptMissing, ManifestError, BuildBusy.
    """
    with locked(home):
        manifest = load_manifest(home)
        chosen, _ = _version(manifest, incident, version)
        folder = point_live(home, manifest, incident, chosen)
        manifest.incidents[incident].live = chosen
        save_manifest(home, manifest)
    return folder


def point_live(home: Home, manifest: Manifest, incident: str, version: str) -> Path:
    """``go_live`` for one who holds the lock; the manifest is not saved."""
    _, content = _version(manifest, incident, version)
    live = home.prompts / "live"
    target = live / f".{incident}@{version[:12]}-{time.time_ns()}"
    for language, entries in content.prompts.items():
        folder = target / language
        folder.mkdir(parents=True)
        for name, entry in entries.items():
            key = file_key(language, entry.stem)
            for codec in _codecs(manifest, language, entry):
                file = Path(f"{home.prompts / key}.{codec}")
                (folder / f"{name}.{codec}").symlink_to(os.path.relpath(file, folder))
        quieten(
            folder,
            language,
            [name for name in PLACE_TEXTS if name in entries],
            {codec for entry in entries.values() for codec in _codecs(manifest, language, entry)},
        )
    link, fresh = live / incident, live / f".{incident}@next"
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(target.name)
    fresh.replace(link)
    for old in live.glob(f".{incident}@*"):
        if old.is_dir() and not old.is_symlink() and old != target:
            shutil.rmtree(old)
    return link


def _codecs(manifest: Manifest, language: str, entry: Entry) -> Iterable[str]:
    return manifest.files[file_key(language, entry.stem)].sizes


def prune(home: Home, *, keep_seconds: float = KEEP_SECONDS, now: float | None = None) -> int:
    """Forget versions that are neither latest nor live, and remove their files after a while.

    A file goes when no version has named it for ``keep_seconds``. Returns how many went.
    Raises ManifestError, BuildBusy.
    """
    moment = time.time() if now is None else now
    removed = 0
    with locked(home):
        manifest = load_manifest(home)
        for incident in manifest.incidents.values():
            wanted = {incident.latest, incident.live}
            incident.versions = {
                key: value for key, value in incident.versions.items() if key in wanted
            }
        manifest.mark_retired(moment)
        for key, file in list(manifest.files.items()):
            if file.retired is not None and moment - file.retired >= keep_seconds:
                for codec in file.sizes:
                    Path(f"{home.prompts / key}.{codec}").unlink(missing_ok=True)
                    removed += 1
                del manifest.files[key]
        save_manifest(home, manifest)
    return removed
