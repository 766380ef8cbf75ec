"""Sound on its way into a prompt: read, trim, level, resample, encode; and back for checking."""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import soundfile
import soxr
from G722 import G722
from numpy.typing import NDArray

from incident.settings import Codec, Settings
from pbx.prompts.g711 import decode_alaw, decode_mulaw, encode_alaw, encode_mulaw

Wave = NDArray[np.float32]

PIPELINE: Final = 1
"""Raise it when the steps below change what a listener hears."""

LEVEL_DBFS: Final = -19.0
"""RMS of the speech itself: the median of Asterisk's English and Spanish digits, so that our
prompts and the recorded numbers in them are equally loud."""
PEAK_DBFS: Final = -3.0
MOST_LIMITING: Final = 6.0
"""dB; more would be heard as pumping. espeak-ng's sharp peaks need about 5."""
PAD_SECONDS: Final = 0.1
"""Silence before and after: a phone's echo canceller and jitter buffer eat a first syllable."""
QUIET_DBFS: Final = -40.0
"""Music below this is silence to a caller."""
SILENT_DBFS: Final = -45.0
"""Speech below this cannot be understood over a telephone line."""

RATES: Final[dict[Codec, int]] = {"ulaw": 8000, "alaw": 8000, "g722": 16000}
BYTES_PER_SECOND: Final = 8000
"""The same for all three formats: 8 kHz times 8 bits, and G.722 at 64 kbit/s."""

_FRAME_SECONDS: Final = 0.02
_LIMITER_SECONDS: Final = 0.005
_SPEECH_BELOW_LOUDEST: Final = 30.0
_EDGE_BELOW_LOUDEST: Final = 45.0
_FLOOR: Final = 1e-9


class AudioError(Exception):
    """A sound file that cannot be used. ``source`` names it, ``reason`` says why."""

    def __init__(self, source: str, reason: str) -> None:
        self.source = source
        self.reason = reason
        super().__init__(f"{source}: {reason}")


@dataclass(frozen=True, slots=True)
class Sound:
    """Mono samples between -1 and 1."""

    samples: Wave
    rate: int

    @property
    def seconds(self) -> float:
        return len(self.samples) / self.rate


def formats_for(settings: Settings) -> tuple[Codec, ...]:
    """Every format that a call may need: those of the carriers, and ulaw for agents' telephones."""
    wanted: set[Codec] = {"ulaw"}
    for carrier in settings.carrier:
        wanted.update(carrier.codecs)
    return tuple(codec for codec in RATES if codec in wanted)


def read(source: Path | bytes, name: str | None = None) -> Sound:
    """Any sound file that libsndfile reads, mixed down to mono. Raises AudioError."""
    label = name or str(source if isinstance(source, Path) else "sound")
    try:
        file = io.BytesIO(source) if isinstance(source, bytes) else source
        samples, rate = soundfile.read(file, dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, OSError) as error:
        raise AudioError(label, f"not readable as sound ({error})") from error
    if len(samples) == 0:
        raise AudioError(label, "it holds no sound")
    return Sound(np.ascontiguousarray(samples.mean(axis=1)), int(rate))


def _frame_levels(sound: Sound) -> NDArray[np.float64]:
    """RMS of each 20 ms in dBFS; one frame for anything shorter."""
    size = max(1, int(sound.rate * _FRAME_SECONDS))
    count = max(1, len(sound.samples) // size)
    frames = np.resize(sound.samples, count * size).reshape(count, size).astype(np.float64)
    levels: NDArray[np.float64] = 10 * np.log10(np.maximum((frames**2).mean(axis=1), _FLOOR))
    return levels


def speech_level(sound: Sound) -> float:
    """RMS in dBFS of the frames within 30 dB of the loudest: speech without its pauses."""
    levels = _frame_levels(sound)
    spoken = levels[levels > levels.max() - _SPEECH_BELOW_LOUDEST]
    return float(10 * np.log10((10 ** (spoken / 10)).mean()))


def trim(sound: Sound) -> Sound:
    """Cut the edges where nothing is said and put 100 ms of silence in their place."""
    levels = _frame_levels(sound)
    spoken = np.flatnonzero(levels > max(levels.max() - _EDGE_BELOW_LOUDEST, -70.0))
    size = max(1, int(sound.rate * _FRAME_SECONDS))
    first, last = (spoken[0] * size, (spoken[-1] + 2) * size) if len(spoken) else (0, 0)
    pad = np.zeros(int(sound.rate * PAD_SECONDS), dtype=np.float32)
    return Sound(np.concatenate([pad, sound.samples[first:last], pad]), sound.rate)


def without_quiet_edges(sound: Sound) -> Sound:
    """Cut off what can hardly be heard on a telephone before the first and after the last sound:
    music fades out for seconds, and a caller who waits takes that for a dead line."""
    heard = np.flatnonzero(_frame_levels(sound) > QUIET_DBFS)
    if not len(heard):
        return sound
    size = max(1, int(sound.rate * _FRAME_SECONDS))
    return Sound(sound.samples[heard[0] * size : (heard[-1] + 1) * size], sound.rate)


def normalise(sound: Sound) -> Sound:
    """Bring speech to LEVEL_DBFS. Peaks above PEAK_DBFS are held down, at most by MOST_LIMITING."""
    peak = float(np.abs(sound.samples).max(initial=0.0))
    if peak == 0.0:
        return sound
    ceiling = 10 ** (PEAK_DBFS / 20)
    wanted = 10 ** ((LEVEL_DBFS - speech_level(sound)) / 20)
    gain = min(wanted, ceiling / peak * 10 ** (MOST_LIMITING / 20))
    return Sound(_limit((sound.samples * gain).astype(np.float32), sound.rate, ceiling), sound.rate)


def _limit(samples: Wave, rate: int, ceiling: float) -> Wave:
    """Turn the volume down around peaks and up again, gliding, so that nothing is cut off."""
    size = max(1, int(rate * _LIMITER_SECONDS))
    count = -(-len(samples) // size)
    frames = np.pad(np.abs(samples), (0, count * size - len(samples))).reshape(count, size)
    need = np.minimum(1.0, ceiling / np.maximum(frames.max(axis=1), 1e-6))
    # Each frame takes its neighbours' need too: between two centres the glide is low enough.
    around = np.pad(need, 1, mode="edge")
    held = np.minimum(np.minimum(around[:-2], around[2:]), need)
    centres = (np.arange(count) + 0.5) * size
    glide = np.interp(np.arange(len(samples)), centres, held)
    limited: Wave = (samples * glide).astype(np.float32)
    return limited


def prepare(sound: Sound) -> Sound:
    """All that happens to speech before it is encoded."""
    return normalise(trim(sound))


def _pcm(sound: Sound, rate: int) -> NDArray[np.int16]:
    samples = sound.samples
    if sound.rate != rate:
        samples = soxr.resample(samples, sound.rate, rate)
    clipped = np.clip(np.rint(samples * 32767.0), -32768, 32767)
    pcm: NDArray[np.int16] = clipped.astype(np.int16)
    return pcm


def encode(sound: Sound, codec: Codec) -> bytes:
    """Raw, headerless bytes as Asterisk's ``.ulaw``, ``.alaw`` and ``.g722`` files hold them."""
    pcm = _pcm(sound, RATES[codec])
    if codec == "ulaw":
        return encode_mulaw(pcm)
    if codec == "alaw":
        return encode_alaw(pcm)
    even = pcm[: len(pcm) // 2 * 2]  # a byte of G.722 holds two samples
    return bytes(G722(16000, 64000).encode(even))


def encode_all(sound: Sound, codecs: Iterable[Codec]) -> dict[Codec, bytes]:
    """The same sound in several formats."""
    return {codec: encode(sound, codec) for codec in codecs}


def decode(data: bytes, codec: Codec) -> Sound:
    """The sound in an encoded file."""
    if codec == "ulaw":
        pcm = decode_mulaw(data)
    elif codec == "alaw":
        pcm = decode_alaw(data)
    else:
        pcm = np.asarray(G722(16000, 64000).decode(data), dtype=np.int16)
    return Sound(pcm.astype(np.float32) / 32768.0, RATES[codec])


def longest_clipped_run(sound: Sound, full_scale: float = 0.98) -> int:
    """The most samples in a row that stand at one end of the scale."""
    longest = 0
    for side in (sound.samples >= full_scale, sound.samples <= -full_scale):
        edges = np.flatnonzero(np.diff(np.concatenate([[0], side.astype(np.int8), [0]])))
        if len(edges):
            longest = max(longest, int((edges[1::2] - edges[::2]).max()))
    return longest
