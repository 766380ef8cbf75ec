"""Events over MQTT: what wallboards and other people's tools may follow, and nudges.

The database is the truth; everything here may be lost without harm. Payloads are JSON and hold
ids and counts alone; ``docs/events.md`` describes each. A service sends the typed messages of
``incident.messages`` (or its own mapping) through one `EventPublisher`; publishing never blocks
and never raises.
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
import random
import re
import socket
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import aiomqtt

from incident.log import NORTH_AMERICAN

log: Final = logging.getLogger(__name__)

ROOT: Final = "breachline"
NUDGE: Final = "nudge"
MAIN_SERVICE: Final = "hotline"
"""The service that answers for the node: its state is the node's."""

_KEEPALIVE_SECONDS = 15
_TIMEOUT_SECONDS = 5.0
_FIRST_RETRY_SECONDS = 0.2
_LAST_RETRY_SECONDS = 5.0
_DRAIN_SECONDS = 1.0
_QUEUE = 10_000
_PHONE = re.compile(rf"\+[0-9]{{7}}|{NORTH_AMERICAN}")
_SOCKET_OPTIONS: Final = ((socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),)


class BadBroker(ValueError):
    """``[mqtt] url`` is not ``mqtt://[user:password@]host[:port]``."""

    def __init__(self) -> None:
        super().__init__("[mqtt] url: expected mqtt://[user:password@]host[:port]")


@dataclass(frozen=True, slots=True)
class Broker:
    """Where the broker listens, taken from its URL."""

    host: str
    port: int
    username: str | None
    password: str | None

    @classmethod
    def at(cls, url: str) -> Broker:
        """Raises BadBroker; the URL is not quoted, it may hold a password."""
        try:
            parts = urlsplit(url)
            port = parts.port or 1883
        except ValueError as error:
            raise BadBroker from error
        if parts.scheme != "mqtt" or not parts.hostname:
            raise BadBroker
        username = unquote(parts.username) if parts.username else None
        password = unquote(parts.password) if parts.password else None
        return cls(parts.hostname, port, username, password)

    def client(self, will: aiomqtt.Will | None = None) -> aiomqtt.Client:
        return aiomqtt.Client(
            self.host,
            self.port,
            username=self.username,
            password=self.password,
            will=will,
            timeout=_TIMEOUT_SECONDS,
            keepalive=_KEEPALIVE_SECONDS,
            # Without it, small packets wait for acknowledgements of earlier ones.
            socket_options=_SOCKET_OPTIONS,
        )


def state_topic(node: str, service: str) -> str:
    """``breachline/<node>/state`` for the hotline, ``.../state/<service>`` for the others."""
    topic = f"{ROOT}/{node}/state"
    return topic if service == MAIN_SERVICE else f"{topic}/{service}"


def nudge_topic(node: str) -> str:
    return f"{ROOT}/{node}/{NUDGE}"


@dataclass(frozen=True, slots=True)
class _Waiting:
    topic: str
    payload: bytes
    retain: bool


class EventPublisher:
    """One service's link to the broker: it comes back by itself, and nobody waits for it.

    ``connected``, ``dropped`` (messages lost because the broker was away for too long) and
    ``refused`` (messages that could not be sent as they were) are there to be looked at.
    """

    def __init__(
        self,
        url: str,
        node: str,
        service: str,
        *,
        on_nudge: Callable[[], None] | None = None,
        limit: int = _QUEUE,
    ) -> None:
        """Raises BadBroker. ``on_nudge``: called when somebody changed desired state."""
        self._broker = Broker.at(url)
        self._node = node
        self._service = service
        self._on_nudge = on_nudge
        self._limit = limit
        self._queue: deque[_Waiting] = deque()
        self._filled = asyncio.Event()
        self._stopping = asyncio.Event()
        self._retained: dict[str, _Waiting] = {}
        self._task: asyncio.Task[None] | None = None
        self.connected = False
        self.dropped = 0
        self.refused = 0
        self._warned_full = False
        self._warned_away = False

    async def start(self) -> None:
        """Begin to connect; does not wait for the broker."""
        if self._task is None:
            self._stopping.clear()
            self._task = asyncio.create_task(self._run(), name=f"events-{self._service}")

    async def stop(self) -> None:
        """Send what is queued (a second at most), say that the service is down, disconnect."""
        if self._task is None:
            return
        self._stopping.set()
        self._filled.set()
        done, _ = await asyncio.wait({self._task}, timeout=2 * _TIMEOUT_SECONDS)
        if not done:
            self._task.cancel()
            await asyncio.wait({self._task})
        self._task = None

    def publish(
        self, topic_suffix: str, payload: Mapping[str, Any], *, retain: bool = False
    ) -> None:
        """Queue one message to ``breachline/<topic_suffix>``; never blocks, never raises.

        When the queue is full the oldest message goes. A payload that is no JSON, or that holds
        what looks like a telephone number, is refused: logged, counted, not sent.
        """
        try:
            text = json.dumps(payload, separators=(",", ":"), allow_nan=False)
        except (TypeError, ValueError) as error:
            self._refuse(topic_suffix, f"it is no JSON ({type(error).__name__})")
            return
        if _PHONE.search(text) or _PHONE.search(topic_suffix):
            self._refuse(topic_suffix.split("/", 1)[0], "it holds a telephone number")
            return
        message = _Waiting(f"{ROOT}/{topic_suffix}", text.encode(), retain)
        if retain:
            self._retained[message.topic] = message
        self._enqueue(message)

    def _refuse(self, topic_suffix: str, reason: str) -> None:
        self.refused += 1
        log.error("MQTT: a message to %s was not sent: %s", topic_suffix, reason)

    def _enqueue(self, message: _Waiting) -> None:
        if len(self._queue) >= self._limit:
            self._queue.popleft()
            self.dropped += 1
            if not self._warned_full:
                self._warned_full = True
                log.warning("MQTT: the broker is away; the oldest events are being dropped")
        self._queue.append(message)
        self._filled.set()

    def _state(self, state: str) -> _Waiting:
        payload = {"service": self._service, "state": state, "at": round(time.time(), 3)}
        text = json.dumps(payload, separators=(",", ":"))
        return _Waiting(state_topic(self._node, self._service), text.encode(), retain=True)

    async def _run(self) -> None:
        delay = _FIRST_RETRY_SECONDS
        while not self._stopping.is_set():
            lost = self._state("lost")
            will = aiomqtt.Will(lost.topic, lost.payload, qos=1, retain=True)
            try:
                async with self._broker.client(will) as client:
                    delay = _FIRST_RETRY_SECONDS
                    await self._serve(client)
            except (aiomqtt.MqttError, OSError, TimeoutError) as error:
                self._away(error)
            finally:
                self.connected = False
            if not self._stopping.is_set():
                await self._pause(delay * random.uniform(0.5, 1.0))  # noqa: S311 - spreads load
                delay = min(delay * 2, _LAST_RETRY_SECONDS)

    def _away(self, error: Exception) -> None:
        level = logging.DEBUG if self._warned_away else logging.WARNING
        self._warned_away = True
        log.log(level, "MQTT: no link to the broker (%s); trying again", error)

    async def _pause(self, seconds: float) -> None:
        try:
            # Not asyncio.wait_for: up to Python 3.11 it can lose a cancellation.
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            return

    async def _serve(self, client: aiomqtt.Client) -> None:
        if self._on_nudge is not None:
            await client.subscribe(nudge_topic(self._node), qos=1)
        await self._send(client, self._state("up"))
        # The broker may have lost what it retained, and so may our queue.
        for message in tuple(self._retained.values()):
            await self._send(client, message)
        self.connected = True
        if self._warned_away:
            log.info("MQTT: linked again; %d events were dropped", self.dropped)
        self._warned_away = self._warned_full = False
        if self._on_nudge is not None:
            self._on_nudge()  # One may have been missed meanwhile.
        tasks = {
            asyncio.create_task(self._pump(client), name=f"events-pump-{self._service}"),
            asyncio.create_task(self._listen(client), name=f"events-listen-{self._service}"),
        }
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _pump(self, client: aiomqtt.Client) -> None:
        while not self._stopping.is_set():
            await self._filled.wait()
            self._filled.clear()
            await self._drain(client)
        try:
            async with asyncio.timeout(_DRAIN_SECONDS):
                await self._drain(client)
        except TimeoutError:
            log.warning("MQTT: stopped with %d events unsent", len(self._queue))
        await self._send(client, self._state("down"))

    async def _drain(self, client: aiomqtt.Client) -> None:
        while self._queue:
            message = self._queue[0]
            await self._send(client, message)
            # While it was being sent, the full queue may have dropped it.
            if self._queue and self._queue[0] is message:
                self._queue.popleft()

    @staticmethod
    async def _send(client: aiomqtt.Client, message: _Waiting) -> None:
        qos = 1 if message.retain else 0
        # Given a time-out, aiomqtt makes a task of every message; this one timer costs nothing.
        async with asyncio.timeout(_TIMEOUT_SECONDS):
            await client.publish(
                message.topic, message.payload, qos=qos, retain=message.retain, timeout=math.inf
            )

    async def _listen(self, client: aiomqtt.Client) -> None:
        async for _ in client.messages:
            if self._on_nudge is not None:
                self._on_nudge()


async def nudge(url: str, node: str, *, timeout: float = 2.0) -> bool:
    """Ask a node's services to read desired state now; says whether the broker took it.

    Without a broker nothing is lost: services look by themselves every second or so.
    Raises BadBroker.
    """
    broker = Broker.at(url)
    try:
        async with asyncio.timeout(timeout), broker.client() as client:
            await client.publish(nudge_topic(node), b"{}", qos=1)
    except (aiomqtt.MqttError, OSError, TimeoutError):
        return False
    return True
