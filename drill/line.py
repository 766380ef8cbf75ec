"""Telephone lines of simulated callers: placed, pressed on and heard through the second Asterisk.

A caller meets only what the line brings: that it was answered, the sound of an agent (the key "A",
see ``drill/network/extensions.conf``), and its end.
"""

from __future__ import annotations

import asyncio
import re
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from pbx.ami import AmiClient, AmiError, Event

AGENT_SOUND: Final = "A"
RING_MS: Final = 20000
KEY_MS: Final = 100
PAUSE: Final = 0.9
"""Seconds without a sound after which a caller takes it to be the own turn."""
LOOK: Final = 0.25
_PORT: Final = re.compile(r":([0-9]+)$")


@dataclass(eq=False, slots=True)
class Line:
    """One call as its caller meets it. Times are Unix seconds; ``cause``: Q.850, of its end.

    ``port``: where the line's sound arrives; 0 before it was answered.
    """

    id: str
    placed_at: float
    answered: asyncio.Event = field(default_factory=asyncio.Event)
    agent: asyncio.Event = field(default_factory=asyncio.Event)
    over: asyncio.Event = field(default_factory=asyncio.Event)
    answered_at: float | None = None
    agent_at: float | None = None
    over_at: float | None = None
    cause: int = 0
    port: int = 0
    hung_up: bool = False
    """By the caller."""

    async def until(self, event: asyncio.Event, seconds: float) -> bool:
        """Wait for something on this line, or its end; whether that something has come."""
        if seconds > 0 and not event.is_set() and not self.over.is_set():
            waits = [
                asyncio.create_task(each.wait(), name="drill:line") for each in (event, self.over)
            ]
            try:
                await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for each in waits:
                    each.cancel()
                await asyncio.gather(*waits, return_exceptions=True)
        return event.is_set()


class Lines:
    """Every line of a drill. ``keys``: manager sessions for pressing keys, one key at a time each
    (Asterisk holds a session for as long as a key is down); ``quiet``: for how many seconds nothing
    has been heard on a line."""

    def __init__(
        self,
        ami: AmiClient,
        keys: Sequence[AmiClient],
        *,
        trunk: str = "pbx",
        on_answer: Callable[[Line], None] = lambda _line: None,
        on_over: Callable[[Line], None] = lambda _line: None,
        quiet: Callable[[Line], float] = lambda _line: 0.0,
    ) -> None:
        self._ami = ami
        self._trunk = trunk
        self._on_answer = on_answer
        self._on_over = on_over
        self._quiet = quiet
        self._open: dict[str, Line] = {}
        self._fingers: asyncio.Queue[AmiClient] = asyncio.Queue()
        for each in keys:
            self._fingers.put_nowait(each)
        self._undo = [
            ami.subscribe(["UserEvent"], self._up),
            ami.subscribe(["DTMFBegin", "DTMFEnd"], self._heard),
            ami.subscribe(["Hangup"], self._gone),
            ami.subscribe(["OriginateResponse"], self._placed),
        ]

    def close(self) -> None:
        for undo in self._undo:
            undo()

    @property
    def open(self) -> int:
        return len(self._open)

    async def place(self, number: str, caller: str) -> Line:
        """Dial; the line rings, and tells what happens."""
        line = Line(uuid.uuid4().hex, time.time())
        self._open[line.id] = line
        try:
            await self._ami.originate(
                channel=f"PJSIP/{number}@{self._trunk}",
                context="surge-caller",
                exten="s",
                channel_id=line.id,
                timeout_ms=RING_MS,
                caller_id=f"<{caller}>",
                variables={"CALLER": line.id},
            )
        except AmiError:
            self._end(line, 0)
        return line

    async def asked(self, line: Line, seconds: float) -> bool:
        """Wait until the other side has stopped speaking, as it does for an answer, ``seconds`` at
        most; not on a line that is over or has an agent. Whether the line is over."""
        ends = time.monotonic() + seconds
        while not line.over.is_set() and not line.agent.is_set():
            left = ends - time.monotonic()
            if left <= 0 or self._quiet(line) >= PAUSE:
                break
            await asyncio.sleep(min(LOOK, left))
        return line.over.is_set()

    async def press(self, line: Line, key: str) -> None:
        """Press one key, unless the line is over."""
        finger = await self._fingers.get()
        try:
            if not line.over.is_set():
                with suppress(AmiError):  # over in this moment: there is no such channel any more
                    await finger.action(
                        "PlayDTMF",
                        {"Channel": line.id, "Digit": key, "Duration": str(KEY_MS)},
                    )
        finally:
            self._fingers.put_nowait(finger)

    async def hang_up(self, line: Line) -> None:
        """Hang up, and wait until the line is over."""
        if not line.over.is_set():
            line.hung_up = True
            with suppress(AmiError):
                await self._ami.action("Hangup", {"Channel": line.id, "Cause": "16"})
        with suppress(TimeoutError):
            async with asyncio.timeout(10):
                await line.over.wait()

    def _up(self, event: Event) -> None:
        line = self._open.get(event.get("Caller"))
        if event.get("UserEvent") == "DrillUp" and line is not None:
            found = _PORT.search(event.get("Rtp"))
            line.port = int(found[1]) if found else 0
            line.answered_at = time.time()
            line.answered.set()
            self._on_answer(line)

    def _heard(self, event: Event) -> None:
        line = self._open.get(event.get("Uniqueid"))
        if (
            line is not None
            and event.get("Digit") == AGENT_SOUND
            and event.get("Direction") == "Received"
            and line.agent_at is None
        ):
            line.agent_at = time.time()
            line.agent.set()

    def _gone(self, event: Event) -> None:
        line = self._open.get(event.get("Uniqueid"))
        if line is not None:
            self._end(line, int(event.get("Cause") or 0))

    def _placed(self, event: Event) -> None:
        line = self._open.get(event.get("Uniqueid"))
        if line is not None and event.get("Response") != "Success":
            self._end(line, 0)

    def _end(self, line: Line, cause: int) -> None:
        del self._open[line.id]
        line.cause = cause
        line.over_at = time.time()
        line.over.set()
        self._on_over(line)
