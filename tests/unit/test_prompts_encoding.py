"""Encoders: against the standard's values, libsndfile's own coder, and a sine."""

from __future__ import annotations

import io
from typing import Literal

import numpy as np
import pytest
import soundfile

from incident.settings import CarrierSettings, Codec, Settings
from pbx.prompts import audio
from pbx.prompts.g711 import decode_alaw, decode_mulaw, encode_alaw, encode_mulaw

EVERY_BYTE = bytes(range(256))


def reference(data: bytes, subtype: Literal["ULAW", "ALAW"]) -> np.ndarray:
    samples, _ = soundfile.read(
        io.BytesIO(data), dtype="int16", format="RAW", subtype=subtype, samplerate=8000, channels=1
    )
    return np.asarray(samples)


@pytest.mark.parametrize(
    ("sample", "mulaw", "alaw"),
    [
        (0, 0xFF, 0xD5),
        (32767, 0x80, 0xAA),
        (-32768, 0x00, 0x2A),
        (8, 0xFE, 0xD5),
        (-8, 0x7E, 0x55),
        (1000, 0xCE, 0xFA),
        (-1000, 0x4E, 0x7A),
    ],
)
def test_g711_known_values(sample: int, mulaw: int, alaw: int) -> None:
    pcm = np.array([sample], dtype=np.int16)
    assert encode_mulaw(pcm)[0] == mulaw
    assert encode_alaw(pcm)[0] == alaw


def test_g711_decoders_agree_with_libsndfile_on_every_byte() -> None:
    assert np.array_equal(decode_mulaw(EVERY_BYTE), reference(EVERY_BYTE, "ULAW"))
    assert np.array_equal(decode_alaw(EVERY_BYTE), reference(EVERY_BYTE, "ALAW"))


def test_g711_encoders_give_back_what_the_decoders_say() -> None:
    # Mu-law has two zeros: 0x7F is the negative one, and plain 0 encodes as 0xFF.
    expected = EVERY_BYTE.replace(b"\x7f", b"\xff")
    assert encode_mulaw(decode_mulaw(EVERY_BYTE)) == expected
    assert encode_alaw(decode_alaw(EVERY_BYTE)) == EVERY_BYTE


def test_g711_error_stays_within_half_a_step_of_its_segment() -> None:
    # The worst place is mu-law's 380: a step of 32 begins there.
    every = np.arange(-32768, 32768, dtype=np.int32)
    pcm = every.astype(np.int16)
    for decoded in (decode_mulaw(encode_mulaw(pcm)), decode_alaw(encode_alaw(pcm))):
        error = np.abs(decoded.astype(np.int32) - every)
        assert np.all(error <= np.maximum(8, np.abs(every) / 23))


@pytest.mark.parametrize(("codec", "least_db"), [("ulaw", 34.0), ("alaw", 34.0), ("g722", 25.0)])
def test_a_sine_survives_encoding(codec: Codec, least_db: float) -> None:
    rate = audio.RATES[codec]
    time = np.arange(rate) / rate
    sine = (0.5 * np.sin(2 * np.pi * 440 * time)).astype(np.float32)
    data = audio.encode(audio.Sound(sine, rate), codec)
    assert len(data) == audio.BYTES_PER_SECOND
    back = audio.decode(data, codec).samples
    # G.722's filters delay by some samples: take the best alignment.
    ratios = []
    for delay in range(40):
        noise = back[1000 + delay : 7000 + delay] - sine[1000:7000]
        ratios.append(10 * np.log10((sine[1000:7000] ** 2).mean() / (noise**2).mean()))
    assert max(ratios) >= least_db


def test_resampling_keeps_the_length_in_every_format() -> None:
    sound = audio.Sound(np.zeros(22050 * 3, dtype=np.float32), 22050)
    encoded = audio.encode_all(sound, ("ulaw", "alaw", "g722"))
    assert {codec: len(data) for codec, data in encoded.items()} == {
        "ulaw": 24000,
        "alaw": 24000,
        "g722": 24000,
    }


def test_silence_is_encoded_as_silence() -> None:
    sound = audio.Sound(np.zeros(800, dtype=np.float32), 8000)
    assert set(audio.encode(sound, "ulaw")) == {0xFF}
    assert set(audio.encode(sound, "alaw")) == {0xD5}


def test_formats_are_those_of_the_trunks_and_of_agents_telephones() -> None:
    def carrier(name: str, host: str, *codecs: Codec) -> CarrierSettings:
        return CarrierSettings(name=name, host=host, codecs=codecs)

    assert audio.formats_for(Settings()) == ("ulaw",)
    trunks = (carrier("a", "192.0.2.1", "g722"), carrier("b", "192.0.2.2", "alaw", "g722"))
    assert audio.formats_for(Settings(carrier=trunks)) == ("ulaw", "alaw", "g722")
    assert audio.formats_for(Settings(carrier=trunks[:1])) == ("ulaw", "g722")
