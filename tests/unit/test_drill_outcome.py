"""From what was met and what is noted to figures: both sides have to agree."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from drill.books import Books, Kept, Noted, is_due
from drill.called_back import Ring, too_often
from drill.character import Character
from drill.line import Line
from drill.listening import Gap
from drill.outcome import Evidence, figures_of
from drill.surge_caller import End, Phase, Story
from drill.verdict import Figures, Silence

BEGAN = 1000.0


def person(number: str) -> bytes:
    return number[-4:].encode()


def story(
    number: str, end: End, *, agent: bool, at: float = BEGAN, lasted: float = 20, **line: Any
) -> Story:
    """Answered at ``at``; an agent is asked for 5 s later."""
    there = end is not End.REFUSED
    made = Line(number, at, answered_at=at if there else None, over_at=at + lasted, **line)
    told = Story(Character(number, "en", agent, (), 1, 1, None, None), made, end=end)
    if there:
        told.phases.append((at, Phase.MENU))
        told.phases.append((at + 5, Phase.WAITING if agent else Phase.ANSWER))
    return told


def noted(number: str, outcome: str, at: float = BEGAN, high: float | None = None) -> Noted:
    return Noted(
        id=number,
        caller=person(number),
        started_at=at + 0.1,
        queued_at=None,
        connected_at=None,
        ended_at=at + 20,
        wait=None,
        outcome=outcome,
        promised_high=high,
        sent_to=None,
        place=None,
        language="en",
    )


def place(number: str, state: str = "done", **changes: Any) -> Kept:
    made = Kept(person(number), "en", BEGAN + 6, BEGAN + 5, 0.0, state, None, None, (), None)
    return dataclasses.replace(made, **changes)


def count(
    *stories: Story,
    calls: tuple[Noted, ...] = (),
    kept: tuple[Kept, ...] = (),
    rings: dict[str, list[Ring]] | None = None,
    gaps: dict[str, list[Gap]] | None = None,
) -> Figures:
    return figures_of(
        Evidence(
            stories=stories,
            books=Books(calls, kept),
            rings=rings or {},
            gaps=gaps,
            began=BEGAN,
            ended=BEGAN + 500,
            planned=len(stories),
            late=0.0,
            target=30.0,
            left_open=0,
            uses={},
            person=person,
        )
    )


A, B, C, D = (f"+1212555010{last}" for last in "1234")


def test_self_service_counts_where_caller_and_books_agree() -> None:
    figures = count(
        story(A, End.SERVED, agent=False),
        story(B, End.SERVED, agent=False),
        story(C, End.SERVED, agent=False),
        calls=(noted(A, "self_service"), noted(B, "abandoned_menu")),
    )
    assert figures.self_service == 1
    assert (figures.calls, figures.wanted_agent, figures.dropped) == (3, 0, 0)
    assert figures.outcomes == {"self_service": 1, "abandoned_menu": 1}


def test_agents_speed_and_service_level() -> None:
    figures = count(
        story(A, End.AGENT, agent=True, agent_at=BEGAN + 35),
        story(B, End.AGENT, agent=True, agent_at=BEGAN + 35.1),
        story(C, End.GAVE_UP, agent=True),
        story(D, End.DROPPED, agent=True),
    )
    assert figures.waits == pytest.approx((30, 30.1))
    assert (figures.wanted_agent, figures.answered, figures.in_time) == (4, 2, 1)
    assert (figures.gave_up, figures.dropped) == (1, 1)
    assert figures.service_level == 0.25


def test_refused_calls_are_busy_signals_and_redials_are_counted_apart() -> None:
    again = story(B, End.GAVE_UP, agent=True)
    again.again = True
    figures = count(story(A, End.REFUSED, agent=True), again)
    assert (figures.busy, figures.calls, figures.redials) == (1, 2, 1)
    assert figures.wanted_agent == 1


def test_a_call_back_is_kept_when_the_person_heard_an_agent() -> None:
    figures = count(
        story(A, End.CALLED_BACK, agent=True),
        kept=(place(A),),
        rings={A: [Ring(BEGAN + 40, agent_at=BEGAN + 41, ended=BEGAN + 60)]},
    )
    assert (figures.asked, figures.kept, figures.explained, figures.lost) == (1, 1, 0, 0)
    assert figures.dropped == 0


def test_a_machine_that_an_agent_spoke_to_is_no_kept_call_back() -> None:
    machine = "+12125550155"
    rings = {machine: [Ring(BEGAN + 40, agent_at=BEGAN + 41, ended=BEGAN + 60)]}
    for tries, lost in ((("connected",), 1), (("machine",), 0)):
        state = "done" if lost else "open"
        figures = count(
            story(machine, End.CALLED_BACK, agent=True),
            kept=(place(machine, state, tries=tries),),
            rings=rings,
        )
        assert (figures.asked, figures.kept, figures.lost) == (1, 0, lost)


def test_a_call_back_that_the_books_know_nothing_of_is_a_dropped_call() -> None:
    figures = count(story(A, End.CALLED_BACK, agent=True))
    assert (figures.asked, figures.dropped) == (0, 1)


def test_the_short_way_is_no_dropped_call() -> None:
    figures = count(
        story(A, End.DROPPED, agent=True),
        story(B, End.DROPPED, agent=True),
        calls=(noted(A, "shed"), noted(B, "abandoned_menu")),
    )
    assert (figures.shed, figures.dropped) == (1, 1)


@pytest.mark.parametrize(
    ("state", "changes", "explained"),
    [
        ("given_up", {"tries": ("no_answer", "busy")}, True),
        ("given_up", {}, False),
        ("cancelled", {}, True),
        ("open", {"tries": ("no_answer",)}, True),
        ("open", {"not_before": BEGAN + 3600}, True),
        ("open", {"tries": (None,)}, False),
        ("done", {"tries": ("connected",)}, False),
    ],
)
def test_other_call_backs_are_explained_or_lost(
    state: str, changes: dict[str, Any], explained: bool
) -> None:
    figures = count(story(A, End.CALLED_BACK, agent=True), kept=(place(A, state, **changes),))
    assert (figures.asked, figures.kept) == (1, 0)
    assert figures.explained == explained
    assert figures.lost == (not explained)


def test_what_still_waits_as_the_drill_ends_is_told_apart() -> None:
    told = story(C, End.AGENT, agent=True)
    told.end = None
    figures = count(
        story(A, End.CALLED_BACK, agent=True),
        story(B, End.CALLED_BACK, agent=True),
        told,
        kept=(place(A, "open"), place(B, "calling", tries=(None,))),
    )
    assert (figures.asked, figures.unfinished, figures.lost) == (2, 3, 0)


def test_what_was_promised_is_held_against_what_was_waited() -> None:
    figures = count(
        story(A, End.AGENT, agent=True, agent_at=BEGAN + 65),
        story(B, End.AGENT, agent=True, agent_at=BEGAN + 66),
        story(C, End.GAVE_UP, agent=True, lasted=64),
        story(D, End.GAVE_UP, agent=True, lasted=66),
        calls=tuple(noted(number, "agent", high=60) for number in (A, B, C, D)),
    )
    # C hung up before it could be known; D had waited longer than promised.
    assert (figures.promised, figures.wrong) == (3, 2)


def test_a_promise_to_who_keeps_a_place_is_held_against_the_call_back() -> None:
    for rang, wrong in ((BEGAN + 64, 0), (BEGAN + 66, 1)):
        figures = count(
            story(A, End.CALLED_BACK, agent=True),
            calls=(noted(A, "callback", high=60),),
            kept=(place(A),),
            rings={A: [Ring(rang, agent_at=rang + 1, ended=rang + 9)]},
        )
        assert (figures.promised, figures.wrong) == (1, wrong)


def test_each_call_of_a_caller_has_its_own_row() -> None:
    figures = count(
        story(A, End.GAVE_UP, agent=True, lasted=30),
        story(A, End.AGENT, agent=True, at=BEGAN + 60, agent_at=BEGAN + 70),
        calls=(noted(A, "abandoned_waiting", high=10), noted(A, "agent", BEGAN + 60, high=10)),
    )
    assert (figures.promised, figures.wrong) == (2, 1)


@pytest.mark.parametrize(
    ("outcome", "wrong"),
    [("agent", 0), ("outsourced", 0), ("abandoned_waiting", 1), (None, 1)],
)
def test_who_spoke_with_an_agent_has_to_be_noted_so(outcome: str | None, wrong: int) -> None:
    calls = () if outcome is None else (noted(A, outcome),)
    figures = count(story(A, End.AGENT, agent=True), story(B, End.REFUSED, agent=True), calls=calls)
    assert figures.misnoted == wrong


def test_silences_are_told_with_their_place() -> None:
    figures = count(story(A, End.AGENT, agent=True), gaps={A: [Gap(BEGAN + 6, 3.0)]})
    assert figures.silences == (Silence("waiting", at=6.0, into=6.0, seconds=3.0),)
    assert count(story(A, End.AGENT, agent=True)).silences is None


def test_called_twice_is_during_a_call_or_after_an_agent_spoke() -> None:
    unanswered = [Ring(1, ended=5), Ring(10, agent_at=11, ended=20)]
    assert too_often({A: unanswered}) == 0
    assert too_often({A: [*unanswered, Ring(30, ended=31)]}) == 1
    assert too_often({A: [Ring(1, ended=12), Ring(10, ended=20)]}) == 1
    assert too_often({A: [Ring(1, ended=None), Ring(10, ended=20)], B: unanswered}) == 1


@pytest.mark.parametrize(
    ("made", "due"),
    [
        (place(A, "open"), True),
        (place(A, "calling"), True),
        (place(A, "open", tries=("busy",)), False),
        (place(A, "open", not_before=BEGAN + 100), False),
        (place(A, "done"), False),
    ],
)
def test_which_call_backs_a_drill_waits_for(made: Kept, due: bool) -> None:
    assert is_due(made, BEGAN + 10) == due
