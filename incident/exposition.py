"""A service's small HTTP door: ``/metrics`` for Prometheus and ``/healthz`` for whoever watches."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

_REQUEST_SECONDS: Final = 5.0
_MAX_CONNECTIONS: Final = 64

Health = Callable[[], Mapping[str, bool]]


class Exposition:
    """Serves on ``host``:``port``. ``health``: named conditions; all true is 200, else 503."""

    def __init__(self, host: str, port: int, health: Health) -> None:
        self._host = host
        self._port = port
        self._health = health
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def port(self) -> int:
        """The port that is listened on (differs from the one asked for when that was 0)."""
        if self._server is None or not self._server.sockets:
            return self._port
        return int(self._server.sockets[0].getsockname()[1])

    async def start(self) -> None:
        """Raises OSError where the address cannot be had."""
        self._server = await asyncio.start_server(self._accept, self._host, self._port, limit=8192)

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._server = None

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._tasks) >= _MAX_CONNECTIONS:
            writer.close()
            return
        task = asyncio.get_running_loop().create_task(
            self._serve(reader, writer), name="exposition"
        )
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_REQUEST_SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
                method, target = _target(head)
                status, kind, body = self._answer(method, target)
                writer.write(
                    f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\n"
                    f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode()
                )
                writer.write(b"" if method == "HEAD" else body)
                await writer.drain()
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # a peer that speaks no HTTP, or left: nothing is owed to it
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    def _answer(self, method: str, target: str) -> tuple[str, str, bytes]:
        plain = "text/plain; charset=utf-8"
        if method not in {"GET", "HEAD"}:
            return "405 Method Not Allowed", plain, b"GET only\n"
        if target == "/metrics":
            return "200 OK", CONTENT_TYPE_LATEST, generate_latest()
        if target == "/healthz":
            health = dict(self._health())
            status = "200 OK" if all(health.values()) else "503 Service Unavailable"
            return status, "application/json", json.dumps(health).encode() + b"\n"
        return "404 Not Found", plain, b"there are /metrics and /healthz\n"


def _target(head: bytes) -> tuple[str, str]:
    words = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ")
    return (words[0], words[1].split("?", 1)[0]) if len(words) == 3 else ("", "")
