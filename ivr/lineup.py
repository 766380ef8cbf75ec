"""Who stands where in each callers' queue, as Asterisk tells it.

The order is app_queue's own and this only follows it, event by event, so that everybody else can
ask: how many are ahead, and where does somebody belong who joined the line at a certain time.
"""

from __future__ import annotations

import re
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from pbx import names
from pbx.ami import Event

EVENTS: Final = (
    "QueueCallerJoin",
    "QueueCallerLeave",
    "QueueCallerAbandon",
    "QueueEntry",
    "Hangup",
    "UserEvent",
)
_PLACES: Final = 10_000
"""Places announced by the dialplan and not in a queue yet that are remembered."""
_PLACEHOLDER: Final = "Local/"
_TOKEN: Final = re.compile(r"[0-9a-f]{32}")
_TOKEN_IN_NAME: Final = re.compile(r"Local/([0-9a-f]{32})@")


@dataclass(frozen=True, slots=True)
class Entry:
    """One in line. Times are Unix seconds.

    ``token``: of the kept place that this placeholder stands for; none for a caller on the line,
    and for a placeholder of which it is not known yet (`Lineup.unnamed`). ``rank``: when this
    person joined the line, which is ``joined`` unless the place was kept.
    """

    channel: str
    unique_id: str
    token: str | None
    rank: float
    joined: float

    @property
    def kept(self) -> bool:
        """A placeholder; nobody listens."""
        return is_placeholder(self.channel)


def is_placeholder(channel: str) -> bool:
    """Whether a channel stands in line for a kept place.

    Local channels have unique ids like a caller's, given by Asterisk: only the name tells.
    """
    return channel.startswith(_PLACEHOLDER)


class Lineup:
    """The lines of the callers' queues named by ``serve``, each in app_queue's order."""

    def __init__(self, *, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._lines: dict[str, list[Entry]] = {}
        self._where: dict[str, str] = {}
        self._places: OrderedDict[str, tuple[str | None, float]] = OrderedDict()
        self._guessed: set[str] = set()
        self._listed: dict[str, list[tuple[int, Entry]]] | None = None
        self._late: list[tuple[str, int, Entry]] = []
        self._adrift = False
        self._handlers: Mapping[str, Callable[[Event], None]] = {
            "queuecallerjoin": self._join,
            "queuecallerleave": self._leave,
            "queuecallerabandon": self._gone,
            "queueentry": self._entry,
            "hangup": self._gone,
            "userevent": self._user_event,
        }

    def serve(self, queues: Iterable[str]) -> None:
        """These callers' queues are followed. Lines of queues that went are kept while used."""
        for queue in queues:
            self._lines.setdefault(queue, [])

    def on_event(self, event: Event) -> None:
        """Any of ``EVENTS``."""
        handler = self._handlers.get(event.name.lower())
        if handler is not None:
            handler(event)

    # What others ask

    def queues(self) -> tuple[str, ...]:
        return tuple(self._lines)

    def entries(self, queue: str) -> tuple[Entry, ...]:
        """The line, the one who is next first; nobody for a queue that is not known."""
        return tuple(self._lines.get(queue, ()))

    def queue_of(self, unique_id: str) -> str | None:
        """The queue in which somebody stands."""
        return self._where.get(unique_id)

    def entry(self, unique_id: str) -> Entry | None:
        found = self._find(unique_id)
        return found[0][found[1]] if found else None

    def position(self, unique_id: str) -> int | None:
        """Place in line, from 1; None for somebody who is in none."""
        found = self._find(unique_id)
        return found[1] + 1 if found else None

    def position_for(self, queue: str, rank: float) -> int:
        """Where somebody of this rank belongs: behind everyone who joined earlier, from 1."""
        return 1 + sum(entry.rank < rank for entry in self._lines.get(queue, ()))

    def placeholder(self, token: str) -> Entry | None:
        """Who stands in line for a kept place, in whichever queue."""
        for line in self._lines.values():
            for entry in line:
                if entry.token == token:
                    return entry
        return None

    def unnamed(self) -> tuple[Entry, ...]:
        """Placeholders whose token is not known: they were here before us. Ask for the channel's
        variable BL_KEPT, then ``name`` them."""
        return tuple(
            entry
            for line in self._lines.values()
            for entry in line
            if entry.kept and entry.token is None
        )

    def guessed(self) -> tuple[Entry, ...]:
        """Whose rank is no better than what a list says: see `ivr.ranks`."""
        found = (self.entry(unique_id) for unique_id in self._guessed)
        return tuple(entry for entry in found if entry is not None)

    def name(self, unique_id: str, token: str | None, rank: float | None = None) -> None:
        """What is known of somebody in line, or about to join: the place kept, and its rank (None:
        no better one than is known)."""
        self._guessed.discard(unique_id)
        found = self._find(unique_id)
        if found is not None:
            line, index = found
            old = line[index]
            line[index] = replace(
                old, token=token or old.token, rank=old.rank if rank is None else rank
            )
            return
        self._places[unique_id] = (token, self._clock() if rank is None else rank)
        self._places.move_to_end(unique_id)
        while len(self._places) > _PLACES:
            self._places.popitem(last=False)

    @property
    def adrift(self) -> bool:
        """An event told of another line than this one: have Asterisk list them all again."""
        return self._adrift

    # After a lost link

    def listing(self) -> None:
        """A list of all queues (QueueStatus) has been asked for."""
        self._listed, self._late = {}, []

    def listed(self) -> None:
        """The list is complete. Whoever is not on it has left meanwhile."""
        if self._listed is None:
            return
        known = {entry.unique_id: entry for line in self._lines.values() for entry in line}
        listed, late = self._listed, self._late
        self._listed, self._late = None, []
        self._lines = {queue: [] for queue in self._lines}
        self._where.clear()
        for queue, found in listed.items():
            for _, entry in sorted(found, key=lambda item: item[0]):
                # The list knows whole seconds; what was seen then is better.
                self._put(queue, len(self._lines[queue]) + 1, known.get(entry.unique_id, entry))
        for queue, position, entry in late:
            self._put(queue, position, entry)
        self._guessed &= self._where.keys()
        self._adrift = False

    def lost(self) -> None:
        """The link is down. The lines stay as they were seen last; a list will correct them."""
        self._listed, self._late = None, []

    # Events

    def _find(self, unique_id: str) -> tuple[list[Entry], int] | None:
        queue = self._where.get(unique_id)
        if queue is not None:
            line = self._lines[queue]
            for index, entry in enumerate(line):
                if entry.unique_id == unique_id:
                    return line, index
        return None

    def _put(self, queue: str, position: int, entry: Entry) -> None:
        if entry.unique_id in self._where:
            return
        line = self._lines[queue]
        if position > len(line) + 1:
            self._adrift = True
        line.insert(max(0, position - 1), entry)
        self._where[entry.unique_id] = queue

    def _fresh(self, event: Event, joined: float) -> Entry:
        unique_id = event.get("Uniqueid")
        channel = event.get("Channel")
        named = _TOKEN_IN_NAME.match(channel)
        token, rank = self._places.pop(unique_id, (None, joined))
        return Entry(channel, unique_id, token or (named[1] if named else None), rank, joined)

    def _join(self, event: Event) -> None:
        queue, unique_id = event.get("Queue"), event.get("Uniqueid")
        if queue not in self._lines or not unique_id:
            return
        if unique_id in self._where and self._where[unique_id] != queue:
            self._remove(unique_id)
        known = self.entry(unique_id)
        entry = known or self._fresh(event, self._clock())
        position = _number(event.get("Position")) or len(self._lines[queue]) + 1
        if self._listed is not None:
            self._late.append((queue, position, entry))
        self._put(queue, position, entry)
        self._compare(queue, event)

    def _leave(self, event: Event) -> None:
        self._gone(event)
        self._compare(event.get("Queue"), event)

    def _gone(self, event: Event) -> None:
        self._remove(event.get("Uniqueid"))

    def _remove(self, unique_id: str) -> None:
        self._places.pop(unique_id, None)
        self._guessed.discard(unique_id)
        found = self._find(unique_id)
        if found is not None:
            line, index = found
            del line[index]
            del self._where[unique_id]
        if self._listed is not None:
            self._listed = {
                queue: [item for item in line if item[1].unique_id != unique_id]
                for queue, line in self._listed.items()
            }
            self._late = [item for item in self._late if item[2].unique_id != unique_id]

    def _entry(self, event: Event) -> None:
        """QueueEntry: waits since ``Wait`` seconds."""
        queue = event.get("Queue")
        if self._listed is None or queue not in self._lines:
            return
        unique_id = event.get("Uniqueid")
        known = self.entry(unique_id)
        if known is None and unique_id not in self._places:
            self._guessed.add(unique_id)
        entry = known or self._fresh(event, self._clock() - _number(event.get("Wait")))
        self._listed.setdefault(queue, []).append((_number(event.get("Position")), entry))

    def _user_event(self, event: Event) -> None:
        if event.get("UserEvent") != names.EVENT_PLACE:
            return
        unique_id, token, rank = event.get("Call"), event.get("Token"), _real(event.get("Rank"))
        if unique_id:
            self.name(unique_id, token if _TOKEN.fullmatch(token) else None, rank)

    def _compare(self, queue: str, event: Event) -> None:
        """Each event says how many stand in line now."""
        count = event.get("Count")
        if queue in self._lines and count and _number(count) != len(self._lines[queue]):
            self._adrift = True


def _number(text: str) -> int:
    return int(text) if re.fullmatch(r"[0-9]{1,9}", text) else 0


def _real(text: str) -> float | None:
    return float(text) if re.fullmatch(r"[0-9]{1,12}(\.[0-9]{1,9})?", text) else None
