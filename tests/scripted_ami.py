"""A manager interface that does what a test tells it, right or wrong, over a real socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

HOST = "127.0.0.21"
PATIENCE = 10.0
"""Seconds after which a test that still waits has failed."""

Headers = dict[str, list[str]]


class Peer:
    """One connection that the client made, seen from Asterisk's side."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def raw(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def greet(self) -> None:
        await self.raw(b"Asterisk Call Manager/11.0.0\r\n")

    async def receive(self) -> Headers:
        """The client's next action: header names as sent, each with all its values."""
        async with asyncio.timeout(PATIENCE):
            raw = await self._reader.readuntil(b"\r\n\r\n")
        headers: Headers = {}
        for line in raw.decode("utf-8").removesuffix("\r\n\r\n").split("\r\n"):
            name, _, value = line.partition(": ")
            headers.setdefault(name, []).append(value)
        return headers

    async def expect(self, action: str) -> Headers:
        headers = await self.receive()
        assert headers["Action"] == [action], headers["Action"]
        return headers

    async def silent(self, seconds: float = 0.05) -> bool:
        """Nothing came within ``seconds``: a window, as nothing tells that nothing will come."""
        try:
            async with asyncio.timeout(seconds):
                return await self._reader.read(1) == b""
        except TimeoutError:
            return True

    async def closed(self) -> None:
        """Wait until the client has closed the connection; what it still sent is skipped."""
        async with asyncio.timeout(PATIENCE):
            try:
                while await self._reader.read(65536):
                    pass
            except ConnectionError:
                pass

    async def reply(self, action: Headers, response: str = "Success", **fields: str) -> None:
        await self.raw(message(Response=response, ActionID=action["ActionID"][0], **fields))

    async def event(self, name: str, **fields: str) -> None:
        await self.raw(message(Event=name, **fields))

    async def log_in(self) -> Headers:
        """Greet, take the login, report that Asterisk is fully booted."""
        await self.greet()
        login = await self.expect("Login")
        await self.reply(login, Message="Authentication accepted")
        await self.event("FullyBooted", Status="Fully Booted")
        return login

    def drop(self) -> None:
        """Gone without a word, as after kill -9."""
        self._writer.transport.abort()


class ScriptedAmi:
    """Listens; hands each connection to the test in order of arrival."""

    def __init__(self) -> None:
        self.port = 0
        self.accepted = 0
        self._peers: asyncio.Queue[Peer] = asyncio.Queue()
        self._all: list[Peer] = []
        self._server: asyncio.Server | None = None

    async def listen(self) -> None:
        """Also again, on the same port, after `deafen`."""
        self._server = await asyncio.start_server(self._connected, HOST, self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def deafen(self) -> None:
        """Refuse connections from now on; those that stand stay."""
        if self._server is not None:
            self._server.close()
            self._server = None

    async def accept(self) -> Peer:
        async with asyncio.timeout(PATIENCE):
            return await self._peers.get()

    async def nobody_comes(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await self._peers.get()
        except TimeoutError:
            return True
        return False

    async def close(self) -> None:
        await self.deafen()
        for peer in self._all:
            peer.drop()
        await asyncio.sleep(0)

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        peer = Peer(reader, writer)
        self._all.append(peer)
        self._peers.put_nowait(peer)


def message(**fields: str) -> bytes:
    return "".join(f"{name}: {value}\r\n" for name, value in fields.items()).encode() + b"\r\n"


@asynccontextmanager
async def scripted_ami() -> AsyncIterator[ScriptedAmi]:
    server = ScriptedAmi()
    await server.listen()
    try:
        yield server
    finally:
        await server.close()
