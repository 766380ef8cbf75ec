"""Asterisk's recorded core sounds and music in the trunks' formats, so that it never transcodes.

Debian ships the voices as GSM and the music as WAV. They are converted once into the user's cache
folder, under a key made of what was converted, and homes link to it.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import soundfile

from incident.settings import Codec
from pbx.prompts import audio
from pbx.runtime.tree import cache_dir

LANGUAGES: Final = ("en", "es")
Prepare = Callable[[audio.Sound], audio.Sound]

_GROUPS: Final = (
    "digits/*",
    "letters/*",
    "phonetic/*",
    "silence/*",
    "queue-*",
    "beep*",
    "agent-*",
    "demo-echotest",
)
"""What SAY, app_queue and the agents' telephones play."""

_SOURCES: Final = ("g722", "wav16", "sln16", "wav", "sln", "ulaw", "alaw", "gsm")
"""Formats to convert from, the best first."""

_QUEUE: Final = (
    "queue-youarenext",
    "queue-thereare",
    "queue-callswaiting",
    "queue-quantity1",
    "queue-quantity2",
    "queue-holdtime",
    "queue-minute",
    "queue-minutes",
    "queue-seconds",
    "queue-thankyou",
    "queue-reporthold",
    "queue-periodic-announce",
)
_DIGITS: Final = (
    *(f"digits/{n}" for n in (*range(21), 30, 40, 50, 60, 70, 80, 90)),
    *("digits/hundred", "digits/thousand", "digits/million", "digits/minus"),
    *("digits/star", "digits/pound"),
)
_DATES: Final = (
    *(f"digits/mon-{n}" for n in range(12)),
    *(f"digits/day-{n}" for n in range(7)),
    *("digits/a-m", "digits/p-m", "digits/oclock", "digits/today", "digits/tomorrow"),
    "digits/yesterday",
)
_LETTERS: Final = (
    *(f"letters/{chr(code)}" for code in range(ord("a"), ord("z") + 1)),
    *(f"phonetic/{chr(code)}_p" for code in range(ord("a"), ord("z") + 1)),
)
_OTHERS: Final = ("beep", "silence/1", "agent-loginok", "agent-loggedoff")
_ALWAYS: Final = (*_DIGITS, *_DATES, *_LETTERS, *_QUEUE, *_OTHERS)
_OWN: Final[Mapping[str, tuple[str, ...]]] = {
    # English days of the month are ordinals.
    "en": tuple(f"digits/h-{n}" for n in (*range(1, 21), 30)),
    # Spanish counts in genders, has words of its own up to 29 and for the hundreds.
    "es": (
        *(f"digits/{n}" for n in range(21, 30)),
        *(f"digits/{n}00" for n in range(2, 10)),
        *("digits/1F", "digits/1M", "digits/and", "digits/100-and", "digits/millions"),
        *("digits/es-de", "digits/es-el"),
    ),
}


@dataclass(frozen=True, slots=True)
class CoreSounds:
    """``folders``: language to the converted folder. ``missing``: sounds that Asterisk may ask
    for and the source does not have, as ``<language>/<name>``; it logs a warning and says
    nothing in their place. ``converted``: files written now; 0 where all was there."""

    folders: dict[str, Path]
    missing: tuple[str, ...]
    converted: int


class SoundsMissing(Exception):
    """No recorded sounds at all for a language, or no music; ``searched`` is where."""

    def __init__(self, what: str, searched: Path) -> None:
        self.what = what
        self.searched = searched
        super().__init__(
            f"no {what} in {searched}; install Asterisk's core sounds there "
            "(Debian: asterisk-core-sounds-<language>-gsm, asterisk-moh-opsound-wav)"
        )


def required_sounds(language: str) -> tuple[str, ...]:
    """Names that SAY, app_queue and the agents' telephones may play in a language."""
    return (*_ALWAYS, *_OWN.get(language, ()))


def find_language(tree_sounds: Path, language: str) -> Path:
    """The folder of a language: ``es``, or a region's such as ``es_MX_f_Allison``."""
    for folder in (tree_sounds / language, *sorted(tree_sounds.glob(f"{language}_*"))):
        if (folder / "digits").is_dir():
            return folder
    raise SoundsMissing(f"recorded sounds in {language!r}", tree_sounds)


def link_core_sounds(
    tree_sounds: Path,
    target: Path,
    formats: Iterable[Codec],
    *,
    languages: Iterable[str] = LANGUAGES,
    cache: Path | None = None,
) -> CoreSounds:
    """Make ``target/<language>`` hold the core sounds in ``formats``.

    Takes some seconds the first time, then milliseconds. Raises SoundsMissing and AudioError.
    """
    wanted = tuple(formats)
    folders: dict[str, Path] = {}
    missing: list[str] = []
    converted = 0
    for language in languages:
        source = find_language(tree_sounds, language)
        files = _sources(source, _GROUPS)
        missing += [f"{language}/{name}" for name in required_sounds(language) if name not in files]
        folder, written = _converted(language, files, wanted, cache)
        converted += written
        folders[language] = folder
        _link(target / language, folder)
    return CoreSounds(folders, tuple(missing), converted)


def convert_music(moh: Path, formats: Iterable[Codec], *, cache: Path | None = None) -> Path:
    """A folder with the music on hold in ``formats``; give it to Asterisk in place of ``moh``.

    Every waiting caller hears it: without this Asterisk transcodes it for each of them. Tunes lose
    the silence at their edges.
    Raises SoundsMissing and AudioError.
    """
    files = _sources(moh, ("*",))
    if not files:
        raise SoundsMissing("music on hold", moh)
    return _converted("music", files, tuple(formats), cache, audio.without_quiet_edges)[0]


def _sources(folder: Path, groups: Iterable[str]) -> dict[str, dict[str, Path]]:
    """Sound name to its files by format."""
    found: dict[str, dict[str, Path]] = {}
    for group in groups:
        for file in sorted(folder.glob(f"{group}.*" if "*" not in group else group)):
            kind = file.suffix.removeprefix(".")
            if kind in _SOURCES and file.is_file():
                name = file.relative_to(folder).with_suffix("").as_posix()
                found.setdefault(name, {})[kind] = file
    return found


def _key(files: Mapping[str, Mapping[str, Path]], formats: tuple[Codec, ...]) -> str:
    # Names and sizes, not times: a tree that was unpacked again holds the same sounds.
    digest = hashlib.sha256(f"{audio.PIPELINE} {' '.join(formats)}\n".encode())
    for name, kinds in sorted(files.items()):
        for kind, file in sorted(kinds.items()):
            digest.update(f"{name}.{kind} {file.stat().st_size}\n".encode())
    return digest.hexdigest()[:16]


def _converted(
    label: str,
    files: Mapping[str, Mapping[str, Path]],
    formats: tuple[Codec, ...],
    cache: Path | None,
    prepare: Prepare | None = None,
) -> tuple[Path, int]:
    """``prepare``: what is done to each sound; without it files that have a format already are
    copied. Another ``label`` for another ``prepare``: the folder is named by label and sources."""
    base = (cache or cache_dir()) / "sounds"
    final = base / f"{label}-{_key(files, formats)}"
    if final.is_dir():
        return final, 0
    base.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(dir=base, prefix=f".{label}-"))
    try:
        for name in files:
            (work / name).parent.mkdir(parents=True, exist_ok=True)
        with ThreadPoolExecutor(2, thread_name_prefix="core-sounds") as pool:
            jobs = [
                pool.submit(_convert, work / name, kinds, formats, prepare)
                for name, kinds in files.items()
            ]
            written = sum(job.result() for job in jobs)
        work.chmod(0o755)
        _settle(work, final)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return final, written


def _settle(work: Path, final: Path) -> None:
    """Only a complete folder ever has the final name."""
    try:
        work.rename(final)
    except OSError:
        if not final.is_dir():  # else another process was faster with the same sounds
            raise


def _convert(
    stem: Path, kinds: Mapping[str, Path], formats: tuple[Codec, ...], prepare: Prepare | None
) -> int:
    sound: audio.Sound | None = None
    for codec in formats:
        target = stem.with_name(f"{stem.name}.{codec}")
        if codec in kinds and prepare is None:
            shutil.copyfile(kinds[codec], target)
            continue
        if sound is None:
            sound = _load(kinds)
            sound = sound if prepare is None else prepare(sound)
        target.write_bytes(audio.encode(sound, codec))
    return len(formats)


def _load(kinds: Mapping[str, Path]) -> audio.Sound:
    kind = next(kind for kind in _SOURCES if kind in kinds)
    file = kinds[kind]
    if kind in {"wav", "wav16"}:
        return audio.read(file)
    if kind in {"ulaw", "alaw", "g722"}:
        return audio.decode(file.read_bytes(), kind)  # type: ignore[arg-type]
    subtype, rate = ("GSM610", 8000) if kind == "gsm" else ("PCM_16", 8000)
    if kind == "sln16":
        rate = 16000
    try:
        samples, _ = soundfile.read(
            file,
            dtype="float32",
            format="RAW",
            subtype=subtype,
            samplerate=rate,
            channels=1,
            endian="LITTLE",
        )
    except (soundfile.LibsndfileError, OSError) as error:
        raise audio.AudioError(str(file), f"not readable as {kind} ({error})") from error
    return audio.Sound(samples, rate)


def _link(link: Path, folder: Path) -> None:
    """Point ``link`` at ``folder`` in one step."""
    if link.is_symlink() and link.readlink() == folder:
        return
    link.parent.mkdir(parents=True, exist_ok=True)
    fresh = link.with_name(f".{link.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(folder)
    fresh.replace(link)
