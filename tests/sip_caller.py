"""A caller: dials over SIP, presses keys as RFC 4733 events, records what comes, hangs up."""

from __future__ import annotations

import asyncio
import re
import secrets
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

PATIENCE = 20.0
_KEYS = "0123456789*#"
_EVENT = 101
_RTP_HEADER = 12

Address = tuple[str, int]


class _Media(asyncio.DatagramProtocol):
    """Where the PBX's sound arrives: counted, and kept as the ulaw that it came as."""

    def __init__(self) -> None:
        self.packets = 0
        self.heard = bytearray()
        self.transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: Address) -> None:
        self.packets += 1
        if len(data) > _RTP_HEADER and data[1] & 0x7F == 0:
            self.heard += data[_RTP_HEADER:]


class SipCall(asyncio.DatagramProtocol):
    """One call from ``host`` to ``number`` at ``pbx``. ``over`` is set when it has ended."""

    def __init__(self, host: str, pbx: Address, number: str, caller: str) -> None:
        self.host, self.pbx, self.number, self.caller = host, pbx, number, caller
        self.answered = asyncio.Event()
        self.over = asyncio.Event()
        self.status = 0
        self.retry_after = ""
        self.media = _Media()
        self._transport: asyncio.DatagramTransport | None = None
        self._call_id = secrets.token_hex(8)
        self._tag = secrets.token_hex(4)
        self._to = f"<sip:{number}@{pbx[0]}>"
        self._target = f"sip:{number}@{pbx[0]}:{pbx[1]}"
        self._remote: Address | None = None
        self._sequence = 1
        self._rtp_sequence = 1
        self._rtp_time = 160
        self._ssrc = secrets.randbits(31)

    async def dial(self) -> None:
        loop = asyncio.get_running_loop()
        await loop.create_datagram_endpoint(lambda: self, local_addr=(self.host, 0))
        await loop.create_datagram_endpoint(lambda: self.media, local_addr=(self.host, 0))
        assert self.media.transport is not None
        port = self.media.transport.get_extra_info("sockname")[1]
        body = (
            f"v=0\r\no=- 1 1 IN IP4 {self.host}\r\ns=-\r\nc=IN IP4 {self.host}\r\nt=0 0\r\n"
            f"m=audio {port} RTP/AVP 0 {_EVENT}\r\na=rtpmap:0 PCMU/8000\r\n"
            f"a=rtpmap:{_EVENT} telephone-event/8000\r\na=fmtp:{_EVENT} 0-16\r\na=sendrecv\r\n"
        )
        self._send(
            "INVITE",
            self._target,
            1,
            ["Contact: " + self._contact(), "Content-Type: application/sdp"],
            body,
        )
        async with asyncio.timeout(PATIENCE):
            await self.answered.wait()

    async def press(self, keys: str) -> None:
        """Press keys, each for 60 ms with a pause after it; a comma is half a second of waiting."""
        for key in keys:
            if key == ",":
                await asyncio.sleep(0.5)
                continue
            code = _KEYS.index(key)
            self._rtp_time += 800
            for number, (end, duration) in enumerate(
                ((0, 160), (0, 320), (1, 480), (1, 480), (1, 480))
            ):
                self._event(code, end, duration, marker=number == 0)
                await asyncio.sleep(0.02 if not end else 0)
            await asyncio.sleep(0.1)

    def hang_up(self) -> None:
        self._sequence += 1
        self._send("BYE", self._target, self._sequence, [], "")
        self.over.set()

    async def ended(self) -> None:
        """Wait until the other side has hung up."""
        async with asyncio.timeout(PATIENCE):
            await self.over.wait()

    def close(self) -> None:
        for transport in (self._transport, self.media.transport):
            if transport is not None:
                transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: Address) -> None:
        text = data.decode("utf-8", "replace")
        first = text.split("\r\n", 1)[0]
        if first.startswith("SIP/2.0"):
            self._response(int(first.split(" ")[1]), text)
        elif first:
            self._request(first.split(" ")[0], text, addr)

    def _response(self, status: int, text: str) -> None:
        if "INVITE" not in _header(text, "CSeq") or status < 200:
            return
        self.status = status
        self.retry_after = _header(text, "Retry-After")
        self._to = _header(text, "To")
        if status < 300:
            contact = re.search(r"<([^>]+)>", _header(text, "Contact"))
            self._target = contact.group(1) if contact else self._target
            host = re.search(r"c=IN IP4 (\S+)", text)
            port = re.search(r"m=audio (\d+)", text)
            if host and port:
                self._remote = (host.group(1), int(port.group(1)))
        self._send("ACK", self._target, 1, [], "")
        if status >= 300:
            self.over.set()
        self.answered.set()

    def _request(self, method: str, text: str, addr: Address) -> None:
        if method == "ACK":
            return
        lines = ["SIP/2.0 200 OK"]
        lines += [line for line in text.split("\r\n") if line.lower().startswith("via:")]
        lines += [f"{name}: {_header(text, name)}" for name in ("From", "To", "Call-ID", "CSeq")]
        lines += ["Content-Length: 0", "", ""]
        assert self._transport is not None
        self._transport.sendto("\r\n".join(lines).encode(), addr)
        if method == "BYE":
            self.over.set()

    def _contact(self) -> str:
        assert self._transport is not None
        return f"<sip:caller@{self.host}:{self._transport.get_extra_info('sockname')[1]}>"

    def _send(self, method: str, uri: str, sequence: int, extra: list[str], body: str) -> None:
        assert self._transport is not None
        host, port = self._transport.get_extra_info("sockname")
        lines = [
            f"{method} {uri} SIP/2.0",
            f"Via: SIP/2.0/UDP {host}:{port};branch=z9hG4bK{secrets.token_hex(8)};rport",
            "Max-Forwards: 70",
            f"From: <sip:{self.caller}@{self.host}>;tag={self._tag}",
            f"To: {self._to}",
            f"Call-ID: {self._call_id}",
            f"CSeq: {sequence} {method}",
            *extra,
            f"Content-Length: {len(body)}",
            "",
            body,
        ]
        self._transport.sendto("\r\n".join(lines).encode(), self.pbx)

    def _event(self, code: int, end: int, duration: int, *, marker: bool) -> None:
        assert self.media.transport is not None
        assert self._remote is not None
        header = struct.pack(
            "!BBHII",
            0x80,
            _EVENT | (0x80 if marker else 0),
            self._rtp_sequence,
            self._rtp_time,
            self._ssrc,
        )
        self._rtp_sequence += 1
        payload = struct.pack("!BBH", code, (end << 7) | 10, duration)
        self.media.transport.sendto(header + payload, self._remote)


def _header(text: str, name: str) -> str:
    found = re.search(rf"(?mi)^{name}\s*:\s*(.*?)\r?$", text)
    return found.group(1) if found else ""


@asynccontextmanager
async def calling(
    host: str, pbx: str, number: str, *, caller: str = "+12025550123", port: int = 5060
) -> AsyncIterator[SipCall]:
    """Dial and wait for the answer; the call is hung up at the end."""
    call = SipCall(host, (pbx, port), number, caller)
    try:
        await call.dial()
        yield call
    finally:
        if call.answered.is_set() and not call.over.is_set():
            call.hang_up()
        call.close()
