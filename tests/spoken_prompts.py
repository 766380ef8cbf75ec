"""Prompts without a synthesiser: an engine that hums, and texts to give it."""

from __future__ import annotations

import threading
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from incident.content import Text
from pbx.prompts.engines import Engine, EngineFailed, Spoken

RATE = 16000


def hum(seconds: float, frequency: float = 440.0, level: float = 0.3) -> NDArray[np.float32]:
    """A tone between -1 and 1, with silence around it as an engine leaves it."""
    time = np.arange(int(seconds * RATE)) / RATE
    edge = np.zeros(RATE // 2)
    tone = np.concatenate([edge, level * np.sin(2 * np.pi * frequency * time), edge])
    return tone.astype(np.float32)


def write_hum(file: Path, seconds: float, *, frequency: float = 440.0, level: float = 0.3) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(file, hum(seconds, frequency, level), RATE)


@dataclass
class HummingEngine:
    """Hums each text for as long as it would take to read, at a pitch of its own."""

    fails_on: str | None = None
    level: float = 0.3
    name: str = "hum/1"
    spoken: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def speak(self, text: str, language: str, folder: Path) -> Spoken:
        if self.fails_on is not None and self.fails_on in text:
            raise EngineFailed(self.name, language, "out of breath")
        with self._lock:
            self.spoken.append(text)
        file = folder / "hum.wav"
        pitch = 300.0 + zlib.crc32(text.encode()) % 700
        write_hum(file, len(text) / 12, frequency=pitch, level=self.level)
        return Spoken(file, self.name)


def always(engine: Engine) -> Callable[[], Engine]:
    return lambda: engine


def never() -> Engine:
    raise AssertionError("nothing had to be spoken")


GREETING = Text("greeting", "en", "Thank you for calling. We are sorry that this happened.")
SALUDO = Text("greeting", "es", "Gracias por llamar. Lamentamos lo que pasó.")
GOODBYE = Text("goodbye", "en", "Thank you for calling. Goodbye, and take care.")
TEXTS = (GREETING, GOODBYE, SALUDO)
