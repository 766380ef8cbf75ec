"""From what callers met, what called people met and what the books say, to figures. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from drill.books import Books, Kept, Noted, is_due
from drill.called_back import Ring, too_often
from drill.listening import Gap
from drill.machine import Use
from drill.people import Behaviour, behaviour
from drill.surge_caller import End, Phase, Story
from drill.turns import out_of_turn, turns_of
from drill.verdict import Figures, Silence
from incident.outcomes import CallOutcome

_SAME_CALL: Final = 10.0
"""Seconds between a caller's and the books' beginning of one call, at most."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything that was seen. ``gaps``: by line; None when nobody listened. ``began``,
    ``ended``: Unix seconds. ``person``: the books' name for a number."""

    stories: Sequence[Story]
    books: Books
    rings: Mapping[str, list[Ring]]
    gaps: Mapping[str, list[Gap]] | None
    began: float
    ended: float
    planned: int
    late: float
    target: float
    left_open: int
    uses: Mapping[str, Use]
    person: Callable[[str], bytes]


def figures_of(seen: Evidence) -> Figures:
    """Count. A call counts as served only where the caller and the books agree."""
    noted = {story.line.id: note for story, note in _matched(seen)}
    places = seen.books.by_person()
    wanted = [story for story in seen.stories if story.since(Phase.WAITING) is not None]
    waits = [story.wait for story in wanted if story.end is End.AGENT]
    asked = {
        story.line.id: places[seen.person(story.character.number)]
        for story in wanted
        if story.end is End.CALLED_BACK and seen.person(story.character.number) in places
    }
    numbers = {story.line.id: story.character.number for story in wanted}
    kept = {
        call
        for call in asked
        if behaviour(numbers[call]) is Behaviour.PERSON
        and any(ring.agent_at is not None for ring in seen.rings.get(numbers[call], ()))
    }
    others = {call: place for call, place in asked.items() if call not in kept}
    unfinished = {call for call, place in others.items() if is_due(place, seen.ended)}
    explained = {
        call for call, place in others.items() if call not in unfinished and _explained(place)
    }
    ends = Counter(story.end for story in seen.stories)
    shed = sum(
        story.end is End.DROPPED
        and (note := noted.get(story.line.id)) is not None
        and note.outcome == CallOutcome.SHED
        for story in seen.stories
    )
    promises = list(_promises(seen, noted, asked))
    return Figures(
        planned=seen.planned,
        calls=len(seen.stories),
        redials=sum(story.again for story in seen.stories),
        late=seen.late,
        busy=ends[End.REFUSED],
        dropped=ends[End.DROPPED] - shed + ends[End.CALLED_BACK] - len(asked),
        shed=shed,
        self_service=sum(
            story.end is End.SERVED
            and (note := noted.get(story.line.id)) is not None
            and note.outcome == CallOutcome.SELF_SERVICE
            for story in seen.stories
        ),
        wanted_agent=len(wanted),
        answered=len(waits),
        in_time=sum(wait is not None and wait <= seen.target for wait in waits),
        target=seen.target,
        gave_up=sum(story.end is End.GAVE_UP for story in wanted),
        waits=tuple(wait for wait in waits if wait is not None),
        asked=len(asked),
        kept=len(kept),
        explained=len(explained),
        unfinished=len(unfinished) + ends[None],
        lost=len(others) - len(unfinished) - len(explained),
        promised=len(promises),
        wrong=sum(promises),
        silences=None if seen.gaps is None else tuple(_silences(seen, seen.gaps)),
        dialled_twice=too_often(seen.rings),
        out_of_turn=out_of_turn(list(turns_of(seen.books))),
        misnoted=sum(
            story.line.answered_at is not None and _misnoted(story, noted.get(story.line.id))
            for story in seen.stories
        ),
        left_open=seen.left_open,
        outcomes=dict(Counter(note.outcome or "in progress" for note in seen.books.calls)),
        uses=seen.uses,
    )


def _matched(seen: Evidence) -> Iterator[tuple[Story, Noted]]:
    """Each answered call with its row in the books."""
    by_caller = seen.books.by_caller()
    for story in seen.stories:
        at = story.line.answered_at
        notes = by_caller.get(seen.person(story.character.number), [])
        if at is not None and notes:
            nearest = min(notes, key=lambda note: abs(note.started_at - at))
            if abs(nearest.started_at - at) <= _SAME_CALL:
                yield story, nearest


def _misnoted(story: Story, note: Noted | None) -> bool:
    spoke = (CallOutcome.AGENT, CallOutcome.OUTSOURCED)
    return note is None or (story.end is End.AGENT and note.outcome not in spoke)


def _explained(place: Kept) -> bool:
    """The books say why this person was not (yet) spoken with."""
    failed = [each for each in place.tries if each is not None]
    if place.state == "given_up":
        return bool(failed) or place.detail is not None
    if place.state == "cancelled":
        return True
    chosen = place.not_before > place.requested_at
    return place.state == "open" and (bool(failed) or chosen)


def _promises(
    seen: Evidence, noted: Mapping[str, Noted], asked: Mapping[str, Kept]
) -> Iterator[bool]:
    """For each caller who was told a range and whose wait is known: whether it was longer."""
    for story in seen.stories:
        note = noted.get(story.line.id)
        if note is None or note.promised_high is None:
            continue
        begun = story.since(Phase.WAITING)
        if begun is None:
            continue
        rings = seen.rings.get(story.character.number, [])
        if story.line.id in asked:
            if rings:
                yield rings[0].began - begun > note.promised_high
        elif story.wait is not None:
            yield story.wait > note.promised_high
        elif story.line.over_at is not None and story.line.over_at - begun > note.promised_high:
            yield True  # gave up later than promised: a wrong one all the same


def _silences(seen: Evidence, gaps: Mapping[str, list[Gap]]) -> Iterator[Silence]:
    for story in seen.stories:
        for gap in gaps.get(story.line.id, ()):
            yield Silence(
                where=str(story.phase_at(gap.began)),
                at=gap.began - seen.began,
                into=gap.began - (story.line.answered_at or gap.began),
                seconds=gap.seconds,
            )
