"""What callers hear while they wait: how long it may still take, put together from approved texts
and recorded numbers.

Asterisk looks for ``<folder>/<language>/<file>`` before ``<folder>/<file>``, and for a language
such as ``en_w5t10`` without what follows the ``_`` after that. So a waiting channel whose language
is set to ``en_w5t10`` hears the range in ``HOME/prompts/waits/<incident>/en/en_w5t10/queue.wait``
in place of the plain ``HOME/prompts/waits/<incident>/en/queue.wait``; everything else it hears is
the same. The files are made ahead: whatever happens to our services, Asterisk has them.
"""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from incident.home import Home
from incident.settings import Codec
from pbx.prompts.manifest import locked
from pbx.prompts.numbers import CannotSay, number_sounds
from pbx.prompts.quiet import quieten

ANNOUNCEMENT: Final = "queue.wait"
"""The file that a queue plays after the place in line, and the text that it begins with."""
STEPS: Final = (1, 2, 3, 5, 10, 15, 20, 30, 45, 60, 90, 120)
"""Minutes that can be spoken."""
BETWEEN: Final = "wait.between"
AND: Final = "wait.and"
MINUTES: Final = "wait.minutes"
LESS_THAN: Final = "wait.less_than"
LESS_THAN_ONE: Final = "wait.less_than_one"
OFFER: Final = "wait.offer"
PLACE: Final = "wait.place"
NEXT: Final = "wait.next"
TEXTS: Final = (ANNOUNCEMENT, BETWEEN, AND, MINUTES, LESS_THAN, LESS_THAN_ONE, OFFER, PLACE, NEXT)
"""Texts that are spoken to those who wait; all but the last two go into the files made here."""
_LAYOUT: Final = 2


@dataclass(frozen=True, slots=True)
class Composed:
    """``files``: written now, 0 where all was there. ``silent``: languages without composed
    announcements, as ``<language>: <what is missing>``; those who wait hear the plain one."""

    files: int
    silent: tuple[str, ...]


def variant(language: str, low: int = 0, high: int = 0, *, offer: bool = True) -> str:
    """The channel language with which somebody who waits hears a range (minutes).

    ``low`` 0: "less than ``high``"; ``high`` 0: no range. ``offer``: with the key that keeps the
    place. Without anything special it is the language itself.
    """
    suffix = f"w{low}t{high}" if high else ""
    suffix += "" if offer else "s"
    return f"{language}_{suffix}" if suffix else language


def waits_folder(home: Home, incident: str, language: str) -> Path:
    """Where a queue's ``ANNOUNCEMENT`` is."""
    return home.prompts / "waits" / incident / language


def ranges() -> Iterator[tuple[int, int]]:
    """Every range that can be spoken."""
    for index, high in enumerate(STEPS):
        yield 0, high
        for low in STEPS[:index]:
            yield low, high


def range_parts(language: str, low: int, high: int) -> tuple[str, ...]:
    """What a range is spoken with: text names, and core sounds (``digits/...``).

    Raises CannotSay.
    """
    if low == 0 and high == 1:
        return (LESS_THAN_ONE,)
    if low == 0:
        return (LESS_THAN, *number_sounds(language, high), MINUTES)
    return (
        BETWEEN,
        *number_sounds(language, low),
        AND,
        *number_sounds(language, high),
        MINUTES,
    )


def compose_waits(
    home: Home,
    incident: str,
    languages: Iterable[str],
    *,
    sounds: Path,
    formats: Iterable[Codec],
    offer: bool,
) -> Composed:
    """Bring an incident's announcements up to date with the prompts that are live.

    ``sounds``: the core sounds by language; ``offer``: whether callers may keep their place.
    Nothing is done where nothing has changed; a change is one rename. Raises BuildBusy, OSError.
    """
    spoken = tuple(languages)
    with locked(home):
        material = _Material(home.prompts / "live" / incident, sounds, tuple(formats))
        recipes: dict[str, dict[str, tuple[Path, ...]]] = {}
        silent: list[str] = []
        for language in spoken:
            recipes[language] = {}
            try:
                for folder, parts in _recipes(language, offer=offer):
                    recipes[language][folder] = material.find(language, parts)
            except (CannotSay, _Lacking) as error:
                silent.append(f"{language}: {error}")
                recipes[language] = material.plain(language)
        key = material.key(recipes)
        base = home.prompts / "waits"
        link = base / incident
        fresh = base / f".{incident}@{key}"
        if link.is_symlink() and link.readlink() == Path(fresh.name) and fresh.is_dir():
            return Composed(0, tuple(silent))
        files = _write(fresh, recipes, material)
        _swap(base, incident, fresh)
    return Composed(files, tuple(silent))


def _recipes(language: str, *, offer: bool) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Folder below the language's, and the parts of the announcement in it."""
    more = (OFFER,) if offer else ()
    yield "", (ANNOUNCEMENT, *more)
    if offer:
        yield variant(language, offer=False), (ANNOUNCEMENT,)
    for low, high in ranges():
        parts = range_parts(language, low, high)
        yield variant(language, low, high), (*parts, *more)
        if offer:
            yield variant(language, low, high, offer=False), parts


class _Lacking(Exception):
    """A sound that is to be spoken is not there."""


class _Material:
    """The sound files to put together, without their extensions."""

    def __init__(self, live: Path, sounds: Path, formats: tuple[Codec, ...]) -> None:
        self._live = live
        self._sounds = sounds
        self._formats = formats
        self._there: set[Path] = set()
        self._data: dict[tuple[Path, str], bytes] = {}

    def formats(self, parts: tuple[Path, ...]) -> tuple[Codec, ...]:
        """Those that every part has."""
        return tuple(
            codec for codec in self._formats if all(_with(part, codec).is_file() for part in parts)
        )

    def find(self, language: str, parts: Iterable[str]) -> tuple[Path, ...]:
        found = tuple(
            (self._sounds if part.startswith("digits/") else self._live) / language / part
            for part in parts
        )
        for part in found:
            if part not in self._there:
                for codec in self._formats:
                    if not _with(part, codec).is_file():
                        raise _Lacking(f"{_with(part, codec)} is not there")
                self._there.add(part)
        return found

    def plain(self, language: str) -> dict[str, tuple[Path, ...]]:
        part = self._live / language / ANNOUNCEMENT
        return {"": (part,)} if self.formats((part,)) else {}

    def key(self, recipes: Mapping[str, Mapping[str, tuple[Path, ...]]]) -> str:
        """Changes with what is spoken: prompts are filed under the hash of their text, and core
        sounds in a folder named by their content."""
        digest = hashlib.sha256(f"{_LAYOUT} {' '.join(self._formats)}\n".encode())
        real: dict[Path, str] = {}
        for language, folders in sorted(recipes.items()):
            for folder, parts in sorted(folders.items()):
                for part in parts:
                    if part not in real:
                        real[part] = self._identity(part)
                known = " ".join(real[part] for part in parts)
                digest.update(f"{language} {folder} {known}\n".encode())
        return digest.hexdigest()[:16]

    def _identity(self, part: Path) -> str:
        files = [_with(part, codec) for codec in self.formats((part,))]
        return " ".join(f"{file.resolve()} {file.stat().st_size}" for file in files)

    def read(self, part: Path, codec: Codec) -> bytes:
        known = self._data.get((part, codec))
        if known is None:
            known = self._data[part, codec] = _with(part, codec).read_bytes()
        return known


def _with(part: Path, codec: str) -> Path:
    """A text's name has dots in it, which `Path.with_suffix` would take for its extension."""
    return part.with_name(f"{part.name}.{codec}")


def _write(
    fresh: Path, recipes: Mapping[str, Mapping[str, tuple[Path, ...]]], material: _Material
) -> int:
    work = fresh.with_name(f"{fresh.name}-{time.time_ns()}")
    files = 0
    for language, folders in recipes.items():
        for folder, parts in folders.items():
            target = work / language / folder
            target.mkdir(parents=True, exist_ok=True)
            for codec in material.formats(parts):
                # Raw samples without a header, each with its silence around it: one after the
                # other they are one sound. (G.722 decoders settle within that silence.)
                sound = b"".join(material.read(part, codec) for part in parts)
                (target / f"{ANNOUNCEMENT}.{codec}").write_bytes(sound)
                files += 1
        quieten(work / language, language, (ANNOUNCEMENT,), material.formats(folders.get("", ())))
    work.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(fresh, ignore_errors=True)
    work.rename(fresh)
    return files


def _swap(base: Path, incident: str, fresh: Path) -> None:
    """Point the incident's link at ``fresh`` in one step, and remove what it pointed at before."""
    step = base / f".{incident}@next"
    step.unlink(missing_ok=True)
    step.symlink_to(fresh.name)
    step.replace(base / incident)
    for old in base.glob(f".{incident}@*"):
        if old.is_dir() and not old.is_symlink() and old != fresh:
            shutil.rmtree(old)
