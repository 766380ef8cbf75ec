"""Recordings by a voice artist that replace synthesis, found by the text's name."""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from incident.content import Text
from incident.home import Home
from pbx.prompts import audio
from pbx.prompts.findings import Fault, Finding
from pbx.prompts.manifest import FirstSeen, Manifest

HOUSE: Final = Path(__file__).resolve().parents[2] / "prompts"
"""Recordings that come with the product, ``<language>/<text name>.wav``."""


@dataclass(frozen=True, slots=True)
class Recording:
    """A studio's sound file for a text. ``digest`` is the SHA-256 of the file."""

    file: Path
    digest: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Recordings:
    """What was found: recordings to use by (name, language), and why others are not used."""

    use: dict[tuple[str, str], Recording]
    findings: tuple[Finding, ...]


def unusable(recording: Recording, text: Text) -> Finding | None:
    """Why a recording cannot be played at all; none for one that can."""
    try:
        sound = audio.read(recording.data, str(recording.file))
    except audio.AudioError as error:
        reason = str(error)
    else:
        if audio.speech_level(sound) >= audio.SILENT_DBFS:
            return None
        reason = f"{recording.file} is silent"
    action = "have it delivered again; until then the text is synthesised"
    return Finding(Fault.UNUSABLE, text.name, text.language, reason, action)


def recording_key(incident: str, text: Text) -> str:
    return f"{incident}/{text.language}/{text.name}"


def _read(file: Path) -> Recording | None:
    try:
        data = file.read_bytes()
    except FileNotFoundError:
        return None
    return Recording(file, hashlib.sha256(data).hexdigest(), data)


def _words_beside(file: Path, text: Text) -> str | None:
    """The hash of the words in ``<text name>.txt`` beside the recording, if it is there."""
    try:
        words = file.with_name(file.name.removesuffix(".wav") + ".txt").read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    return Text(text.name, text.language, words.strip()).hash


def find_recordings(
    home: Home, incident: str, texts: Iterable[Text], manifest: Manifest, house: Path = HOUSE
) -> Recordings:
    """The recordings that say the present texts.

    A home's recording belongs to the words in the ``.txt`` beside it, else to the text that it
    was first seen with (``manifest.recordings`` learns new ones). One of the house is used only
    with such a ``.txt``, since plans may speak other words under the same name. A recording of
    other words is not played: callers hear the approved text, synthesised.
    """
    use: dict[tuple[str, str], Recording] = {}
    findings: list[Finding] = []
    for text in texts:
        key = recording_key(incident, text)
        own = home.studio / incident / text.language / f"{text.name}.wav"
        recording = _read(own)
        if recording is not None:
            seen = manifest.recordings.get(key)
            if seen is None or seen.recording != recording.digest:
                seen = FirstSeen(recording=recording.digest, text=text.hash)
                manifest.recordings[key] = seen
            if (_words_beside(own, text) or seen.text) == text.hash:
                use[text.name, text.language] = recording
                continue
            findings.append(_stale(text, own))
        shipped = house / text.language / f"{text.name}.wav"
        recording = _read(shipped)
        if recording is not None:
            if _words_beside(shipped, text) == text.hash:
                use[text.name, text.language] = recording
            else:
                findings.append(_stale(text, shipped))
    return Recordings(use, tuple(findings))


def _stale(text: Text, file: Path) -> Finding:
    words = file.name.removesuffix(".wav") + ".txt"
    return Finding(
        Fault.STALE_RECORDING,
        text.name,
        text.language,
        f"{file} says other words than the present text, which is synthesised instead",
        f"record it again, or write the words that it says into {words} beside it",
    )


def unused_recordings(home: Home, incident: str, texts: Iterable[Text]) -> tuple[Finding, ...]:
    """Files in the incident's studio folder that no text takes: mostly a misspelt name."""
    names: dict[str, list[str]] = {}
    for text in texts:
        names.setdefault(text.language, []).append(text.name)
    findings = []
    folder = home.studio / incident
    for file in sorted(folder.glob("*/*")) if folder.is_dir() else []:
        language, known = file.parent.name, names.get(file.parent.name, [])
        name = file.name.removesuffix(".wav").removesuffix(".txt")
        if file.is_file() and (file.suffix not in {".wav", ".txt"} or name not in known):
            close = difflib.get_close_matches(name, known, n=1, cutoff=0.0)
            hint = f"the nearest text is {close[0]!r}" if close else "the plan lacks this language"
            findings.append(
                Finding(
                    Fault.UNUSED,
                    name,
                    language,
                    f"{file} belongs to no text; recordings are named <text name>.wav",
                    f"rename or remove it ({hint})",
                )
            )
    return tuple(findings)
