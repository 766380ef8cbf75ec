"""The publisher with a real broker: states, last will, outages, nudges."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import aiomqtt
import pytest

from incident import events
from incident.events import EventPublisher, nudge
from incident.settings import Settings
from pbx.runtime.tree import Tree, ensure_tree
from tests.running import PROJECT, eventually

HOST = "127.0.0.31"


class Broker:
    def __init__(self, tree: Tree, folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind((HOST, 0))
            self.port: int = probe.getsockname()[1]
        self.url = f"mqtt://{HOST}:{self.port}"
        self._tree = tree
        self._file = folder / "mosquitto.conf"
        self._file.write_text(f"user nobody\nlistener {self.port} {HOST}\nallow_anonymous true\n")
        self._log = folder / "mosquitto.log"
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        with self._log.open("ab") as output:
            self._process = await asyncio.create_subprocess_exec(
                *self._tree.command("mosquitto", "-c", str(self._file)),
                env={**os.environ, **self._tree.env()},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )

        async def up() -> bool:
            assert self._process is not None
            assert self._process.returncode is None, self._log.read_text()
            try:
                _, writer = await asyncio.open_connection(HOST, self.port)
            except OSError:
                return False
            writer.close()
            await writer.wait_closed()
            return True

        await eventually(up)

    async def kill(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()


@pytest.fixture
async def broker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Broker]:
    monkeypatch.setattr(events, "_FIRST_RETRY_SECONDS", 0.02)
    monkeypatch.setattr(events, "_LAST_RETRY_SECONDS", 0.05)
    tree = await asyncio.to_thread(ensure_tree, Settings(), lambda _line: None)
    made = Broker(tree, tmp_path)
    yield made
    await made.kill()


class Watcher:
    """Everything below breachline/, as it comes."""

    def __init__(self, client: aiomqtt.Client) -> None:
        self._client = client
        self.seen: list[tuple[str, dict[str, object]]] = []

    async def until(self, topic: str, **values: object) -> dict[str, object]:
        """Wait for a message on ``topic`` that holds these values."""
        async with asyncio.timeout(20):
            async for message in self._client.messages:
                assert isinstance(message.payload, bytes)
                payload = json.loads(message.payload)
                self.seen.append((str(message.topic), payload))
                if str(message.topic) == topic and values.items() <= payload.items():
                    return dict(payload)
        raise AssertionError("the broker went away")


async def test_states_and_events_arrive_in_order(broker: Broker) -> None:
    await broker.start()
    made = EventPublisher(broker.url, "node1", "hotline")
    await made.start()
    await eventually(lambda: made.connected)
    async with aiomqtt.Client(HOST, broker.port) as client:
        await client.subscribe("breachline/#")
        watcher = Watcher(client)
        await watcher.until("breachline/node1/state", service="hotline", state="up")
        for number in range(500):
            made.publish(f"call/{number}/started", {"number": number})
        await made.stop()
        await watcher.until("breachline/node1/state", state="down")
    numbers = [payload["number"] for topic, payload in watcher.seen if "/call/" in topic]
    assert numbers == list(range(500))


async def test_what_is_published_before_the_broker_is_there_arrives(broker: Broker) -> None:
    made = EventPublisher(broker.url, "node1", "dialer")
    await made.start()
    made.publish("campaign/c1/state", {"lines": 1}, retain=True)
    made.publish("campaign/c1/state", {"lines": 2}, retain=True)
    await broker.start()
    await eventually(lambda: made.connected)
    async with aiomqtt.Client(HOST, broker.port) as client:
        await client.subscribe("breachline/#")
        watcher = Watcher(client)
        await watcher.until("breachline/campaign/c1/state", lines=2)
        # A broker that lost what it retained gets it again.
        await broker.kill()
    await broker.start()
    async with aiomqtt.Client(HOST, broker.port) as client:
        await client.subscribe("breachline/#")
        await Watcher(client).until("breachline/campaign/c1/state", lines=2)
    await made.stop()


_SERVICE = """
import asyncio, sys
from incident.events import EventPublisher

async def main():
    publisher = EventPublisher(sys.argv[1], "node1", "dialer")
    await publisher.start()
    await asyncio.sleep(60)

asyncio.run(main())
"""


async def test_a_service_that_is_killed_is_lost(broker: Broker) -> None:
    await broker.start()
    service = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _SERVICE, broker.url, cwd=PROJECT
    )
    try:
        async with aiomqtt.Client(HOST, broker.port) as client:
            await client.subscribe("breachline/#")
            watcher = Watcher(client)
            await watcher.until("breachline/node1/state/dialer", state="up")
            service.kill()
            await watcher.until("breachline/node1/state/dialer", state="lost")
    finally:
        if service.returncode is None:
            service.kill()
        await service.wait()


async def test_a_nudge_reaches_every_service_of_its_node(broker: Broker) -> None:
    await broker.start()
    nudged: list[str] = []
    here = EventPublisher(broker.url, "node1", "dialer", on_nudge=lambda: nudged.append("here"))
    there = EventPublisher(broker.url, "node2", "dialer", on_nudge=lambda: nudged.append("there"))
    await here.start()
    await there.start()
    await eventually(lambda: sorted(nudged) == ["here", "there"])  # once at each connection
    assert await nudge(broker.url, "node1")
    await eventually(lambda: nudged.count("here") == 2)
    assert nudged.count("there") == 1
    await here.stop()
    await there.stop()


async def test_a_nudge_without_a_broker_says_so(broker: Broker) -> None:
    assert not await nudge(broker.url, "node1", timeout=5)


async def test_stopping_without_a_broker_is_quick(broker: Broker) -> None:
    made = EventPublisher(broker.url, "node1", "hotline")
    await made.start()
    made.publish("call/1/started", {})
    async with asyncio.timeout(10):
        await made.stop()
