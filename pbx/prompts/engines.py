"""Who speaks a text: gTTS over the Internet, or flite and espeak-ng on this machine."""

from __future__ import annotations

import os
import subprocess
import threading
import unicodedata
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, Protocol

from incident.settings import Settings

GTTS_HOST: Final = "https://translate.google.com/"
PROBE_SECONDS: Final = 4.0
SYNTHESIS_SECONDS: Final = 60.0
"""The longest that one text may take; the longest of the sample takes under one."""

_ESPEAK_VOICES: Final = {"es": "es-419", "en": "en-us", "pt": "pt-br", "fr": "fr-fr"}
"""Voices as callers in the Americas expect them; any other language is its own voice's name."""


class EngineFailed(Exception):
    """An engine did not speak a text; ``detail`` is what it said about it."""

    def __init__(self, engine: str, language: str, detail: str) -> None:
        self.engine = engine
        self.language = language
        self.detail = detail
        super().__init__(
            f"{engine} did not speak a text in {language!r}: {detail}. Try again, set "
            '[prompts] engine to another one, or put a recording into the "studio" folder'
        )


class Programs(Protocol):
    """Where flite and espeak-ng come from (pbx.runtime.tree.Tree)."""

    def command(self, program: str, *args: str) -> list[str]: ...

    def env(self) -> dict[str, str]: ...


@dataclass(frozen=True, slots=True)
class Spoken:
    """A sound file that an engine wrote, and that engine's name with its voice."""

    file: Path
    engine: str


class Engine(Protocol):
    """Speaks a text. ``folder`` is an empty one for the engine's files; the caller removes it."""

    def speak(self, text: str, language: str, folder: Path) -> Spoken: ...


def plain_ascii(text: str) -> str:
    """English text without typographic signs: flite drops them with the word beside them."""
    signs = {"\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"', "\u2013": "-"}
    signs |= {"\u2014": ", ", "\u2026": ".", "\u00a0": " "}
    replaced = "".join(signs.get(letter, letter) for letter in text)
    decomposed = unicodedata.normalize("NFKD", replaced)
    return decomposed.encode("ascii", "ignore").decode("ascii")


@dataclass(frozen=True)
class Offline:
    """flite for English (its voice slt is the clearest it has at 16 kHz), else espeak-ng.

    The same text gives the same samples every time.
    """

    programs: Programs

    def speak(self, text: str, language: str, folder: Path) -> Spoken:
        source, target = folder / "text", folder / "speech.wav"
        if language == "en":
            name = "flite/slt"
            source.write_text(plain_ascii(text) + "\n", encoding="ascii")
            arguments = ["flite", "-voice", "slt", "-f", str(source), "-o", str(target)]
        else:
            voice = _ESPEAK_VOICES.get(language, language)
            name = f"espeak-ng/{voice}"
            source.write_text(text + "\n", encoding="utf-8")
            arguments = ["espeak-ng", "-b", "1", "-D", "-z", "-v", voice, "-s", "150"]
            arguments += ["-f", str(source), "-w", str(target)]
        self._run(name, language, arguments)
        if not target.is_file():
            raise EngineFailed(name, language, "it wrote no sound file")
        return Spoken(target, name)

    def _run(self, name: str, language: str, arguments: list[str]) -> None:
        argv = self.programs.command(arguments[0], *arguments[1:])
        try:
            done = subprocess.run(
                argv,
                env={**os.environ, **self.programs.env()},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=SYNTHESIS_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise EngineFailed(name, language, f"no end after {SYNTHESIS_SECONDS:.0f} s") from error
        except OSError as error:
            raise EngineFailed(name, language, str(error)) from error
        said = done.stderr.decode("utf-8", "replace").strip()
        # espeak-ng says that a voice is missing and still exits with 0.
        if done.returncode != 0 or "Error" in said:
            raise EngineFailed(name, language, said or f"exit code {done.returncode}")


@dataclass(frozen=True)
class Gtts:
    """Google Translate's voice. Needs the Internet; every request has a time-out."""

    timeout: float = 15.0

    def speak(self, text: str, language: str, folder: Path) -> Spoken:
        # Imported here: half a second that an offline build need not wait for.
        from gtts import gTTS, gTTSError  # noqa: PLC0415

        target = folder / "speech.mp3"
        try:
            # Google's Spanish is American on translate.google.com, Castilian on .es.
            gTTS(text, lang=language, tld="com", timeout=self.timeout).save(str(target))
        except (gTTSError, ValueError, AssertionError, OSError) as error:
            raise EngineFailed("gtts", language, str(error)) from error
        return Spoken(target, "gtts")


@dataclass
class WithFallback:
    """gTTS until it fails once, then the other for the rest: no build waits for a dead link twice.

    ``reason`` says why it fell back; none while it did not.
    """

    first: Engine
    second: Callable[[], Engine]
    reason: str | None = None
    _other: Engine | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def speak(self, text: str, language: str, folder: Path) -> Spoken:
        if self.reason is None:
            try:
                return self.first.speak(text, language, folder)
            except EngineFailed as error:
                self.reason = error.detail
        with self._lock:
            self._other = self._other or self.second()
        return self._other.speak(text, language, folder)


def internet_reachable(url: str = GTTS_HOST, seconds: float = PROBE_SECONDS) -> bool:
    """Whether gTTS's host answers within ``seconds``; a resolver that hangs does not hold us."""
    answered = threading.Event()

    def ask() -> None:
        request = urllib.request.Request(url, method="HEAD")  # noqa: S310 - a constant https address
        try:
            with urllib.request.urlopen(request, timeout=seconds):  # noqa: S310
                answered.set()
        except (OSError, ValueError):
            finished.set()
            return
        finished.set()

    finished = threading.Event()
    # A daemon: looking a name up has no time-out of its own and must not outlive the program.
    threading.Thread(target=ask, name="prompts-internet-probe", daemon=True).start()
    finished.wait(seconds)
    return answered.is_set()


EngineChoice = Literal["auto", "gtts", "offline"]


def choose_engine(
    settings: Settings,
    programs: Callable[[], Programs],
    *,
    reachable: Callable[[], bool] = internet_reachable,
) -> Engine:
    """The engine that ``[prompts] engine`` asks for. ``programs`` is called only if needed."""
    choice: EngineChoice = settings.prompts.engine
    if choice == "gtts":
        return Gtts()
    if choice == "auto" and reachable():
        return WithFallback(Gtts(), lambda: Offline(programs()))
    return Offline(programs())
