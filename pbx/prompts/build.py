"""``prompts build``: every text becomes a sound file in every format that the trunks use."""

from __future__ import annotations

import hashlib
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from incident.content import Text, content_version, spoken_texts
from incident.home import Home
from incident.plan import Plan
from incident.settings import Codec, Settings
from pbx.prompts import audio, book, studio
from pbx.prompts.engines import Engine, EngineFailed, Programs, WithFallback, choose_engine
from pbx.prompts.findings import Finding
from pbx.prompts.manifest import (
    STEM_LENGTH,
    AudioFile,
    Entry,
    IncidentPrompts,
    Manifest,
    Version,
    file_key,
    load_manifest,
    locked,
    save_manifest,
    write_atomically,
)
from pbx.prompts.studio import Recording
from pbx.runtime.tree import ensure_tree

WORKERS: Final = 2
"""Synthesisers at once: each is a process, and encoding runs outside Python's lock."""

Progress = Callable[[int, int, str], None]
"""Called with (done, total, what was just rendered, as ``<language> <text name>``)."""


@dataclass(frozen=True, slots=True)
class BuildReport:
    """What a build did. ``rendered``, ``reused`` and ``studio`` count texts.

    ``engines``: language to engine to the number of texts that it speaks in this version.
    ``seconds``: how long it took; ``audio_seconds``: how long it would take to hear it all.
    ``fell_back``: why gTTS was given up during the build, if it was.
    """

    incident: str
    version: str
    rendered: int
    reused: int
    studio: int
    engines: dict[str, dict[str, int]]
    seconds: float
    audio_seconds: float
    findings: tuple[Finding, ...]
    fell_back: str | None = None


@dataclass(frozen=True, slots=True)
class _Job:
    """One file to make: from a recording, or else from the text."""

    text: Text
    stem: str
    recording: Recording | None

    @property
    def key(self) -> str:
        return file_key(self.text.language, self.stem)


def build(
    home: Home,
    plan: Plan,
    settings: Settings,
    *,
    progress: Progress | None = None,
    again: bool = False,
    programs: Programs | None = None,
) -> BuildReport:
    """Render what is missing of a plan's texts; a text that is rendered already costs nothing.

    ``again``: render everything anew, with the engine that the settings ask for now.
    ``programs``: where flite and espeak-ng are; by default the runtime's, built if need be.
    The version becomes the incident's latest; what callers hear changes with ``go_live``.
    Raises EngineFailed, ManifestError, BuildBusy, and TreeError from the runtime.
    """

    def offline_programs() -> Programs:
        return programs or ensure_tree(settings, lambda _line: None)

    return build_texts(
        home,
        plan.incident,
        spoken_texts(plan),
        audio.formats_for(settings),
        lambda: choose_engine(settings, offline_programs),
        progress=progress,
        again=again,
    )


def build_texts(
    home: Home,
    incident: str,
    texts: Iterable[Text],
    formats: tuple[Codec, ...],
    engine: Callable[[], Engine],
    *,
    progress: Progress | None = None,
    again: bool = False,
    house: Path = studio.HOUSE,
) -> BuildReport:
    """``build`` for any texts; ``engine`` is asked for only if something has to be spoken."""
    started = time.monotonic()
    texts = tuple(texts)
    version = content_version(texts)
    with locked(home):
        manifest = load_manifest(home)
        found = studio.find_recordings(home, incident, texts, manifest, house)
        findings = list(found.findings)
        plan: dict[tuple[str, str], _Job] = {}
        jobs: dict[str, _Job] = {}
        for text in texts:
            job = _job(text, found.use.get((text.name, text.language)))
            if job.recording is not None:
                bad = studio.unusable(job.recording, text)
                if bad is not None:
                    findings.append(bad)
                    job = _job(text, None)
            plan[text.name, text.language] = job
            if again or not _is_there(home, manifest, job.key, formats):
                jobs.setdefault(job.key, job)
        voice = _Voice(engine)
        try:
            _render_all(home, manifest, jobs, formats, voice=voice, progress=progress)
        except BaseException:
            # What was rendered before the failure need not be rendered again.
            save_manifest(home, manifest)
            raise
        changed = _enter(manifest, incident, version, plan)
        manifest.mark_retired(time.time())
        save_manifest(home, manifest)
        if manifest.incidents[incident].live == version and (changed or jobs):
            book.point_live(home, manifest, incident, version)
    engines: dict[str, Counter[str]] = {}
    for (_, language), job in plan.items():
        engines.setdefault(language, Counter())[manifest.files[job.key].engine] += 1
    recorded = sum(job.recording is not None for job in plan.values())
    rendered = sum(job.key in jobs and job.recording is None for job in plan.values())
    return BuildReport(
        incident=incident,
        version=version,
        rendered=rendered,
        reused=len(plan) - rendered - recorded,
        studio=recorded,
        engines={language: dict(counts) for language, counts in engines.items()},
        seconds=time.monotonic() - started,
        audio_seconds=sum(manifest.files[job.key].seconds for job in plan.values()),
        findings=tuple(findings),
        fell_back=voice.fell_back,
    )


def _job(text: Text, recording: Recording | None) -> _Job:
    if recording is None:
        return _Job(text, text.hash[:STEM_LENGTH], None)
    # The recording's own hash, apart from texts' hashes: neither can take the other's file.
    digest = hashlib.sha256(b"recording\0" + recording.digest.encode()).hexdigest()
    return _Job(text, digest[:STEM_LENGTH], recording)


def _is_there(home: Home, manifest: Manifest, key: str, formats: Iterable[Codec]) -> bool:
    known = manifest.files.get(key)
    if known is None:
        return False
    for codec in formats:
        file = home.prompts / f"{key}.{codec}"
        if codec not in known.sizes or not file.is_file():
            return False
        if file.stat().st_size != known.sizes[codec]:
            return False
    return True


def _enter(
    manifest: Manifest, incident: str, version: str, plan: dict[tuple[str, str], _Job]
) -> bool:
    """Enter a finished version as the incident's latest; false where it stands there already."""
    prompts: dict[str, dict[str, Entry]] = {}
    for (name, language), job in plan.items():
        prompts.setdefault(language, {})[name] = Entry(hash=job.text.hash, stem=job.stem)
    old = manifest.incidents.get(incident)
    same = old.versions.get(version) if old else None
    if old is not None and same is not None and same.prompts == prompts:
        old.latest = version
        return False
    versions = dict(old.versions) if old else {}
    versions[version] = Version(built=time.time(), prompts=prompts)
    manifest.incidents[incident] = IncidentPrompts(
        latest=version, live=old.live if old else None, versions=versions
    )
    return True


class _Voice:
    """The engine, chosen when the first text needs one."""

    def __init__(self, choose: Callable[[], Engine]) -> None:
        self._choose = choose
        self.engine: Engine | None = None

    def ready(self) -> Engine:
        if self.engine is None:
            self.engine = self._choose()
        return self.engine

    @property
    def fell_back(self) -> str | None:
        return self.engine.reason if isinstance(self.engine, WithFallback) else None


def _render_all(
    home: Home,
    manifest: Manifest,
    jobs: dict[str, _Job],
    formats: tuple[Codec, ...],
    *,
    voice: _Voice,
    progress: Progress | None,
) -> None:
    if any(job.recording is None for job in jobs.values()):
        voice.ready()
    # The longest first, so that no worker ends with a long text while the other is idle.
    waiting = sorted(jobs.values(), key=lambda job: len(job.text.text))
    running: dict[Future[AudioFile], _Job] = {}
    done = 0
    failure: BaseException | None = None
    with ThreadPoolExecutor(WORKERS, thread_name_prefix="prompts") as pool:
        while waiting or running:
            while waiting and len(running) < 2 * WORKERS:
                job = waiting.pop()
                known = manifest.files.get(job.key)
                wanted = formats if known is None else _union(formats, known.sizes)
                running[pool.submit(_render, home, job, wanted, voice.engine)] = job
            finished, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in finished:
                job = running.pop(future)
                error = future.exception()
                if error is not None:
                    # What is being spoken is finished and kept; nothing new is begun.
                    failure = failure or error
                    waiting.clear()
                    continue
                manifest.files[job.key] = future.result()
                done += 1
                if progress is not None:
                    progress(done, len(jobs), f"{job.text.language} {job.text.name}")
    if failure is not None:
        raise failure


def _union(formats: tuple[Codec, ...], known: Iterable[str]) -> tuple[Codec, ...]:
    """Formats that exist stay alike: all are made from the same speech."""
    old = set(known)
    return tuple(codec for codec in audio.RATES if codec in formats or codec in old)


def _render(home: Home, job: _Job, formats: tuple[Codec, ...], engine: Engine | None) -> AudioFile:
    if job.recording is not None:
        sound = audio.prepare(audio.read(job.recording.data, str(job.recording.file)))
        name = "studio"
    elif engine is not None:
        sound, name = _speak(job.text, engine)
    else:
        raise RuntimeError("a text has to be spoken and no engine was chosen")
    encoded = audio.encode_all(sound, formats)
    for codec, data in encoded.items():
        write_atomically(home.prompts / f"{job.key}.{codec}", data)
    return AudioFile(
        engine=name,
        pipeline=audio.PIPELINE,
        seconds=round(sound.seconds, 3),
        sizes={codec: len(data) for codec, data in encoded.items()},
    )


def _speak(text: Text, engine: Engine) -> tuple[audio.Sound, str]:
    with tempfile.TemporaryDirectory(prefix="breachline-prompt-") as folder:
        spoken = engine.speak(text.text, text.language, Path(folder))
        try:
            sound = audio.read(spoken.file, f"{spoken.engine} for {text.name}")
        except audio.AudioError as error:
            raise EngineFailed(spoken.engine, text.language, str(error)) from error
    if audio.speech_level(sound) < audio.SILENT_DBFS:
        raise EngineFailed(spoken.engine, text.language, f"only silence for {text.name!r}")
    return audio.prepare(sound), spoken.engine
