"""Ways to ask a part whether it is ready. OSError from them means not yet."""

from __future__ import annotations

import asyncio
from contextlib import suppress


async def greets(host: str, port: int, words: bytes) -> bool:
    """Whether a TCP server says ``words`` in its first line."""
    return words in await _first_line(host, port, b"")


async def accepts(host: str, port: int) -> bool:
    """Whether a TCP server takes a connection."""
    _reader, writer = await asyncio.open_connection(host, port)
    await _close(writer)
    return True


async def http_ok(host: str, port: int, path: str) -> bool:
    """Whether an HTTP server answers ``path`` with 200."""
    request = f"GET {path} HTTP/1.0\r\nHost: {host}:{port}\r\n\r\n".encode("ascii")
    words = (await _first_line(host, port, request)).split()
    return len(words) > 1 and words[1] == b"200"


async def says(argv: list[str], env: dict[str, str], words: bytes) -> bool:
    """Whether a command ends well and prints ``words``."""
    process = await asyncio.create_subprocess_exec(
        *argv,
        env=env,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        printed, _ = await process.communicate()
    except BaseException:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        raise
    return process.returncode == 0 and words in printed


async def _first_line(host: str, port: int, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(request)
        await writer.drain()
        return await reader.readline()
    except ValueError:  # a line longer than the reader takes is not what we look for
        return b""
    finally:
        await _close(writer)


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
