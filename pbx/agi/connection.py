"""One FastAGI connection: bytes to opening lines, commands to answers, and every kind of end."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from enum import Enum, auto
from time import perf_counter
from typing import Protocol, cast

from pbx.agi.errors import AgiError, AgiProtocolError, AgiTimeout, BadRequest, CallerHungUp
from pbx.agi.limits import Limits
from pbx.agi.reply import DEAD_CHANNEL, Reply, ReplyReader
from pbx.agi.request import AgiRequest, parse_request


class Owner(Protocol):
    """Who hears of a connection's fate (the server)."""

    def opened(self, connection: Connection) -> None: ...
    def requested(self, connection: Connection, request: AgiRequest) -> None: ...
    def rejected(self, connection: Connection, reason: str) -> None: ...
    def closed(self, connection: Connection) -> None: ...


class _State(Enum):
    HEADER = auto()
    SERVED = auto()
    DEAF = auto()  # whatever still comes is thrown away


class Connection(asyncio.Protocol):
    """Not for use by call flows: they have an AgiSession."""

    def __init__(
        self, owner: Owner, limits: Limits, observe_turn: Callable[[float], None] | None
    ) -> None:
        self._owner = owner
        self._limits = limits
        self._observe = observe_turn
        self._loop = asyncio.get_running_loop()
        self._state = _State.HEADER
        self._buffer = bytearray()
        self._header: list[bytes] = []
        self._header_size = 0
        self._replies = ReplyReader(limits.reply_bytes)
        self._pending: asyncio.Future[Reply] | None = None
        self._over: str | None = None
        self._broken: str | None = None
        self._answered_at: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._transport: asyncio.Transport | None = None

    # From asyncio.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        peer: socket.socket | None = transport.get_extra_info("socket")
        if peer is not None and peer.family in (socket.AF_INET, socket.AF_INET6):
            if not _same_machine(transport):
                self._reject("not from this machine")
                return
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._timer = self._loop.call_later(
            self._limits.header_seconds, self._reject, "the opening lines did not come in time"
        )
        self._owner.opened(self)

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer
        buffer += data
        while (end := buffer.find(b"\n")) >= 0:
            line = bytes(buffer[:end])
            del buffer[: end + 1]
            self._line(line.removesuffix(b"\r"))
        self._bound_rest()

    def connection_lost(self, _exc: Exception | None) -> None:
        self._cancel_timer()
        waiting = self._state is _State.HEADER
        silent = not self._header and not self._buffer
        self._state = _State.DEAF
        self._end("closed")
        if waiting:
            self._owner.rejected(self, "port check" if silent else "closed early")
        self._owner.closed(self)

    # For the server.

    def close(self) -> None:
        """Ends the session well: AGISTATUS is what Asterisk makes of what was done."""
        self._state = _State.DEAF
        self._end("ours")
        if self._transport is not None:
            self._transport.close()

    def fail(self) -> None:
        """Ends the session so that AGISTATUS is FAILURE: the line ``failure``, then the end.

        Asterisk closes when it reads that line. We read on until it does, because closing
        with unread data would reset the connection and could overtake the line.
        """
        transport = self._transport
        self._state = _State.DEAF
        self._end("ours")
        self._buffer.clear()
        self._cancel_timer()
        if transport is None or transport.is_closing():
            return
        transport.write(b"failure\n")
        self._timer = self._loop.call_later(self._limits.farewell_seconds, transport.close)

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    # For the session.

    @property
    def over(self) -> bool:
        return self._over is not None

    def hang_up_sent(self) -> None:
        """Our own HANGUP was answered: nothing more can be done with the call."""
        self._end("ours")

    async def turn(self, verb: str, line: bytes, timeout: float) -> Reply:
        """Sends one command and waits for its answer, at most ``timeout`` seconds.

        A command that was given up (time-out, cancellation) leaves the session unusable: its
        answer may still come and would be taken for the next one's.
        """
        if self._over is not None:
            raise CallerHungUp(self._over)
        if self._broken is not None:
            raise AgiProtocolError(self._broken)
        if self._pending is not None:
            raise AgiProtocolError("a command while another is under way")
        assert self._transport is not None
        pending: asyncio.Future[Reply] = self._loop.create_future()
        self._pending = pending
        self._transport.write(line)
        if self._answered_at is not None:
            if self._observe is not None:
                self._observe(perf_counter() - self._answered_at)
            self._answered_at = None
        timer = self._loop.call_later(timeout, self._late, verb, timeout)
        try:
            return await pending
        except asyncio.CancelledError:
            self._broken = self._broken or f"{verb} was given up before its answer"
            raise
        finally:
            timer.cancel()
            self._pending = None

    # Within.

    def _line(self, line: bytes) -> None:
        if self._state is _State.HEADER:
            self._header_line(line)
        elif self._state is _State.SERVED:
            self._reply_line(line)

    def _header_line(self, line: bytes) -> None:
        limits = self._limits
        if line:
            self._header_size += len(line) + 1
            if not self._header and not line.startswith(b"agi_"):
                self._reject("not AGI")
            elif (
                len(self._header) >= limits.header_lines
                or len(line) > limits.header_line_bytes
                or self._header_size > limits.header_bytes
            ):
                self._reject("opening lines past the limit")
            else:
                self._header.append(line)
            return
        try:
            request = parse_request(self._header)
        except BadRequest as error:
            self._reject(error.reason)
            return
        self._header.clear()
        self._cancel_timer()
        self._state = _State.SERVED
        self._answered_at = perf_counter()
        self._owner.requested(self, request)

    def _reply_line(self, line: bytes) -> None:
        if self._over is not None:
            return
        if line == b"HANGUP" and not self._replies.partial:
            self._end("line")
            return
        pending = self._pending
        if pending is None or pending.done():
            self._break("an answer to nothing")
            return
        try:
            reply = self._replies.feed(line)
        except AgiProtocolError as error:
            self._break(str(error))
            return
        if reply is None:
            return
        if reply.code == DEAD_CHANNEL:
            self._end("dead")
            return
        self._answered_at = perf_counter()
        pending.set_result(reply)

    def _bound_rest(self) -> None:
        rest = len(self._buffer)
        if self._state is _State.HEADER:
            if rest > self._limits.header_line_bytes:
                self._reject("opening lines past the limit")
            elif rest and not self._header and not b"agi_".startswith(self._buffer[:4]):
                self._reject("not AGI")
        elif self._state is _State.DEAF:
            self._buffer.clear()
        elif rest > self._limits.reply_bytes:
            self._break("a reply past the limit")

    def _reject(self, reason: str) -> None:
        self._state = _State.DEAF
        self._buffer.clear()
        self._owner.rejected(self, reason)
        self.abort()

    def _end(self, how: str) -> None:
        self._over = self._over or how
        self._settle(CallerHungUp(how))

    def _break(self, why: str) -> None:
        self._broken = why
        self._state = _State.DEAF
        self._buffer.clear()
        self._settle(AgiProtocolError(why))

    def _late(self, verb: str, seconds: float) -> None:
        self._broken = f"{verb} was given up before its answer"
        self._settle(AgiTimeout(verb, seconds))

    def _settle(self, error: AgiError) -> None:
        if self._pending is not None and not self._pending.done():
            self._pending.set_exception(error)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _same_machine(transport: asyncio.BaseTransport) -> bool:
    """Whether the peer is our own Asterisk, by its address: AGI knows no password.

    Linux connects to an address of its own from that same address, and to any of 127.0.0.0/8
    from 127.0.0.1.
    """
    peer, own = (transport.get_extra_info(name)[0] for name in ("peername", "sockname"))
    return peer in {own, "127.0.0.1", "::1"}
