"""The door that Prometheus and watchers knock on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from incident.exposition import Exposition
from incident.metrics import QUEUE_WAITING


@pytest.fixture
async def door() -> AsyncIterator[tuple[Exposition, dict[str, bool]]]:
    health = {"asterisk": True}
    made = Exposition("127.0.0.1", 0, lambda: health)
    await made.start()
    yield made, health
    await made.stop()


async def ask(door: Exposition, request: bytes) -> tuple[str, str]:
    """Status line and body."""
    reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
    writer.write(request)
    answer = (await reader.read()).decode()
    writer.close()
    await writer.wait_closed()
    return answer.split("\r\n", 1)[0], answer.partition("\r\n\r\n")[2]


async def test_metrics_and_health(door: tuple[Exposition, dict[str, bool]]) -> None:
    made, health = door
    status, body = await ask(made, b"GET /metrics?x=1 HTTP/1.1\r\nHost: x\r\n\r\n")
    assert status == "HTTP/1.1 200 OK"
    assert f"# TYPE {QUEUE_WAITING._name} gauge" in body
    assert await ask(made, b"GET /healthz HTTP/1.0\r\n\r\n") == (
        "HTTP/1.1 200 OK",
        '{"asterisk": true}\n',
    )
    health["asterisk"] = False
    status, body = await ask(made, b"GET /healthz HTTP/1.0\r\n\r\n")
    assert status == "HTTP/1.1 503 Service Unavailable"
    assert body == '{"asterisk": false}\n'


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET /other HTTP/1.1\r\n\r\n", "HTTP/1.1 404 Not Found"),
        (b"POST /metrics HTTP/1.1\r\n\r\n", "HTTP/1.1 405 Method Not Allowed"),
        (b"nonsense\r\n\r\n", "HTTP/1.1 405 Method Not Allowed"),
        (b"GET /" + b"x" * 20000 + b"\r\n\r\n", ""),
    ],
)
async def test_other_requests(
    door: tuple[Exposition, dict[str, bool]], request_: bytes, status: str
) -> None:
    try:
        assert (await ask(door[0], request_))[0] == status
    except ConnectionError:
        assert status == ""


async def test_a_peer_that_says_nothing_does_not_hold_up_the_stop(
    door: tuple[Exposition, dict[str, bool]],
) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", door[0].port)
    async with asyncio.timeout(3):
        await door[0].stop()
    writer.close()
    await writer.wait_closed()
