"""Whether everybody was served in turn, by the books alone. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from drill.books import Books
from incident.outcomes import CallOutcome

TOLERANCE: Final = 5.0
"""Seconds. Two agents who take two calls at once do not answer in the order of the line: one lets
it ring longer. Whoever was really passed over waits for a whole call."""


@dataclass(frozen=True, slots=True)
class Turn:
    """Somebody in a line. Times are Unix seconds. ``rank``: asked for an agent; ``served``: an
    agent answered for them, None for never; ``left``: no longer in line from then on."""

    line: str
    rank: float
    served: float | None
    left: float


def turns_of(books: Books) -> Iterator[Turn]:
    """Callers who waited on the line, and places that were kept from the moment they were asked
    for. Not those for whom a time was chosen, and not what the outsourcer took."""
    for call in books.calls:
        spoke = call.outcome == CallOutcome.AGENT
        if call.queued_at is None or call.ended_at is None or call.place or call.sent_to:
            continue
        served = call.connected_at if spoke else None
        yield Turn(call.language or "", call.queued_at, served, served or call.ended_at)
    for place in books.kept:
        if place.not_before > place.requested_at or place.tried_at is None:
            continue
        yield Turn(place.language, place.rank, place.tried_at, place.tried_at)


def out_of_turn(turns: Sequence[Turn]) -> int:
    """How many were served while somebody of the same line with an earlier rank was there, and
    was not served soon after either."""
    return sum(
        any(
            other.line == turn.line
            and other.rank < turn.rank
            and other.left > turn.served + TOLERANCE
            for other in turns
        )
        for turn in turns
        if turn.served is not None
    )
