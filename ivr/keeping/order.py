"""Where kept places belong in line, and what has to be done so that they stand there.

A caller's *rank* is when they joined the line (Unix seconds). The order of the callers on the line
is app_queue's own and nobody changes it; a kept place is stood for by a placeholder, which belongs
behind everyone of an older rank and before everyone of a younger one.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

GRACE_SECONDS: Final = 5.0
TIE_SECONDS: Final = 0.001
"""Ranks as close as this are equal: the line itself says who was first."""


class InLine(Protocol):
    """Somebody who stands in a queue (`ivr.lineup.Entry`). ``kept``: a placeholder; ``token``: of
    the place that it stands for, where that is known."""

    @property
    def channel(self) -> str: ...
    @property
    def rank(self) -> float: ...
    @property
    def token(self) -> str | None: ...
    @property
    def kept(self) -> bool: ...


class Wanted(Protocol):
    """A place that should stand in this queue now (`incident.store.callbacks.Place`)."""

    @property
    def id(self) -> int: ...
    @property
    def token(self) -> str: ...
    @property
    def rank(self) -> float: ...


@dataclass(frozen=True, slots=True)
class Insert:
    """Put a placeholder for this place in at ``position`` (1: the head), counted in the line as it
    is once the actions before this one are done."""

    token: str
    rank: float
    position: int


@dataclass(frozen=True, slots=True)
class Remove:
    """Take this placeholder out. When it is gone already, that is as well."""

    channel: str
    token: str


Action = Insert | Remove


def position_for(line: Sequence[InLine], rank: float, *, token: str | None = None) -> int:
    """Where somebody of this rank belongs: behind everyone as old or older, from 1.

    ``token``: a placeholder of one's own is not counted, one takes its place.
    """
    return 1 + sum(entry.rank <= rank for entry in line if token is None or entry.token != token)


def settled_ranks(line: Sequence[InLine], *, doubt: float = 0.0) -> tuple[float, ...]:
    """The ranks of a line, where those of callers may be wrong by ``doubt`` seconds.

    After a restart Asterisk tells how long somebody waits in whole seconds. Their place among the
    placeholders says more than that: a rank that contradicts it by ``doubt`` or less is set right.
    Equal ranks of callers become unequal, in the order of the line. Take these ranks when a caller
    keeps their place: they tell after any restart who was ahead of whom.
    """
    ranks = [entry.rank for entry in line]
    return _settled(ranks, [not entry.kept for entry in line], doubt + TIE_SECONDS)


def _settled(given: Sequence[float], callers: Sequence[bool], slack: float) -> tuple[float, ...]:
    ranks = list(given)
    for index in reversed(range(len(ranks) - 1)):
        after = ranks[index + 1]
        if callers[index] and after <= ranks[index] <= after + slack:
            ranks[index] = math.nextafter(after, -math.inf)
    for index in range(1, len(ranks)):
        before = ranks[index - 1]
        if callers[index] and before - slack <= ranks[index] <= before:
            ranks[index] = math.nextafter(before, math.inf)
    return tuple(ranks)


def repair(
    line: Sequence[InLine],
    wanted: Sequence[Wanted],
    *,
    over: Collection[str] = (),
    held: Collection[str] = (),
    doubt: float = 0.0,
) -> tuple[Action, ...]:
    """What to do so that every wanted place has one placeholder, where it belongs.

    Nothing where that is so. The actions are done in their order; when all are done, another look
    finds nothing to do; when the line has changed meanwhile, it finds the rest.

    ``line``: one queue, the head first. ``wanted``: the places that are due and belong to this
    queue. ``over``: tokens whose placeholders have to go (see ``stale``). ``held``: tokens that are
    left alone this time: their placeholder was ordered or went to an agent a moment ago (see
    ``Grace``). ``doubt``: see ``settled_ranks``.

    A placeholder of an unknown token stays: the emergency path holds places that the store learns
    of later. As long as there is one without a name (``token`` None), none is put in, for it may
    be the one that is missed: name them all first.
    """
    places = {place.token: place for place in wanted if place.token not in over}
    tokens = [_token(entry) for entry in line]
    ranks = [
        entry.rank if token not in places else places[token].rank
        for entry, token in zip(line, tokens, strict=True)
    ]
    settled = _settled(ranks, [not entry.kept for entry in line], doubt + TIE_SECONDS)
    going = {index for index, token in enumerate(tokens) if token in over}
    goal = _goal(tokens, places, settled, going)
    stays = _in_order(tokens, places, goal)
    standing = {token: index for index in stays if (token := tokens[index]) in places}
    blind = any(entry.kept and entry.token is None for entry in line)

    working: list[int | str] = list(range(len(line)))
    actions: list[Insert | Remove] = []
    before: int | str | None = None
    for item in goal:
        if isinstance(item, int):
            before = item
        elif item in standing:
            before = standing[item]
        elif item not in held and not blind:
            at = 0 if before is None else working.index(before) + 1
            working.insert(at, item)
            actions.append(Insert(item, places[item].rank, at + 1))
            before = item
    # Put in before taken out: a place is never without a placeholder for a moment.
    present = {*standing, *(action.token for action in actions)}
    for index, entry in enumerate(line):
        token = tokens[index]
        if token is not None:
            elsewhere = token in places and index not in stays and token in present
            if elsewhere or token in over:
                actions.append(Remove(entry.channel, token))
    return tuple(actions)


def _token(entry: InLine) -> str | None:
    """A caller on the line may bear the token of the place they ask for: they are not moved."""
    return entry.token if entry.kept else None


def _goal(
    line: Sequence[str | None],
    places: Mapping[str, Wanted],
    ranks: Sequence[float],
    going: Collection[int],
) -> list[int | str]:
    """The line as it should be: indices of those who are not moved, in their order, and tokens.

    A place stands behind as many as are older. So its index depends on who is in line alone, not
    on how they stand, and putting right converges even where callers stand out of order.
    """
    fixed = [
        index for index, token in enumerate(line) if token not in places and index not in going
    ]
    tokens = sorted(places, key=lambda token: (places[token].rank, places[token].id))
    older = sorted(ranks[index] for index in fixed)
    goal: list[int | str] = list(fixed)
    for count, token in enumerate(tokens):
        rank = places[token].rank
        ahead = bisect_left(older, math.nextafter(rank, math.inf))
        goal.insert(ahead + count, token)
    return goal


def _in_order(
    line: Sequence[str | None], places: Mapping[str, Wanted], goal: Sequence[int | str]
) -> frozenset[int]:
    """Indices of the most entries that may stay where they are: all that are not moved, and of the
    placeholders between two of those the longest row that is in order."""
    target = {item: index for index, item in enumerate(goal)}
    stays: set[int] = set()
    gap: list[tuple[int, int]] = []
    low = -1
    for index, token in enumerate(line):
        if token is not None and token in places:
            gap.append((index, target[token]))
            continue
        if index not in target:
            continue
        stays.update(_longest([item for item in gap if low < item[1] < target[index]]))
        stays.add(index)
        gap, low = [], target[index]
    stays.update(_longest([item for item in gap if low < item[1]]))
    return frozenset(stays)


def _longest(items: Sequence[tuple[int, int]]) -> Iterable[int]:
    """Of (index, target), the indices of a longest row with strictly increasing targets."""
    ends: list[int] = []
    chosen: list[int] = []
    previous: list[int | None] = []
    for number, (_, target) in enumerate(items):
        at = bisect_left(ends, target)
        previous.append(chosen[at - 1] if at else None)
        ends[at:] = [target, *ends[at + 1 :]]
        chosen[at:] = [number, *chosen[at + 1 :]]
    number_or_none = chosen[-1] if chosen else None
    while number_or_none is not None:
        yield items[number_or_none][0]
        number_or_none = previous[number_or_none]


def stale(
    line: Iterable[InLine],
    wanted: Iterable[Wanted],
    known: Collection[str],
    *,
    pending: Collection[str] | None = None,
) -> frozenset[str]:
    """Tokens in line whose placeholders have to go.

    Those that the store knows (``known``) and that are not wanted: the place is over, being
    called, or not due. With ``pending`` (tokens that the store may still learn of: a conversation
    goes on, or a spooled request waits) also those that neither of the two knows.
    """
    due = {place.token for place in wanted}
    tokens = {entry.token for entry in line if entry.token is not None and entry.kept}
    gone = {token for token in tokens if token in known and token not in due}
    if pending is not None:
        gone |= {token for token in tokens if token not in known and token not in pending}
    return frozenset(gone)


class Grace:
    """Tokens to leave alone for a moment: what was ordered, or told, is not to be seen yet.

    Without it a placeholder that goes to an agent would be replaced before the store says that
    its place is being called: harmless (the store begins one attempt alone), but a waste.
    Times: any one clock, seconds.
    """

    def __init__(self, seconds: float = GRACE_SECONDS) -> None:
        self._seconds = seconds
        self._until: dict[str, float] = {}

    def note(self, token: str, now: float) -> None:
        """A placeholder was ordered, or left the queue."""
        self._until[token] = now + self._seconds

    def clear(self, token: str) -> None:
        """It is there, or it is known that it will not come."""
        self._until.pop(token, None)

    def held(self, now: float) -> frozenset[str]:
        self._until = {token: until for token, until in self._until.items() if until > now}
        return frozenset(self._until)
