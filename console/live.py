"""What is going on now, once a second: a line that rewrites itself, or one every ten seconds
where the output is no terminal."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Final

from rich.live import Live as RichLive
from rich.text import Text
from sqlalchemy import func, select

from console.door import err
from drill.callers import Callers
from incident.store.attempts import open_attempts, outcomes
from incident.store.campaigns import counts
from incident.store.engine import Store
from incident.store.schema import CallRow

QUIET: Final = 10.0


class Live:
    """Shows calls and the campaign while they run; use as a context manager."""

    def __init__(self, store: Store, campaign: str, callers: Sequence[Callers]) -> None:
        self._store = store
        self._campaign = campaign
        self._callers = callers
        self._screen = RichLive(console=err, refresh_per_second=4, transient=True)
        self._began = time.monotonic()
        self._printed = 0.0

    def __enter__(self) -> Live:
        if err.is_terminal:
            self._screen.start()
        return self

    def __exit__(self, *_: object) -> None:
        if err.is_terminal:
            self._screen.stop()

    async def show(self) -> None:
        """Read the store and show it."""
        now = time.monotonic()
        if not err.is_terminal and now - self._printed < QUIET:
            return
        self._printed = now
        line = await self._line(now - self._began)
        if err.is_terminal:
            self._screen.update(Text(line))
        else:
            err.print(line)

    async def _line(self, seconds: float) -> str:
        waiting = select(func.count()).where(
            CallRow.ended_at.is_(None),
            CallRow.queued_at.is_not(None),
            CallRow.connected_at.is_(None),
        )
        async with self._store.read() as session:
            in_queue = await session.scalar(waiting)
        ended = await outcomes(self._store, self._campaign)
        left = await counts(self._store, self._campaign)
        active = sum(each.active for each in self._callers)
        done = sum(len(each.results) for each in self._callers)
        return (
            f"{seconds:4.0f} s  callers: {active} on the line, {in_queue} waiting, {done} done;  "
            f"campaign: {sum(ended.values())} dialled, {ended.get('connected', 0)} connected, "
            f"{left.get('ready', 0)} to go"
        )


async def drained(
    store: Store, campaign: str, callers: Sequence[Callers], live: Live, timeout: float
) -> None:
    """Wait until no simulated caller and no attempt is in progress, at most ``timeout`` seconds."""
    ends = time.monotonic() + timeout
    while time.monotonic() < ends:
        open_now = [each for each in await open_attempts(store) if each.campaign == campaign]
        if not open_now and not any(each.active for each in callers):
            return
        await live.show()
        await asyncio.sleep(0.5)
