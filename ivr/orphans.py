"""Placeholders of places that nobody will ever hear of: a spooled request that was refused, or one
of a number that has an earlier place. An agent who got one would wait for nothing."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from incident.store.callbacks import known_tokens
from incident.store.engine import Store
from pbx import names
from pbx.ami import AmiClient, Refused
from pbx.spool import list_spooled, source_key

ORPHAN_SECONDS: Final = 5.0
"""So long a request may be on its way into the store or the spool once its caller has gone."""


class Orphans:
    """``spool``: the folder of the requests that the store has not taken yet."""

    def __init__(
        self, ami: AmiClient, store: Store, spool: Path, clock: Callable[[], float]
    ) -> None:
        self._ami = ami
        self._store = store
        self._spool = spool
        self._clock = clock
        self._since: dict[str, dict[str, float]] = defaultdict(dict)

    async def among(self, queue: str, strangers: Mapping[str, str]) -> frozenset[str]:
        """Which placeholders of a queue nobody asks for any more. ``strangers``: those whose tokens
        the store does not know, with their channels.

        Raises AmiError, OSError and what the store raises."""
        before, now = self._since[queue], self._clock()
        since: dict[str, float] = {}
        for token, channel in strangers.items():
            if not await self._has_owner(channel):
                since[token] = before.get(token, now)
        self._since[queue] = since
        old = {token for token, at in since.items() if now - at >= ORPHAN_SECONDS}
        if not old:
            return frozenset()
        # In this order: a request goes from the spool once the store has it.
        paths = await asyncio.to_thread(list_spooled, self._spool)
        old -= {source_key(path) for path in paths}
        return frozenset(old - await known_tokens(self._store, old))

    async def _has_owner(self, channel: str) -> bool:
        """Whether the caller who asks for the place is on the line, giving a number."""
        try:
            owner = await self._value(names.OWNER, channel)
            return bool(owner) and await self._value(f"CHANNEL_EXISTS({owner})") == "1"
        except Refused:
            return True  # the placeholder has gone by itself

    async def _value(self, variable: str, channel: str = "") -> str:
        fields = {"Variable": variable, **({"Channel": channel} if channel else {})}
        return (await self._ami.action("Getvar", fields)).get("Value")
