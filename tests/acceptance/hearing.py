"""A caller who can tell what was played: prompts reach the line byte for byte."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from incident.home import Home
from tests.sip_caller import Address, SipCall, _Media

_HEADER = 12
"""Bytes of an RTP header."""
_SAMPLE = 2400
"""0.3 s of PCMU."""
_SECOND = 8000


class _Ear(_Media):
    """Keeps the sound, in the order in which it came."""

    def __init__(self) -> None:
        super().__init__()
        self.sound = bytearray()

    def datagram_received(self, data: bytes, addr: Address) -> None:
        super().datagram_received(data, addr)
        if data[1] & 0x7F == 0:
            self.sound += data[_HEADER:]


class Listener:
    """A call in progress and what it has heard."""

    def __init__(self, call: SipCall, ear: _Ear, home: Home, incident: str) -> None:
        self.call = call
        self._ear = ear
        self._live = home.prompts / "live" / incident

    def heard(self, name: str, language: str, seconds: float = 1.5) -> bool:
        """Whether this text was played as far as ``seconds`` (or its middle) and a little."""
        sound = Path(self._live / language / f"{name}.ulaw").read_bytes()
        start = min(len(sound) // 2, int(seconds * _SECOND))
        wanted = sound[start : start + _SAMPLE]
        assert len(set(wanted)) > 16, f"{language}/{name} is silent there: it would be heard always"
        return wanted in bytes(self._ear.sound)

    async def until(self, name: str, language: str, seconds: float = 1.5) -> None:
        """Wait until a text is heard."""
        async with asyncio.timeout(60):
            while not self.heard(name, language, seconds):
                assert not self.call.over.is_set(), f"hung up on before {language}/{name}"
                await asyncio.sleep(0.05)


@asynccontextmanager
async def listening(
    home: Home, incident: str, host: str, pbx: str, number: str, *, caller: str
) -> AsyncIterator[Listener]:
    """Dial, wait for the answer and listen; the call is hung up at the end."""
    ear = _Ear()
    call = SipCall(host, (pbx, 5060), number, caller)
    call.media = ear
    try:
        await call.dial()
        assert call.status == 200
        yield Listener(call, ear, home, incident)
    finally:
        if call.answered.is_set() and not call.over.is_set():
            call.hang_up()
        call.close()
