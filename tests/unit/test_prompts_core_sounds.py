"""Recorded sounds are converted once, completely, and found under the language's name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from pbx.prompts import audio
from pbx.prompts.core_sounds import (
    SoundsMissing,
    convert_music,
    find_language,
    link_core_sounds,
    required_sounds,
)
from tests.spoken_prompts import hum, write_hum


def gsm(file: Path, seconds: float = 0.4) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    tone = hum(seconds)[::2]
    soundfile.write(file, tone, 8000, format="RAW", subtype="GSM610")


@pytest.fixture
def sounds(tmp_path: Path) -> Path:
    root = tmp_path / "tree" / "sounds"
    for folder, language in (("en_US_f_Allison", "en"), ("es_MX_f_Allison", "es")):
        for name in required_sounds(language):
            gsm(root / folder / f"{name}.gsm")
        gsm(root / folder / "vm-goodbye.gsm")
    return root


def test_all_required_sounds_are_converted(tmp_path: Path, sounds: Path) -> None:
    target, cache = tmp_path / "target", tmp_path / "cache"
    done = link_core_sounds(sounds, target, ("ulaw", "g722"), cache=cache)
    assert done.missing == ()
    for language in ("en", "es"):
        for name in required_sounds(language):
            for codec in ("ulaw", "g722"):
                data = (target / language / f"{name}.{codec}").read_bytes()
                sound = audio.decode(data, codec)
                assert sound.seconds == pytest.approx(1.4, abs=0.03)
                assert audio.speech_level(sound) > -20
        assert not (target / language / "vm-goodbye.ulaw").exists()


def test_the_second_time_nothing_is_converted(tmp_path: Path, sounds: Path) -> None:
    cache = tmp_path / "cache"
    first = link_core_sounds(sounds, tmp_path / "a", ("ulaw",), cache=cache)
    assert first.converted > 200
    second = link_core_sounds(sounds, tmp_path / "b", ("ulaw",), cache=cache)
    assert second.converted == 0
    assert (tmp_path / "a/en").resolve() == (tmp_path / "b/en").resolve()


def test_other_formats_or_other_sounds_are_another_conversion(tmp_path: Path, sounds: Path) -> None:
    target, cache = tmp_path / "target", tmp_path / "cache"
    link_core_sounds(sounds, target, ("ulaw",), cache=cache)
    before = (target / "en").resolve()
    link_core_sounds(sounds, target, ("ulaw", "alaw"), cache=cache)
    assert (target / "en/digits/1.alaw").is_file()
    gsm(sounds / "en_US_f_Allison/digits/1.gsm", 2.0)
    link_core_sounds(sounds, target, ("ulaw",), cache=cache)
    assert (target / "en").resolve() != before
    assert audio.decode((target / "en/digits/1.ulaw").read_bytes(), "ulaw").seconds > 2.5


def test_an_interrupted_conversion_leaves_nothing(tmp_path: Path, sounds: Path) -> None:
    broken = sounds / "en_US_f_Allison/digits/7.wav"
    broken.write_bytes(b"RIFF broken")
    cache = tmp_path / "cache"
    with pytest.raises(audio.AudioError, match=r"7\.wav"):
        link_core_sounds(sounds, tmp_path / "target", ("ulaw",), cache=cache)
    assert list((cache / "sounds").iterdir()) == []
    broken.unlink()
    assert link_core_sounds(sounds, tmp_path / "target", ("ulaw",), cache=cache).missing == ()


def test_missing_sounds_are_named(tmp_path: Path, sounds: Path) -> None:
    (sounds / "es_MX_f_Allison/digits/1F.gsm").unlink()
    (sounds / "en_US_f_Allison/queue-youarenext.gsm").unlink()
    done = link_core_sounds(sounds, tmp_path / "t", ("ulaw",), cache=tmp_path / "c")
    assert set(done.missing) == {"es/digits/1F", "en/queue-youarenext"}


def test_a_file_in_the_right_format_is_taken_as_it_is(tmp_path: Path, sounds: Path) -> None:
    native = sounds / "en_US_f_Allison/beep.ulaw"
    native.write_bytes(bytes(range(256)) * 8)
    link_core_sounds(sounds, tmp_path / "t", ("ulaw", "alaw"), cache=tmp_path / "c")
    assert (tmp_path / "t/en/beep.ulaw").read_bytes() == native.read_bytes()


def test_a_plain_language_folder_comes_before_a_region(tmp_path: Path, sounds: Path) -> None:
    gsm(sounds / "en" / "digits" / "1.gsm")
    assert find_language(sounds, "en") == sounds / "en"
    assert find_language(sounds, "es") == sounds / "es_MX_f_Allison"
    with pytest.raises(SoundsMissing, match="'fr'"):
        find_language(sounds, "fr")


def test_music_is_converted_once(tmp_path: Path) -> None:
    moh = tmp_path / "moh"
    write_hum(moh / "some-tune.wav", 1.0)
    folder = convert_music(moh, ("ulaw", "alaw"), cache=tmp_path / "c")
    assert sorted(file.name for file in folder.iterdir()) == ["some-tune.alaw", "some-tune.ulaw"]
    assert (folder / "some-tune.ulaw").stat().st_size == pytest.approx(8000, abs=480)
    assert convert_music(moh, ("ulaw", "alaw"), cache=tmp_path / "c") == folder
    with pytest.raises(SoundsMissing):
        convert_music(tmp_path / "none", ("ulaw",), cache=tmp_path / "c")


def test_music_loses_the_silence_at_its_edges(tmp_path: Path) -> None:
    moh = tmp_path / "moh"
    moh.mkdir()
    quiet = np.zeros(3 * 16000, dtype=np.float32)
    tune = np.concatenate([quiet, hum(1.0), quiet[:16000], hum(1.0), quiet])
    soundfile.write(moh / "faded.wav", tune, 16000)
    soundfile.write(moh / "nothing.wav", quiet, 16000)
    # In the right format already, and no better for that.
    (moh / "plain.ulaw").write_bytes(b"\xff" * 16000 + b"\x90" * 8000)
    folder = convert_music(moh, ("ulaw",), cache=tmp_path / "c")
    # hum() has half a second of silence on either side.
    assert (folder / "faded.ulaw").stat().st_size == pytest.approx(4 * 8000, abs=960)
    assert (folder / "plain.ulaw").stat().st_size == pytest.approx(8000, abs=320)
    assert (folder / "nothing.ulaw").stat().st_size == 3 * 8000
