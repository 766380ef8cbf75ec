"""Sees to it that every kept place that is due stands in line, once, where it belongs.

The dialplan puts placeholders into the line and needs nobody for it; here is healed what it cannot
know: places whose hour has come, an Asterisk that was started anew, hours that end, places that
were given up. Who is served next is app_queue's business alone.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final

from sqlalchemy.exc import SQLAlchemyError

from incident.store.callbacks import Place, cancel, open_places, over_tokens
from incident.store.engine import Store, StoreError
from ivr.calls import CallBook
from ivr.keeping.order import Action, Grace, Insert, Remove, repair, stale
from ivr.keeping.times import due
from ivr.lineup import Entry, Lineup
from ivr.orphans import Orphans
from ivr.served import Incidents
from pbx import names
from pbx.ami import AmiClient, AmiError, Event, Refused

log: Final = logging.getLogger(__name__)

EVENTS: Final = ("QueueCallerJoin", "QueueCallerLeave", "AgentConnect")
LOOK_SECONDS: Final = 1.0
DOUBT_SECONDS: Final = 1.5
"""After a restart it is known to the second since when somebody waits."""
STAYED: Final = "stayed in line in person"
CAME: Final = "came back in person and met an agent"
MOVE: Final = "move"
OPEN_SECONDS: Final = 5.0
"""So long after it is known who stands in line, new callers wait for kept places to be put back."""
OPEN: Final = "open"
_LIFE_MS: Final = 30000
_MOVED: Final = 1000
"""Placeholders of which it is remembered where they were moved to, before those gone are left out.
"""


class Keeper:
    """``node``: of this Asterisk, whose callers' places stand here. ``spool``: the folder of the
    requests that the store has not taken yet. Have ``run`` running."""

    def __init__(
        self,
        *,
        node: str,
        ami: AmiClient,
        store: Store,
        incidents: Incidents,
        lineup: Lineup,
        book: CallBook,
        spool: Path,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._node = node
        self._ami = ami
        self._store = store
        self._incidents = incidents
        self._lineup = lineup
        self._book = book
        self._clock = clock
        self._orphans = Orphans(ami, store, spool, clock)
        self._nudged = asyncio.Event()
        self._grace = Grace()
        self._moved: dict[str, tuple[str, ...]] = {}
        self._ready = False
        self._opened = False
        self._settled_at = 0.0
        self._failing = False

    @property
    def ready(self) -> bool:
        """It is known who stands in line, and which tries are over."""
        return self._ready

    def settled(self) -> None:
        """What happened while we did not listen has been found out."""
        self._ready = True
        self._settled_at = self._clock()
        self.nudge()

    def lost(self) -> None:
        """The link to Asterisk is down."""
        self._ready = self._opened = False

    def nudge(self) -> None:
        """Some place has changed: look at once."""
        self._nudged.set()

    def on_event(self, event: Event) -> None:
        token = names.kept_token(event.get("Channel"))
        if token is None:
            if event.name.lower() == "agentconnect":
                self.nudge()
            return
        if event.name.lower() == "queuecallerjoin":
            self._grace.clear(token)
            if not self._opened:
                self.nudge()
        elif event.name.lower() == "queuecallerleave":
            # To an agent, perhaps: what becomes of the place is being written.
            self._grace.note(token, self._clock())

    async def run(self) -> None:
        while True:
            try:
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._nudged.wait()
            except TimeoutError:
                pass
            self._nudged.clear()
            if not (self._ready and self._ami.connected) or self._lineup.adrift:
                continue
            try:
                await self._look()
            except (AmiError, SQLAlchemyError, StoreError, OSError) as error:
                level = logging.DEBUG if self._failing else logging.WARNING
                self._failing = True
                log.log(level, "kept places cannot be looked after (%s)", type(error).__name__)
            else:
                self._failing = False

    async def _look(self) -> None:
        for token in self._book.met_in_person():
            # Wherever the place is looked after: nobody is called who has talked with an agent.
            await cancel(self._store, token, CAME, self._clock())
            self._book.settled(token)
        places = [place for place in await open_places(self._store) if self._here(place)]
        places = [place for place in places if not await self._stayed(place)]
        now = self._clock()
        wanted: dict[str, list[Place]] = defaultdict(list)
        in_person = self._book.in_person_now()
        for place in places:
            if place.token in in_person:
                continue
            served = self._incidents.get(place.incident)
            if served is not None and due(place, now, served.plan.hours):
                wanted[self._queue(place)].append(place)
        living = {place.token for place in places}
        for queue in self._incidents.queues():
            await self._put_right(queue, wanted[queue], living)
        await self._let_in({place.token for each in wanted.values() for place in each})

    async def _let_in(self, wanted: set[str]) -> None:
        """Nobody joins the line of an Asterisk that was started anew before the kept places stand
        in it (``[line-gate]`` of the dialplan, which does not wait for ever)."""
        if self._opened:
            return
        missing = any(self._lineup.placeholder(token) is None for token in wanted)
        if missing and self._clock() - self._settled_at < OPEN_SECONDS:
            return
        await self._ami.action("Setvar", {"Variable": names.LINE, "Value": OPEN})
        self._opened = True

    def _here(self, place: Place) -> bool:
        return place.call_id is None or place.call_id.startswith(f"{self._node}-")

    def _queue(self, place: Place) -> str:
        """As the dialplan has it: a language without a queue waits in the first one's."""
        served = self._incidents.all[place.incident]
        language = place.language if place.language in served.languages else served.languages[0]
        return names.queue(place.incident, language)

    async def _stayed(self, place: Place) -> bool:
        """Whether the place is over, because its owner stands in line after all: the hotline died
        after it had kept the place, and the dialplan, which did not hear of it, let the caller
        wait."""
        if place.call_id is None or self._lineup.queue_of(place.call_id) is None:
            return False
        await cancel(self._store, place.token, STAYED, self._clock())
        return True

    async def _put_right(self, queue: str, wanted: Sequence[Place], living: set[str]) -> None:
        line = self._lineup.entries(queue)
        standing = {entry.token: entry.channel for entry in line if entry.kept and entry.token}
        if not standing and not wanted:
            return
        # A place may have been kept since ``living`` was looked up: it is a stranger until then.
        known = living | await over_tokens(self._store, standing.keys() - living)
        strangers = {token: standing[token] for token in standing.keys() - known}
        orphans = await self._orphans.among(queue, strangers)
        # The line may have moved meanwhile.
        line = self._lineup.entries(queue)
        pending = {entry.token for entry in line if entry.token is not None} - orphans
        over = stale(line, wanted, known, pending=pending)
        actions = repair(
            line,
            wanted,
            over=over,
            held=self._grace.held(self._clock()),
            doubt=DOUBT_SECONDS,
        )
        await self._do(queue, line, wanted, actions)

    async def _do(
        self,
        queue: str,
        line: Sequence[Entry],
        wanted: Sequence[Place],
        actions: Sequence[Action],
    ) -> None:
        inserts = [action for action in actions if isinstance(action, Insert)]
        standing = {entry.token: entry for entry in line if entry.kept and entry.token}
        moves = [action.token for action in inserts if action.token in standing]
        for action in actions:
            if isinstance(action, Remove) and action.token not in moves:
                await self._take_out(queue, action.channel, "")
        for token in moves:
            await self._move(queue, line, standing[token])
        fresh = [action for action in inserts if action.token not in moves]
        if not fresh:
            return
        # One that is in no line may be with an agent, or about to come: never make a second one.
        alive = await self._alive()
        places = {place.token: place for place in wanted}
        for action in fresh:
            if action.token not in alive:
                await self._put_in(queue, places[action.token], action.position)

    async def _alive(self) -> set[str | None]:
        channels = await self._ami.collect("CoreShowChannels", timeout=15.0)
        return {names.kept_token(event.get("Channel")) for event in channels}

    async def _put_in(self, queue: str, place: Place, position: int) -> None:
        self._grace.note(place.token, self._clock())
        await self._ami.originate(
            channel=names.placeholder(place.token),
            context=names.KEPT_NEAR,
            exten="s",
            # Asterisk refuses a second channel of the same id while the first one lives.
            channel_id=f"kept-{place.token}",
            timeout_ms=_LIFE_MS,
            caller_id="",
            variables={
                f"__{names.KEPT}": place.token,
                f"__{names.RANK}": names.milliseconds(place.rank),
                f"__{names.INCIDENT}": place.incident,
                f"__{names.LANGUAGE}": place.language,
                f"__{names.QUEUE}": queue,
                f"__{names.RELAY}": "1" if place.relay else "",
                names.HINT: str(position),
            },
        )

    async def _move(self, queue: str, line: Sequence[Entry], entry: Entry) -> None:
        """Have a placeholder stand where its rank belongs, unless it did so in this very line: the
        dialplan knows ranks better than we do."""
        if len(self._moved) > _MOVED:
            self._moved = {
                one: seen
                for one, seen in self._moved.items()
                if self._lineup.queue_of(one) is not None
            }
        before = tuple(each.unique_id for each in _ahead(line, entry))
        if self._moved.get(entry.unique_id) == before:
            return
        self._moved[entry.unique_id] = before
        await self._take_out(queue, entry.channel, MOVE)

    async def _take_out(self, queue: str, channel: str, why: str) -> None:
        try:
            await self._ami.action(
                "QueueWithdrawCaller", {"Queue": queue, "Caller": channel, "WithdrawInfo": why}
            )
        except Refused as error:
            log.debug("a placeholder left by itself a moment ago (%s)", error)


def _ahead(line: Sequence[Entry], entry: Entry) -> Iterable[Entry]:
    for each in line:
        if each.unique_id == entry.unique_id:
            return
        yield each
