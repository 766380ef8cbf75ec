"""panoramisk's AMI protocol, hardened, and the one link that uses it.

panoramisk is given `HardenedProtocol` through its own ``protocol_factory``. What that changes:

* bytes become text once a message is whole, so a character split across reads survives;
* banner, lines and messages from the peer are bounded;
* an action ends with its Response (a list with its last event) and a lost link fails it: nothing
  is ever queued to be sent again;
* events with an ActionID of ours reach the subscribers like all others;
* an event that says a header twice is dropped: a caller's name or number had line breaks in it;
* nothing is logged but names and ids.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from panoramisk.ami_protocol import AMIProtocol
from panoramisk.manager import Manager

from pbx.ami.errors import LinkFailed, NotConnected, OutcomeUnknown
from pbx.ami.messages import Event, Fields, Outgoing, Response

log: Final = logging.getLogger(__name__)

_BANNER: Final = b"Asterisk Call Manager/"
_END: Final = b"\r\n\r\n"
_MAY_REPEAT: Final = frozenset({"chanvariable", "destchanvariable"})


@dataclass(frozen=True)
class Limits:
    """What we take from the other side, in bytes."""

    banner: int = 256
    line: int = 64 * 1024
    message: int = 1024 * 1024
    backlog: int = 1024 * 1024
    """Bytes of our own that Asterisk has not read yet; past it actions are refused, not sent."""


class HardenedProtocol(AMIProtocol):  # type: ignore[misc]  # panoramisk has no types
    """One connection. ``greeted`` and ``lost`` are futures of its loop."""

    responses: dict[str, Outgoing]
    closed: bool

    def __init__(self, limits: Limits) -> None:
        loop = asyncio.get_running_loop()
        self.limits = limits
        self.greeted: asyncio.Future[str] = loop.create_future()
        self.lost: asyncio.Future[str] = loop.create_future()
        self.reason = ""
        """Why we closed it ourselves; empty while the other side is to blame."""
        self.forged = 0
        """Events dropped because a header came twice."""
        self._buffer = bytearray()
        self._searched = 0

    def send(self, data: Outgoing, as_list: bool | None = None) -> asyncio.Future[Response]:
        """Write the action at once. `NotConnected`: not a byte of it was written."""
        del as_list  # an action knows itself whether it ends with a list
        if self.lost.done() or self.transport.is_closing():
            raise NotConnected(f"{data.name} was not sent: the link to Asterisk is down")
        if self.transport.get_write_buffer_size() > self.limits.backlog:
            raise NotConnected(f"{data.name} was not sent: Asterisk does not read its AMI link")
        encoded = data.encoded()
        self.responses[data.action_id] = data
        self.transport.write(encoded)
        future: asyncio.Future[Response] = data.future
        return future

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return  # we gave this peer up; what it still says has no meaning
        self._buffer += data
        if not self.greeted.done() and not self._take_banner():
            return
        while (end := self._buffer.find(_END, self._searched)) >= 0:
            raw = bytes(self._buffer[:end])
            del self._buffer[: end + len(_END)]
            self._searched = 0
            if len(raw) > self.limits.message or _longest_line(raw) > self.limits.line:
                self._give_up("a message or line beyond all bounds")
                return
            self._take_message(raw)
            if self.transport.is_closing():
                return
        self._searched = max(0, len(self._buffer) - len(_END) + 1)
        if len(self._buffer) > self.limits.message or self._open_line() > self.limits.line:
            self._give_up("a message or line without an end")

    def connection_lost(self, exc: Exception | None) -> None:
        self.close()
        if self.lost.done():
            return
        why = self.reason or (type(exc).__name__ if exc else "closed by the other side")
        self.lost.set_result(why)
        if not self.greeted.done():
            self.greeted.cancel()
        pending, self.responses = self.responses, {}
        for action in pending.values():
            if not action.future.done():
                action.future.set_exception(
                    OutcomeUnknown(action.name, action.action_id, f"link lost ({why})")
                )

    def close(self) -> None:
        """Send what is written, then close. Nothing is kept for another connection."""
        if not self.closed:
            self.closed = True
            self.transport.close()

    def _take_banner(self) -> bool:
        end = self._buffer.find(b"\n")
        if end < 0 and len(self._buffer) <= self.limits.banner:
            return False
        banner = bytes(self._buffer[: max(end, 0)]).strip()
        if end < 0 or end > self.limits.banner or not banner.startswith(_BANNER):
            self._give_up("it does not greet like an Asterisk manager")
            return False
        del self._buffer[: end + 1]
        self.version = banner[len(_BANNER) :].decode("ascii", "replace")
        self.greeted.set_result(self.version)
        return True

    def _take_message(self, raw: bytes) -> None:
        self.handle_message(Fields.parse(raw.decode("utf-8", "replace").lstrip("\r\n")))

    def handle_message(self, message: Fields) -> None:
        action = self.responses.get(message.get("ActionID", ""))
        # An OriginateResponse event has a Response header too: what comes first decides.
        if message.kind == "response":
            if action is None:
                log.debug("AMI: a response that nobody waits for (any more) ignored")
            elif action.add_message(message):
                self.forget(action)
        elif message.kind == "event" and message.repeated - _MAY_REPEAT:
            self.forged += 1
            log.debug("AMI: an event with a header twice dropped (%d by now)", self.forged)
        elif message.kind == "event":
            event = Event(message["Event"], message, time.monotonic())
            if action is not None and action.add_event(event):
                self.forget(action)
            if self.factory is not None:
                self.factory.dispatch(event)
        else:
            log.debug("AMI: a message that is neither event nor response ignored")

    def forget(self, action: Outgoing) -> None:
        """Wait no longer for this action's reply; one that still comes is ignored."""
        self.responses.pop(action.action_id, None)

    def _open_line(self) -> int:
        """Bytes of the unfinished line at the buffer's end, as far as the bound needs to know."""
        length = len(self._buffer)
        newline = self._buffer.rfind(b"\n", max(0, length - self.limits.line - 1))
        return length - newline - 1

    def _give_up(self, why: str) -> None:
        self.reason = f"broken peer: {why}"
        self._buffer.clear()
        self.transport.abort()


class Link(Manager):  # type: ignore[misc]  # panoramisk has no types
    """One connection's life. panoramisk's own login, pings and reconnects are not used:
    it pings without listening and reconnects without end."""

    protocol: HardenedProtocol
    pinger: asyncio.TimerHandle | None

    def __init__(
        self, host: str, port: int, limits: Limits, deliver: Callable[[Event], None]
    ) -> None:
        super().__init__(
            host=host,
            port=port,
            loop=asyncio.get_running_loop(),
            log=logging.getLogger("panoramisk"),
            protocol_factory=partial(HardenedProtocol, limits),
        )
        self._deliver = deliver

    async def open(self) -> None:
        """Connect and wait for the greeting. Raises `OSError` or `LinkFailed`; bound it by time."""
        # Manager.connect() would try again by itself for ever, so the connection is made here and
        # handed over, as its own done-callback would do.
        connecting: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        connecting.set_result(
            await asyncio.get_running_loop().create_connection(
                self.config["protocol_factory"], self.config["host"], self.config["port"]
            )
        )
        self.connection_made(connecting)
        if self.pinger is not None:
            self.pinger.cancel()
            self.pinger = None
        try:
            await asyncio.wait(
                (self.protocol.greeted, self.protocol.lost),
                return_when=asyncio.FIRST_COMPLETED,
            )
        except BaseException:
            await self.shut(0.0)
            raise
        if self.protocol.lost.done():
            raise LinkFailed(self.protocol.lost.result())

    def dispatch(self, event: Event) -> None:
        self._deliver(event)

    @property
    def usable(self) -> bool:
        return not self.protocol.lost.done() and not self.protocol.transport.is_closing()

    @property
    def lost(self) -> asyncio.Future[str]:
        """Done, with the reason in words, once the connection is gone."""
        return self.protocol.lost

    async def request(self, action: Outgoing, timeout: float) -> Response:
        """Send one action and wait ``timeout`` seconds for the end of its reply."""
        future: asyncio.Future[Response] = self.send_action(action)
        try:
            done, _ = await asyncio.wait((future,), timeout=timeout)
            if not done:
                raise OutcomeUnknown(action.name, action.action_id, f"no reply in {timeout:g} s")
            return future.result()
        finally:
            self.protocol.forget(action)
            if future.done() and not future.cancelled():
                future.exception()  # seen, even where our caller was cancelled meanwhile

    def abort(self, reason: str) -> None:
        """Drop the connection now, whatever is still to be written."""
        self.protocol.reason = self.protocol.reason or reason
        self.protocol.transport.abort()

    async def shut(self, grace: float) -> None:
        """Close in order; after ``grace`` seconds drop it. On return the connection is gone."""
        self.protocol.reason = self.protocol.reason or "closed by us"
        self.close()
        try:
            await asyncio.wait((self.protocol.lost,), timeout=grace)
        finally:
            self.protocol.transport.abort()
            await asyncio.wait((self.protocol.lost,))


def _longest_line(raw: bytes) -> int:
    return max(len(line) for line in raw.split(b"\r\n"))
