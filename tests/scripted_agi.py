"""Asterisk's side of FastAGI, scripted: what a test says is what our server gets."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import suppress


def opening_lines(
    path: str = "hotline",
    *,
    unique_id: str = "1795465328.79",
    caller: str = "+18005550123",
    name: str = "unknown",
    args: Iterable[str] = (),
    extra: Iterable[bytes] = (),
) -> bytes:
    """What Asterisk 22 sends first, in its order."""
    lines = [
        "agi_network: yes",
        f"agi_network_script: {path}",
        f"agi_request: agi://127.0.0.1:4573/{path}",
        "agi_channel: PJSIP/carrier-probe-00000001",
        "agi_language: en",
        "agi_type: PJSIP",
        f"agi_uniqueid: {unique_id}",
        "agi_version: 22.10.1",
        f"agi_callerid: {caller}",
        f"agi_calleridname: {name}",
        "agi_callingpres: 0",
        "agi_callingani2: 0",
        "agi_callington: 0",
        "agi_callingtns: 0",
        "agi_dnid: 18005550199",
        "agi_rdnis: unknown",
        "agi_context: inbound",
        "agi_extension: 18005550199",
        "agi_priority: 5",
        "agi_enhanced: 0.0",
        "agi_accountcode: ",
        "agi_threadid: 140520133453504",
        *(f"agi_arg_{number}: {arg}" for number, arg in enumerate(args, 1)),
    ]
    return b"".join([*(f"{line}\n".encode() for line in lines), *extra, b"\n"])


class ScriptedAsterisk:
    """One connection to a FastAGI server. Close it, or use it as a context manager."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def connect(cls, port: int, host: str = "127.0.0.1") -> ScriptedAsterisk:
        """Connects and sends nothing yet."""
        return cls(*await asyncio.open_connection(host, port))

    @classmethod
    async def call(cls, port: int, opening: bytes | None = None) -> ScriptedAsterisk:
        asterisk = await cls.connect(port)
        await asterisk.send(opening_lines() if opening is None else opening)
        return asterisk

    async def __aenter__(self) -> ScriptedAsterisk:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def send(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def command(self) -> str:
        """The next command, without its line end; "" at the end of the connection."""
        async with asyncio.timeout(10):
            try:
                line = await self._reader.readline()
            except ConnectionError:
                return ""
        if line.startswith(b"failure"):
            self._writer.close()  # as Asterisk does
        return line.decode().removesuffix("\n")

    async def expect(self, start: str, *replies: str) -> str:
        """The next command, which must begin with ``start``; then sends ``replies``."""
        command = await self.command()
        assert command.startswith(start), f"expected {start!r}, got {command!r}"
        await self.send("".join(f"{reply}\n" for reply in replies).encode())
        return command

    async def rest(self) -> list[str]:
        """Every line up to the end of the connection."""
        lines: list[str] = []
        while line := await self.command():
            lines.append(line)
        return lines

    async def close(self) -> None:
        self._writer.close()
        with suppress(ConnectionError):
            await self._writer.wait_closed()

    def reset(self) -> None:
        """Ends the connection at once, as when the machine goes away."""
        self._writer.transport.abort()
