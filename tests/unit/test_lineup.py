"""The line as Asterisk tells it, compared with a line that app_queue might keep."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivr.lineup import Lineup
from pbx.ami import Event

QUEUE = "northwind-en"
OTHER = "northwind-es"
TOKEN = "0123456789abcdef0123456789abcdef"
FIRST, SECOND, THIRD = "n1-100.1", "n1-100.2", "n1-100.3"


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def said(kind: str, /, **fields: str) -> Event:
    return Event(kind, fields, 0.0)


def joined(unique_id: str, position: int, *, count: int | None = None, **more: str) -> Event:
    fields = {"Channel": f"PJSIP/carrier-a-{unique_id}", "Queue": QUEUE, **more}
    if count is not None:
        fields["Count"] = str(count)
    return said("QueueCallerJoin", Uniqueid=unique_id, Position=str(position), **fields)


def left(unique_id: str, queue: str = QUEUE) -> Event:
    return said("QueueCallerLeave", Uniqueid=unique_id, Queue=queue)


def listed(unique_id: str, position: int, wait: int = 0, **more: str) -> Event:
    fields = {"Channel": f"PJSIP/carrier-a-{unique_id}", "Queue": QUEUE, **more}
    return said("QueueEntry", Uniqueid=unique_id, Position=str(position), Wait=str(wait), **fields)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def lineup(clock: Clock) -> Lineup:
    lineup = Lineup(clock=clock)
    lineup.serve([QUEUE, OTHER])
    return lineup


def ids(lineup: Lineup, queue: str = QUEUE) -> list[str]:
    return [entry.unique_id for entry in lineup.entries(queue)]


def test_callers_stand_in_the_order_in_which_they_came(lineup: Lineup, clock: Clock) -> None:
    lineup.on_event(joined(FIRST, 1, count=1))
    clock.now += 5
    lineup.on_event(joined(SECOND, 2, count=2))
    assert ids(lineup) == [FIRST, SECOND]
    assert (lineup.position(FIRST), lineup.position(SECOND), lineup.position("n1-1.9")) == (
        1,
        2,
        None,
    )
    entry = lineup.entry(SECOND)
    assert entry is not None
    assert (entry.rank, entry.joined, entry.token, entry.kept) == (1005.0, 1005.0, None, False)
    lineup.on_event(left(FIRST))
    assert (lineup.position(SECOND), lineup.queue_of(FIRST), lineup.queue_of(SECOND)) == (
        1,
        None,
        QUEUE,
    )
    assert not lineup.adrift


def test_a_placeholder_takes_the_place_that_was_kept(lineup: Lineup, clock: Clock) -> None:
    for position, caller in enumerate((FIRST, SECOND, THIRD), 1):
        lineup.on_event(joined(caller, position))
        clock.now += 10
    lineup.on_event(left(SECOND))
    fields = {"Token": TOKEN, "Call": "n1-100.9", "Rank": "1010.5"}
    lineup.on_event(said("UserEvent", UserEvent="BreachlinePlace", **fields))
    lineup.on_event(joined("n1-100.9", 2, Channel="Local/s@kept-far-00000001;1"))
    assert ids(lineup) == [FIRST, "n1-100.9", THIRD]
    place = lineup.placeholder(TOKEN)
    assert place is not None
    assert (place.unique_id, place.rank, place.joined, place.kept) == (
        "n1-100.9",
        1010.5,
        1030.0,
        True,
    )
    assert lineup.unnamed() == ()


def test_where_somebody_belongs_by_when_they_joined(lineup: Lineup, clock: Clock) -> None:
    for position, caller in enumerate((FIRST, SECOND), 1):
        lineup.on_event(joined(caller, position))
        clock.now += 10
    places = [lineup.position_for(QUEUE, rank) for rank in (999.0, 1000.0, 1005.0, 1011.0)]
    assert places == [1, 1, 2, 3]
    assert lineup.position_for(OTHER, 1.0) == 1
    assert lineup.position_for("no such queue", 1.0) == 1


def test_a_placeholder_that_was_here_before_us_is_named_later(lineup: Lineup) -> None:
    lineup.listing()
    lineup.on_event(listed(FIRST, 1, 30))
    lineup.on_event(listed("n1-100.9", 2, 20, Channel="Local/s@kept-far-00000001;1"))
    lineup.listed()
    assert [entry.unique_id for entry in lineup.unnamed()] == ["n1-100.9"]
    lineup.name("n1-100.9", TOKEN, 950.0)
    place = lineup.placeholder(TOKEN)
    assert place is not None
    assert (place.rank, lineup.unnamed()) == (950.0, ())


def test_a_placeholder_is_known_by_its_name(lineup: Lineup) -> None:
    lineup.listing()
    lineup.on_event(listed("n1-100.9", 1, Channel=f"Local/{TOKEN}@kept-far-00000001;1"))
    lineup.listed()
    assert lineup.unnamed() == ()
    assert lineup.placeholder(TOKEN) is not None


def test_a_list_after_a_lost_link_corrects_everything(lineup: Lineup, clock: Clock) -> None:
    lineup.on_event(joined(FIRST, 1))
    lineup.on_event(joined(SECOND, 2))
    clock.now += 60
    lineup.listing()
    # The list comes in Asterisk's order, which is not the line's; FIRST is gone.
    lineup.on_event(listed(THIRD, 2, 20))
    lineup.on_event(listed(SECOND, 1, 60))
    assert ids(lineup) == [FIRST, SECOND]
    lineup.listed()
    assert ids(lineup) == [SECOND, THIRD]
    ranks = [entry.rank for entry in lineup.entries(QUEUE)]
    assert ranks == [1000.0, 1040.0]
    assert lineup.queue_of(FIRST) is None


def test_what_happens_while_the_list_comes_counts(lineup: Lineup) -> None:
    lineup.listing()
    lineup.on_event(listed(FIRST, 1, 30))
    lineup.on_event(listed(SECOND, 2, 20))
    lineup.on_event(left(FIRST))
    lineup.on_event(joined(THIRD, 2))
    lineup.listed()
    assert ids(lineup) == [SECOND, THIRD]


def test_a_line_that_does_not_add_up_asks_for_a_list(lineup: Lineup) -> None:
    lineup.on_event(joined(FIRST, 1, count=1))
    assert not lineup.adrift
    lineup.on_event(joined(SECOND, 3, count=3))
    assert lineup.adrift
    lineup.listing()
    for position, caller in enumerate((FIRST, THIRD, SECOND), 1):
        lineup.on_event(listed(caller, position))
    lineup.listed()
    assert not lineup.adrift
    assert ids(lineup) == [FIRST, THIRD, SECOND]


def test_who_hangs_up_is_out_of_line(lineup: Lineup) -> None:
    lineup.on_event(joined(FIRST, 1))
    lineup.on_event(said("Hangup", Uniqueid=FIRST))
    lineup.on_event(left(FIRST))
    assert ids(lineup) == []


def test_a_caller_who_changes_the_queue_stands_in_one(lineup: Lineup) -> None:
    lineup.on_event(joined(FIRST, 1))
    lineup.on_event(joined(FIRST, 1, Queue=OTHER))
    assert (ids(lineup), ids(lineup, OTHER)) == ([], [FIRST])


def test_other_queues_are_none_of_ours(lineup: Lineup) -> None:
    lineup.on_event(joined(FIRST, 1, Queue=f"{QUEUE}-notices"))
    lineup.listing()
    lineup.on_event(listed(FIRST, 1, Queue=f"{QUEUE}-notices"))
    lineup.listed()
    assert lineup.queue_of(FIRST) is None


@dataclass
class AppQueue:
    """What Asterisk does with one queue, in the simplest words."""

    line: list[str] = field(default_factory=list)
    number: int = 0

    def join(self, wanted: int) -> Event:
        self.number += 1
        unique_id = f"n1-1.{self.number}"
        position = min(wanted, len(self.line)) if wanted else len(self.line)
        self.line.insert(position, unique_id)
        return joined(unique_id, position + 1, count=len(self.line))

    def leave(self, index: int) -> Event:
        unique_id = self.line.pop(index % len(self.line))
        return said("QueueCallerLeave", Uniqueid=unique_id, Queue=QUEUE, Count=str(len(self.line)))

    def list(self) -> Iterator[Event]:
        for position, unique_id in enumerate(self.line, 1):
            yield listed(unique_id, position)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("join"), st.integers(0, 6)),
        st.tuples(st.just("leave"), st.integers(0, 20)),
        st.tuples(st.just("link lost for"), st.integers(1, 4)),
    ),
    max_size=40,
)


@given(STEPS)
def test_it_is_always_the_line_that_app_queue_has(steps: list[tuple[str, int]]) -> None:
    queue, lineup, deaf = AppQueue(), Lineup(clock=Clock()), 0
    lineup.serve([QUEUE])
    for what, number in steps:
        if what == "link lost for":
            deaf = number
            lineup.lost()
            continue
        if what == "leave" and not queue.line:
            continue
        event = queue.join(number) if what == "join" else queue.leave(number)
        if deaf:
            deaf -= 1
            if not deaf:
                lineup.listing()
                for item in queue.list():
                    lineup.on_event(item)
                lineup.listed()
        else:
            lineup.on_event(event)
            assert not lineup.adrift
        if not deaf:
            assert ids(lineup) == queue.line
            for place, unique_id in enumerate(queue.line, 1):
                assert lineup.position(unique_id) == place
