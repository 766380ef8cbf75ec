"""``prompts check``: is there sound for every text, and can a caller understand it?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from incident.content import Text, spoken_texts
from incident.home import Home
from incident.plan import Plan
from incident.settings import Codec, Settings
from pbx.prompts import audio, studio
from pbx.prompts.findings import Fault, Finding
from pbx.prompts.manifest import AudioFile, Entry, Manifest, file_key, load_manifest

BUILD: Final = "run 'prompts build'"
REBUILD: Final = "remove the file and run 'prompts build'"
CLIPPED_RUN: Final = 4
"""Samples in a row at full scale: three can be a loud vowel, more is a cut-off wave."""
FASTEST_SPEECH: Final = 24.0
"""Letters a second. Fast readers and both engines stay under 19; half a text is over 28."""
_DIGIT_LETTERS: Final = 4
"""A digit is a word when it is spoken."""


@dataclass(frozen=True, slots=True)
class CheckReport:
    """``checked``: texts times formats. ``ok``: no caller would hear a fault."""

    incident: str
    checked: int
    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        return not any(finding.fault.stop for finding in self.findings)


def check(home: Home, plan: Plan, settings: Settings) -> CheckReport:
    """Look at every text of a plan in every format. Changes nothing. Raises ManifestError."""
    return check_texts(home, plan.incident, spoken_texts(plan), audio.formats_for(settings))


def check_texts(
    home: Home,
    incident: str,
    texts: Iterable[Text],
    formats: tuple[Codec, ...],
    house: Path = studio.HOUSE,
) -> CheckReport:
    """``check`` for any texts."""
    texts = tuple(texts)
    manifest = load_manifest(home)
    built = _entries(manifest, incident)
    found = studio.find_recordings(home, incident, texts, manifest, house)
    findings = [*found.findings, *studio.unused_recordings(home, incident, texts)]
    looked_at: dict[str, list[_Doubt]] = {}
    for text in texts:
        recording = found.use.get((text.name, text.language))
        if recording is not None:
            findings += _check_recording(text, recording)
        entry = built.get((text.name, text.language))
        if entry is None or entry.hash != text.hash:
            findings.append(_not_built(text, entry))
            continue
        key = file_key(text.language, entry.stem)
        if key not in looked_at:
            looked_at[key] = _check_files(home, key, manifest.files.get(key), formats, text)
        findings += [
            Finding(fault, text.name, text.language, what, action)
            for fault, what, action in looked_at[key]
        ]
    return CheckReport(incident, len(texts) * len(formats), tuple(findings))


_Doubt = tuple[Fault, str, str]


def _entries(manifest: Manifest, incident: str) -> dict[tuple[str, str], Entry]:
    known = manifest.incidents.get(incident)
    if known is None:
        return {}
    return {
        (name, language): entry
        for language, entries in known.versions[known.latest].prompts.items()
        for name, entry in entries.items()
    }


def _not_built(text: Text, entry: Entry | None) -> Finding:
    if entry is None:
        what, fault = "nothing was built for this text", Fault.MISSING
    else:
        what, fault = "the text has changed since the last build", Fault.STALE
    return Finding(fault, text.name, text.language, what, BUILD)


def shortest(text: str) -> float:
    """Seconds under which a text cannot have been spoken in full."""
    letters = sum(_DIGIT_LETTERS if letter.isdigit() else 1 for letter in text)
    return letters / FASTEST_SPEECH


def _check_files(
    home: Home, key: str, known: AudioFile | None, formats: Iterable[Codec], text: Text
) -> list[_Doubt]:
    doubts: list[_Doubt] = []
    for codec in formats:
        file = home.prompts / f"{key}.{codec}"
        try:
            data = file.read_bytes()
        except FileNotFoundError:
            doubts.append((Fault.MISSING, f"{file} is not there", BUILD))
            continue
        expected = known.sizes.get(codec) if known is not None else None
        if expected is not None and len(data) != expected:
            what = f"{file} has {len(data)} bytes and was built with {expected}"
            doubts.append((Fault.WRONG_LENGTH, what, REBUILD))
            continue
        sound = audio.decode(data, codec)
        doubts += _check_sound(file, sound, text)
    return doubts


def _check_sound(file: Path, sound: audio.Sound, text: Text) -> list[_Doubt]:
    if sound.seconds == 0 or audio.speech_level(sound) < audio.SILENT_DBFS:
        return [(Fault.SILENT, f"{file} is silent", REBUILD)]
    doubts: list[_Doubt] = []
    run = audio.longest_clipped_run(sound)
    if run >= CLIPPED_RUN:
        what = f"{file} stands at full scale for {run} samples in a row"
        doubts.append((Fault.CLIPPED, what, REBUILD))
    least = shortest(text.text)
    if sound.seconds < least:
        what = f"{file} lasts {sound.seconds:.1f} s; the text takes at least {least:.1f} s"
        doubts.append((Fault.TOO_SHORT, what, f"{REBUILD}, or record the whole text"))
    return doubts


def _check_recording(text: Text, recording: studio.Recording) -> list[Finding]:
    """What levelling would hide: a recording that was cut off before it reached us."""
    bad = studio.unusable(recording, text)
    if bad is not None:
        return [bad]
    run = audio.longest_clipped_run(audio.read(recording.data), full_scale=0.999)
    if run < CLIPPED_RUN:
        return []
    what = f"{recording.file} stands at full scale for {run} samples in a row"
    action = "have it recorded again with less gain"
    return [Finding(Fault.CLIPPED, text.name, text.language, what, action)]
