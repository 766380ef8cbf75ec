"""After a restart, or a lost link to Asterisk: which calls are still there, and how the others
ended. What nobody saw is said to be unobserved, never guessed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from incident.outcomes import CallOutcome
from incident.store.calls import calls_with_callback, known_calls, open_calls
from incident.store.engine import Store
from ivr import queue_log
from ivr.agents import Agents
from ivr.calls import EMERGENCY, Call, CallBook, is_inbound, restored
from ivr.lineup import Lineup
from ivr.queue_log import Waited
from ivr.ranks import ask_ranks
from ivr.served import Incidents
from pbx.ami import AmiClient
from pbx.spool import CallbackRequest

log: Final = logging.getLogger(__name__)

UNSEEN_SECONDS: Final = 6 * 3600.0
"""How far back calls are looked for that came and went while the hotline was down."""


class Reconciler:
    """``log_file``: Asterisk's queue log."""

    def __init__(
        self,
        *,
        node: str,
        store: Store,
        incidents: Incidents,
        book: CallBook,
        agents: Agents,
        lineup: Lineup,
        log_file: Path,
    ) -> None:
        self._node = node
        self._store = store
        self._incidents = incidents
        self._book = book
        self._agents = agents
        self._lineup = lineup
        self._log_file = log_file

    async def restore(self) -> int:
        """Take over the calls that were open when the hotline was last there; how many."""
        rows = await open_calls(self._store, self._node)
        left = await calls_with_callback(self._store, [row.id for row in rows])
        for row in rows:
            self._book.adopt(restored(row, left_number=row.id in left))
        return len(rows)

    async def left_number(self, request: CallbackRequest) -> None:
        """A caller of the emergency path left a number: that is the call's outcome."""
        call = self._book.get(request.call_id)
        if call is not None:
            call.left_number = True
            self._book.save(call)
            return
        if not is_inbound(request.call_id) or request.incident not in self._incidents.all:
            return
        if request.call_id in await known_calls(self._store, [request.call_id]):
            return
        call = self._book.begin(
            request.call_id, request.incident, via=EMERGENCY, at=request.requested_at
        )
        call.language, call.left_number = request.language[:8], True
        self._book.end(call, self._book.now())

    async def with_asterisk(self, client: AmiClient) -> None:
        """Ask what is there now and close what is not. Raises AmiError, OSError."""
        before = {call.id for call in self._book}
        await self.list_queues(client)
        channels = await client.collect("CoreShowChannels", timeout=15.0)
        live = {event.get("Uniqueid") for event in channels}
        bridged = {event.get("Uniqueid") for event in channels if event.get("BridgeId")}
        history = await asyncio.to_thread(queue_log.read, self._log_file)
        gone = 0
        for call in self._book:
            if call.id in live:
                self._catch_up(call, history.get(call.id), bridged=call.id in bridged)
            elif call.id in before:
                self._close(call, history.get(call.id))
                gone += 1
        unseen = await self._unseen(history, live)
        if gone or unseen:
            log.info("closed %d calls that ended unseen; %d more were found", gone, unseen)

    async def list_queues(self, client: AmiClient) -> None:
        """Have Asterisk say who stands in line and who serves. Raises AmiError."""
        self._agents.listing()
        self._lineup.listing()
        # Handlers (waiting, agents, lineup) take the items of this list in as they come.
        await client.collect("QueueStatus", timeout=15.0)
        self._agents.listed()
        self._lineup.listed()
        await ask_ranks(client, self._lineup)

    def _catch_up(self, call: Call, waited: Waited | None, *, bridged: bool) -> None:
        """A call that is still there may have entered the queue or met its agent meanwhile."""
        if waited is None:
            return
        self._came_back(call, waited)
        if call.queued_at is None and waited.entered_at is not None:
            self._book.queued(call, self._language(waited, call), waited.entered_at)
        if bridged and waited.connected_at is not None:
            self._book.connected(call, waited.agent or "", waited.connected_at)
        elif waited.outcome is CallOutcome.NO_AGENT and waited.ended_at is not None:
            self._book.left_queue(call, waited.ended_at)

    def _close(self, call: Call, waited: Waited | None) -> None:
        now = self._book.now()
        if waited is None or waited.outcome is None:
            known = call.connected_at is not None or call.left_number
            self._book.end(call, now, None if known else CallOutcome.UNOBSERVED)
            return
        self._came_back(call, waited)
        if waited.entered_at is not None:
            self._book.queued(call, self._language(waited, call), waited.entered_at)
        if waited.connected_at is not None:
            self._book.connected(call, waited.agent or "", waited.connected_at)
        elif waited.outcome is CallOutcome.NO_AGENT and waited.ended_at is not None:
            self._book.left_queue(call, waited.ended_at)
        outcome = None if call.left_number else waited.outcome
        self._book.end(call, waited.ended_at or now, outcome)

    def _came_back(self, call: Call, waited: Waited) -> None:
        if waited.came_back and call.ringing_elsewhere:
            self._book.came_back(call, "unseen")

    def _language(self, waited: Waited, call: Call) -> str:
        queue = self._incidents.queues().get(waited.queue)
        return queue[1] if queue is not None else call.language or ""

    async def _unseen(self, history: Mapping[str, Waited], live: set[str]) -> int:
        """Calls that entered a callers' queue and ended while nobody was there to write them."""
        since = self._book.now() - UNSEEN_SECONDS
        queues = self._incidents.queues()
        wanted = {
            unique_id: waited
            for unique_id, waited in history.items()
            if waited.queue in queues
            and waited.ended_at is not None
            and (waited.entered_at or 0.0) >= since
            and unique_id not in live
            and is_inbound(unique_id)
            and self._book.get(unique_id) is None
        }
        known = await known_calls(self._store, wanted)
        found = 0
        for unique_id, waited in wanted.items():
            # Asked again: the call may have been written while the store was being read.
            if unique_id in known or self._book.get(unique_id) is not None:
                continue
            incident, _ = queues[waited.queue]
            call = self._book.begin(unique_id, incident, via=EMERGENCY, at=waited.entered_at)
            self._close(call, waited)
            found += 1
        return found
