"""G.711 for whole recordings: 16-bit linear samples to mu-law or A-law bytes and back.

The segments and inversions are those of ITU-T G.711, tables 1a to 2b; the decoders are built
from them as tables of 256 values, as the decoder of any telephone is.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

Pcm = NDArray[np.int16]

_BIAS: Final = 132
"""Added to a mu-law magnitude so that every segment begins at a power of two (16-bit scale)."""
_MULAW_CLIP: Final = 32767 - _BIAS


def encode_mulaw(pcm: Pcm) -> bytes:
    """Mu-law bytes of 16-bit samples."""
    wide = pcm.astype(np.int32)
    magnitude = np.minimum(np.abs(wide), _MULAW_CLIP) + _BIAS
    segment = np.floor(np.log2(magnitude)).astype(np.int32) - 7
    mantissa = (magnitude >> (segment + 3)) & 0x0F
    sign = np.where(wide < 0, 0x80, 0)
    code: bytes = (~(sign | (segment << 4) | mantissa) & 0xFF).astype(np.uint8).tobytes()
    return code


def encode_alaw(pcm: Pcm) -> bytes:
    """A-law bytes of 16-bit samples."""
    wide = pcm.astype(np.int32)
    # A-law is defined on 13 bits. Negative values count from -1: -1 mirrors 0.
    magnitude = np.where(wide >= 0, wide, ~wide) >> 3
    top = np.floor(np.log2(np.maximum(magnitude, 1))).astype(np.int32)
    segment = np.maximum(top - 4, 0)
    mantissa = (magnitude >> np.maximum(segment, 1)) & 0x0F
    sign = np.where(wide >= 0, 0x80, 0)
    code: bytes = ((sign | (segment << 4) | mantissa) ^ 0x55).astype(np.uint8).tobytes()
    return code


def _mulaw_values() -> Pcm:
    code = ~np.arange(256) & 0xFF
    magnitude = ((((code & 0x0F) << 3) + _BIAS) << ((code >> 4) & 7)) - _BIAS
    return np.where(code & 0x80, -magnitude, magnitude).astype(np.int16)


def _alaw_values() -> Pcm:
    code = np.arange(256) ^ 0x55
    segment = (code >> 4) & 7
    step = ((code & 0x0F) << 4) + 8
    magnitude = np.where(segment == 0, step, (step + 256) << np.maximum(segment - 1, 0))
    return np.where(code & 0x80, magnitude, -magnitude).astype(np.int16)


_MULAW: Final = _mulaw_values()
_ALAW: Final = _alaw_values()


def decode_mulaw(data: bytes) -> Pcm:
    """16-bit samples of mu-law bytes."""
    return _MULAW[np.frombuffer(data, dtype=np.uint8)]


def decode_alaw(data: bytes) -> Pcm:
    """16-bit samples of A-law bytes."""
    return _ALAW[np.frombuffer(data, dtype=np.uint8)]
