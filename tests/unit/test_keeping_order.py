"""Where kept places belong in line, and how the line is put right."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from ivr.keeping.order import (
    Action,
    Grace,
    Insert,
    Remove,
    position_for,
    repair,
    settled_ranks,
    stale,
)


@dataclass(frozen=True)
class Spot:
    channel: str
    rank: float
    token: str | None = None
    kept: bool = False


@dataclass(frozen=True)
class Due:
    id: int
    token: str
    rank: float


def caller(rank: float, token: str | None = None) -> Spot:
    return Spot(f"PJSIP/{rank}", rank, token)


_numbers = itertools.count(1)


def holder(token: str | None, rank: float) -> Spot:
    return Spot(f"Local/{next(_numbers)}", rank, token, kept=True)


def done(line: Sequence[Spot], actions: Sequence[Action]) -> list[Spot]:
    """What app_queue makes of them: behind the end is at the end; gone already is well."""
    result = list(line)
    for action in actions:
        if isinstance(action, Insert):
            result.insert(action.position - 1, holder(action.token, action.rank))
        else:
            result = [spot for spot in result if spot.channel != action.channel]
    return result


def seen(line: Sequence[Spot]) -> list[float | str]:
    """Callers by rank, placeholders by token."""
    return [spot.token or "?" if spot.kept else spot.rank for spot in line]


def test_a_position_is_behind_everyone_older() -> None:
    line = [caller(1.0), holder("a", 2.0), caller(3.0)]
    assert [position_for(line, rank) for rank in (0.5, 1.5, 2.5, 9.0)] == [1, 2, 3, 4]
    assert position_for(line, 2.0) == 3
    assert position_for(line, 2.0, token="a") == 2


def test_a_line_in_order_is_left_alone() -> None:
    line = [caller(1.0), holder("a", 2.0), caller(3.0), holder("b", 4.0)]
    assert repair(line, [Due(2, "b", 4.0), Due(1, "a", 2.0)]) == ()


def test_missing_places_are_put_where_they_belong_among_new_callers() -> None:
    places = [Due(1, "a", 1.0), Due(2, "b", 1.5), Due(3, "c", 2.5)]
    line = [caller(2.0), caller(3.0)]
    actions = repair(line, places)
    assert actions == (Insert("a", 1.0, 1), Insert("b", 1.5, 2), Insert("c", 2.5, 4))
    assert seen(done(line, actions)) == ["a", "b", 2.0, "c", 3.0]


def test_of_equal_ranks_the_line_says_who_was_first_and_else_the_older_entry() -> None:
    assert repair([holder("a", 5.0), caller(5.0)], [Due(1, "a", 5.0)]) == ()
    assert repair([caller(5.0), holder("a", 5.0)], [Due(1, "a", 5.0)]) == ()
    actions = repair([], [Due(9, "later", 5.0), Due(3, "earlier", 5.0)])
    assert [action.token for action in actions] == ["earlier", "later"]


def test_a_misplaced_placeholder_is_put_right_before_the_wrong_one_goes() -> None:
    line = [caller(1.0), caller(3.0), holder("a", 2.0)]
    put, gone = repair(line, [Due(1, "a", 2.0)])
    assert put == Insert("a", 2.0, 2)
    assert gone == Remove(line[2].channel, "a")


def test_of_two_placeholders_the_well_placed_one_stays() -> None:
    line = [holder("a", 2.0), caller(1.0), holder("a", 2.0), caller(3.0)]
    assert repair(line, [Due(1, "a", 2.0)]) == (Remove(line[0].channel, "a"),)


def test_only_stale_and_unneeded_placeholders_go() -> None:
    line = [holder("over", 1.0), holder("spooled", 2.0), holder("orphan", 3.0), caller(4.0, "x")]
    assert stale(line, [], {"over"}) == {"over"}
    assert stale(line, [], {"over"}, pending={"spooled"}) == {"over", "orphan"}
    assert stale(line, [Due(1, "over", 1.0)], {"over"}) == frozenset()
    assert repair(line, []) == ()
    assert repair(line, [], over={"over", "x"}) == (Remove(line[0].channel, "over"),)


def test_one_who_goes_does_not_push_others_back() -> None:
    line = [caller(1.0), caller(3.0), holder("over", 2.0)]
    put, gone = repair(line, [Due(1, "a", 2.5)], over={"over"})
    assert put == Insert("a", 2.5, 2)
    assert gone == Remove(line[2].channel, "over")


def test_a_caller_is_never_moved() -> None:
    line = [caller(5.0), caller(1.0, "a"), caller(2.0)]
    assert repair(line, [Due(1, "a", 1.0)], over={"b"}) == (Insert("a", 1.0, 2),)


def test_held_tokens_are_left_alone() -> None:
    line = [caller(3.0), holder("b", 2.0)]
    places = [Due(1, "a", 1.0), Due(2, "b", 2.0)]
    assert repair(line, places, held={"a", "b"}) == ()
    assert [a.token for a in repair(line, places, held={"a"})] == ["b", "b"]


def test_nothing_is_put_in_while_a_placeholder_has_no_name() -> None:
    line = [holder(None, 1.0), caller(3.0)]
    assert repair(line, [Due(1, "a", 1.0)]) == ()
    named = [holder("a", 1.0), caller(3.0)]
    assert repair(named, [Due(1, "a", 1.0)]) == ()


def test_grace_ends() -> None:
    grace = Grace(5.0)
    grace.note("a", 10.0)
    grace.note("b", 12.0)
    assert grace.held(14.9) == {"a", "b"}
    assert grace.held(15.0) == {"b"}
    grace.clear("b")
    assert grace.held(15.0) == frozenset()


def test_ranks_told_in_whole_seconds_are_settled_by_the_line() -> None:
    line = [caller(10.0), caller(10.0), holder("a", 9.6), caller(10.0), caller(12.0)]
    ranks = settled_ranks(line, doubt=1.0)
    assert list(ranks) == sorted(set(ranks))
    assert ranks[2] == 9.6
    assert max(abs(rank - spot.rank) for rank, spot in zip(ranks, line, strict=True)) <= 1.0
    assert repair(line, [Due(1, "a", 9.6)], doubt=1.0) == ()
    # Without doubt, ranks are taken at their word.
    assert repair(line, [Due(1, "a", 9.6)]) != ()


Case = tuple[list[Spot], list[Due], set[str]]
_ranks = st.integers(0, 12).map(float)


@st.composite
def lines(draw: st.DrawFn) -> Case:
    """Any line at all: callers out of order, placeholders missing, doubled, misplaced, over."""
    numbers = draw(st.lists(st.integers(0, 7), unique=True, max_size=6))
    places = [Due(number, f"t{number}", draw(_ranks) + 0.5) for number in numbers]
    ranks = {place.token: place.rank for place in places}
    spots = draw(
        st.lists(
            st.one_of(
                _ranks.map(caller),
                st.integers(0, 9).map(lambda n: holder(f"t{n}", ranks.get(f"t{n}", n + 0.25))),
            ),
            max_size=12,
        )
    )
    wanted = {place.token for place in places}
    over = {spot.token for spot in spots if spot.token not in wanted and spot.token != "t9"}
    return spots, places, {token for token in over if token is not None}


@given(lines())
@settings(max_examples=400, deadline=None)
def test_putting_right_converges_at_once_and_then_does_nothing(
    case: Case,
) -> None:
    line, places, over = case
    after = done(line, repair(line, places, over=over))
    assert repair(after, places, over=over) == ()
    holders = [spot.token for spot in after if spot.kept and spot.token != "t9"]
    assert sorted(filter(None, holders)) == sorted(place.token for place in places)
    stay = [spot for spot in line if not spot.kept or spot.token == "t9"]
    assert [spot for spot in after if not spot.kept or spot.token == "t9"] == stay
    older = [place.token for place in sorted(places, key=lambda place: (place.rank, place.id))]
    assert [token for token in holders if token] == older
    if [spot.rank for spot in stay] == sorted(spot.rank for spot in stay):
        assert [spot.rank for spot in after] == sorted(spot.rank for spot in after)


@given(lines(), st.data())
@settings(max_examples=300, deadline=None)
def test_a_view_that_is_one_event_old_is_put_right_by_the_next(
    case: Case, data: st.DataObject
) -> None:
    line, places, over = case
    actions = repair(line, places, over=over)
    now = list(line)
    somebody_left: bool = data.draw(st.booleans())
    if now and somebody_left:
        now.pop(data.draw(st.integers(0, len(now) - 1)))
    else:
        now.insert(data.draw(st.integers(0, len(now))), caller(data.draw(_ranks)))
    now = done(now, actions)
    now = done(now, repair(now, places, over=over))
    assert repair(now, places, over=over) == ()
