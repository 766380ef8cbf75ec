"""SIP telephones that do what a test tells them, over UDP: called people, and agents' telephones.

No media is sent; the PBX's tests that use them need signalling alone.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import secrets
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import cast

PATIENCE = 15.0
"""Seconds after which a test that still waits has failed."""

Address = tuple[str, int]
_REASONS = {200: "OK", 180: "Ringing", 100: "Trying", 486: "Busy Here", 487: "Request Terminated"}


@dataclass
class Message:
    first: str
    headers: list[tuple[str, str]]

    @classmethod
    def parse(cls, data: bytes) -> Message:
        head = data.decode("utf-8", "replace").split("\r\n\r\n", 1)[0].split("\r\n")
        pairs = [line.partition(":") for line in head[1:]]
        return cls(head[0], [(name.strip().lower(), value.strip()) for name, _, value in pairs])

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key == name]

    def get(self, name: str) -> str:
        return next(iter(self.all(name)), "")

    @property
    def method(self) -> str:
        return "" if self.first.startswith("SIP/2.0") else self.first.split(" ", 1)[0]

    @property
    def status(self) -> int:
        return int(self.first.split(" ", 2)[1]) if self.first.startswith("SIP/2.0") else 0


@dataclass
class Ringing:
    """One call that the PBX made to us."""

    peer: SipPeer
    invite: Message
    source: Address
    number: str
    tag: str = field(default_factory=lambda: secrets.token_hex(4))
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    acknowledged: asyncio.Event = field(default_factory=asyncio.Event)
    cancelled: bool = False
    moved_to: str = ""
    """Where a redirection (302) points, instead of our own address: a SIP address."""
    _replied: tuple[int, str] | None = None

    @property
    def call_id(self) -> str:
        return self.invite.get("call-id")

    def header(self, name: str) -> str:
        return self.invite.get(name.lower())

    def reply(self, code: int, *, reason: str | None = None) -> None:
        """Answer the INVITE with a status code (200 carries a session description)."""
        self._replied = (code, reason or _REASONS.get(code, "Said So"))
        self._repeat()

    def _repeat(self) -> None:
        if self._replied is None:
            return
        code, reason = self._replied
        body = _sdp(self.peer.host) if code == 200 else ""
        self.peer.respond(
            self.invite, self.source, code, reason, self.tag, body, contact=self.moved_to
        )

    def answer(self) -> None:
        self.reply(200)

    def hang_up(self) -> None:
        """End an answered call from our side."""
        self.peer.bye(self)

    async def over(self) -> None:
        async with asyncio.timeout(PATIENCE):
            await self.ended.wait()


class SipPeer(asyncio.DatagramProtocol):
    """One UDP address. ``on_call`` is told of each new INVITE once (not of its repeats)."""

    def __init__(self, host: str, port: int, on_call: Callable[[Ringing], None]) -> None:
        self.host = host
        self.port = port
        self.on_call = on_call
        self.calls: dict[str, Ringing] = {}
        self.received: list[str] = []
        """The number of every INVITE, once per call."""
        self._transport: asyncio.DatagramTransport | None = None
        self._answers: dict[str, asyncio.Future[Message]] = {}
        self._sequence = 100

    async def open(self) -> None:
        loop = asyncio.get_running_loop()
        await loop.create_datagram_endpoint(lambda: self, local_addr=(self.host, self.port))

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: Address) -> None:
        if len(data.strip()) == 0:
            return
        message = Message.parse(data)
        if message.status:
            waiting = self._answers.get(message.get("call-id"))
            if waiting is not None and not waiting.done() and message.status >= 200:
                waiting.set_result(message)
            return
        handler = {
            "INVITE": self._invite,
            "ACK": self._ack,
            "BYE": self._end,
            "CANCEL": self._cancel,
        }.get(message.method)
        if handler is not None:
            handler(message, addr)
        else:
            self.respond(message, addr, 200, "OK", "x", "")

    def respond(
        self,
        request: Message,
        to: Address,
        code: int,
        reason: str,
        tag: str,
        body: str,
        *,
        contact: str = "",
    ) -> None:
        lines = [f"SIP/2.0 {code} {reason}"]
        lines += [f"Via: {via}" for via in request.all("via")]
        target = request.get("to")
        if code != 100 and ";tag=" not in target:
            target += f";tag={tag}"
        lines += [
            f"From: {request.get('from')}",
            f"To: {target}",
            f"Call-ID: {request.get('call-id')}",
            f"CSeq: {request.get('cseq')}",
            f"Contact: <{contact or f'sip:peer@{self.host}:{self.port}'}>",
        ]
        if body:
            lines.append("Content-Type: application/sdp")
        self._send(lines, body, to)

    def bye(self, call: Ringing) -> None:
        self._sequence += 1
        to = call.invite.get("from")
        contact = re.search(r"<([^>]+)>", call.invite.get("contact"))
        uri = contact.group(1) if contact else f"sip:{call.source[0]}:{call.source[1]}"
        lines = [
            f"BYE {uri} SIP/2.0",
            f"Via: SIP/2.0/UDP {self.host}:{self.port};branch=z9hG4bK{secrets.token_hex(8)};rport",
            "Max-Forwards: 70",
            f"From: {call.invite.get('to')};tag={call.tag}",
            f"To: {to}",
            f"Call-ID: {call.call_id}",
            f"CSeq: {self._sequence} BYE",
        ]
        self._send(lines, "", call.source)
        call.ended.set()

    async def register(self, user: str, password: str, registrar: Address) -> None:
        """Register this address as ``user``, with digest authentication (RFC 7616, MD5)."""
        call_id = secrets.token_hex(8)
        authorization = ""
        for sequence in (1, 2):
            uri = f"sip:{registrar[0]}:{registrar[1]}"
            me = f"<sip:{user}@{registrar[0]}>"
            lines = [
                f"REGISTER {uri} SIP/2.0",
                f"Via: SIP/2.0/UDP {self.host}:{self.port};"
                f"branch=z9hG4bK{secrets.token_hex(8)};rport",
                "Max-Forwards: 70",
                f"From: {me};tag={secrets.token_hex(4)}",
                f"To: {me}",
                f"Call-ID: {call_id}",
                f"CSeq: {sequence} REGISTER",
                f"Contact: <sip:{user}@{self.host}:{self.port}>",
                "Expires: 600",
            ]
            if authorization:
                lines.append(f"Authorization: {authorization}")
            future: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
            self._answers[call_id] = future
            self._send(lines, "", registrar)
            async with asyncio.timeout(PATIENCE):
                answer = await future
            if answer.status == 200:
                return
            assert answer.status == 401, answer.first
            authorization = _digest(answer.get("www-authenticate"), user, password, uri)
        raise AssertionError("the PBX does not take our registration")

    def _send(self, lines: Iterable[str], body: str, to: Address) -> None:
        assert self._transport is not None
        text = "\r\n".join([*lines, f"Content-Length: {len(body)}", "", body])
        self._transport.sendto(text.encode(), to)

    def _invite(self, message: Message, addr: Address) -> None:
        known = self.calls.get(message.get("call-id"))
        if known is not None:
            known._repeat()
            return
        number = message.first.split(" ")[1].removeprefix("sip:").split("@")[0]
        call = Ringing(self, message, addr, number)
        self.calls[call.call_id] = call
        self.received.append(number)
        self.respond(message, addr, 100, "Trying", call.tag, "")
        self.on_call(call)

    def _ack(self, message: Message, _addr: Address) -> None:
        call = self.calls.get(message.get("call-id"))
        if call is not None:
            call.acknowledged.set()
            if call._replied is not None and call._replied[0] >= 300:
                call.ended.set()

    def _end(self, message: Message, addr: Address) -> None:
        self.respond(message, addr, 200, "OK", "x", "")
        call = self.calls.get(message.get("call-id"))
        if call is not None:
            call.ended.set()

    def _cancel(self, message: Message, addr: Address) -> None:
        self.respond(message, addr, 200, "OK", "x", "")
        call = self.calls.get(message.get("call-id"))
        if call is not None and (call._replied is None or call._replied[0] < 200):
            call.cancelled = True
            call.reply(487)


def _digest(challenge: str, user: str, password: str, uri: str) -> str:
    parts = dict(re.findall(r'(\w+)="?([^",]+)"?', challenge))
    realm, nonce = parts["realm"], parts["nonce"]
    first = _md5(f"{user}:{realm}:{password}")
    second = _md5(f"REGISTER:{uri}")
    count, mine = "00000001", secrets.token_hex(8)
    if "qop" in parts:
        response = _md5(f"{first}:{nonce}:{count}:{mine}:auth:{second}")
        extra = f', qop=auth, nc={count}, cnonce="{mine}"'
    else:
        response, extra = _md5(f"{first}:{nonce}:{second}"), ""
    opaque = f', opaque="{parts["opaque"]}"' if "opaque" in parts else ""
    return (
        f'Digest username="{user}", realm="{realm}", nonce="{nonce}", uri="{uri}", '
        f'response="{response}", algorithm=MD5{extra}{opaque}'
    )


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def _sdp(host: str) -> str:
    return (
        f"v=0\r\no=- 1 1 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\n"
        "m=audio 40000 RTP/AVP 0 101\r\na=rtpmap:0 PCMU/8000\r\n"
        "a=rtpmap:101 telephone-event/8000\r\na=sendrecv\r\n"
    )


@asynccontextmanager
async def sip_peer(
    host: str, port: int, on_call: Callable[[Ringing], None]
) -> AsyncIterator[SipPeer]:
    peer = SipPeer(host, port, on_call)
    await peer.open()
    try:
        yield peer
    finally:
        peer.close()
