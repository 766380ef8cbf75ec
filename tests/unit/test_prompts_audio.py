"""Trimming, levelling, limiting and the measures that `prompts check` goes by."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from pbx.prompts import audio
from tests.spoken_prompts import RATE, hum, write_hum


def sound(seconds: float, level: float) -> audio.Sound:
    return audio.Sound(hum(seconds, level=level), RATE)


def test_edges_are_trimmed_to_a_tenth_of_a_second_of_silence() -> None:
    trimmed = audio.trim(sound(1.0, 0.3))
    assert trimmed.seconds == pytest.approx(1.2, abs=0.05)
    pad = int(0.1 * RATE)
    assert not trimmed.samples[:pad].any()
    assert not trimmed.samples[-pad:].any()
    assert np.abs(trimmed.samples[pad : 2 * pad]).max() > 0.2


def test_a_pause_inside_is_kept() -> None:
    twice = np.concatenate([hum(0.5), hum(0.5)])
    trimmed = audio.trim(audio.Sound(twice, RATE))
    assert trimmed.seconds == pytest.approx(0.5 + 1.0 + 0.5 + 0.2, abs=0.05)


@pytest.mark.parametrize("level", [0.01, 0.1, 0.9])
def test_quiet_and_loud_speech_come_out_alike(level: float) -> None:
    prepared = audio.prepare(sound(2.0, level))
    assert audio.speech_level(prepared) == pytest.approx(audio.LEVEL_DBFS, abs=0.3)


def test_pauses_do_not_count_towards_the_level() -> None:
    dense, sparse = sound(2.0, 0.2), audio.Sound(np.concatenate([hum(0.2, level=0.2)] * 5), RATE)
    assert audio.speech_level(sparse) == pytest.approx(audio.speech_level(dense), abs=0.7)


def test_sharp_peaks_are_held_down_without_clipping() -> None:
    samples = hum(2.0, level=0.05)
    samples[RATE :: RATE // 50] = 0.9  # clicks, far above what the level would let through
    out = audio.normalise(audio.Sound(samples, RATE))
    peak = float(np.abs(out.samples).max())
    assert peak <= 10 ** (audio.PEAK_DBFS / 20) + 1e-4
    assert audio.longest_clipped_run(out) == 0


def test_silence_stays_silence() -> None:
    nothing = audio.Sound(np.zeros(RATE, dtype=np.float32), RATE)
    prepared = audio.prepare(nothing)
    assert not prepared.samples.any()
    assert audio.speech_level(prepared) < audio.SILENT_DBFS


def test_clipped_runs_are_counted_on_either_side() -> None:
    wave = np.array([0.1, 1.0, 1.0, -1.0, -1.0, -1.0, -1.0, 0.2, 1.0], dtype=np.float32)
    assert audio.longest_clipped_run(audio.Sound(wave, RATE)) == 4
    assert audio.longest_clipped_run(sound(1.0, 0.9)) == 0


def test_stereo_is_mixed_down(tmp_path: Path) -> None:
    file = tmp_path / "stereo.wav"
    left = hum(0.5)
    soundfile.write(file, np.stack([left, np.zeros_like(left)], axis=1), RATE)
    read = audio.read(file)
    assert read.samples.shape == left.shape
    assert float(np.abs(read.samples).max()) == pytest.approx(0.15, abs=0.01)


def test_what_is_not_sound_is_named(tmp_path: Path) -> None:
    file = tmp_path / "letter.wav"
    file.write_bytes(b"Dear customer")
    with pytest.raises(audio.AudioError, match=r"letter\.wav"):
        audio.read(file)
    empty = tmp_path / "empty.wav"
    soundfile.write(empty, np.zeros(0, dtype=np.float32), RATE)
    with pytest.raises(audio.AudioError, match="no sound"):
        audio.read(empty)
    with pytest.raises(audio.AudioError, match=r"gone\.wav"):
        audio.read(tmp_path / "gone.wav")
    write_hum(file, 0.5)
    assert audio.read(file).rate == RATE
