"""Agents' states out of queue members' events."""

from __future__ import annotations

import pytest

from ivr.agents import Agents
from pbx.ami import Event


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def agents(clock: Clock) -> Agents:
    made = Agents(15, clock=clock)
    made.know(["1001", "1002", "1003"])
    return made


def event(kind: str, name: str, queue: str = "northwind-en", **fields: str) -> Event:
    member = "Name" if kind == "QueueMember" else "MemberName"
    return Event(kind, {"Queue": queue, member: name, **fields}, 0.0)


def counts(agents: Agents) -> dict[str, int]:
    return {state: number for state, number in agents.counts().items() if number}


def test_nobody_signed_in_is_offline(agents: Agents) -> None:
    assert counts(agents) == {"offline": 3}


def test_one_person_in_two_queues_counts_once(agents: Agents) -> None:
    for queue in ("northwind-en", "northwind-es"):
        agents.on_event(event("QueueMemberAdded", "1001", queue, Status="1", Paused="0"))
    assert counts(agents) == {"ready": 1, "offline": 2}
    agents.on_event(event("QueueMemberRemoved", "1001", "northwind-en"))
    assert counts(agents) == {"ready": 1, "offline": 2}
    agents.on_event(event("QueueMemberRemoved", "1001", "northwind-es"))
    assert counts(agents) == {"offline": 3}


@pytest.mark.parametrize(
    ("status", "paused", "state"),
    [
        ("1", "0", "ready"),
        ("1", "1", "paused"),
        ("2", "0", "busy"),
        ("2", "1", "busy"),
        ("3", "0", "busy"),
        ("6", "0", "busy"),
        ("7", "0", "busy"),
        ("8", "0", "busy"),
        ("0", "0", "offline"),
        ("4", "0", "offline"),
        ("5", "1", "offline"),
    ],
)
def test_states(agents: Agents, status: str, paused: str, state: str) -> None:
    agents.know(["1001"])
    agents.on_event(event("QueueMemberStatus", "1001", Status=status, Paused=paused))
    assert counts(agents) == {state: 1}


def test_wrap_up_ends_by_itself(agents: Agents, clock: Clock) -> None:
    agents.know(["1001"])
    agents.on_event(event("QueueMemberStatus", "1001", Status="1", Paused="0", LastCall="990"))
    assert counts(agents) == {"wrapup": 1}
    clock.now = 1005.0
    assert counts(agents) == {"ready": 1}


def test_a_list_takes_off_who_is_not_on_it(agents: Agents) -> None:
    for name in ("1001", "1002"):
        agents.on_event(event("QueueMemberAdded", name, Status="1", Paused="0"))
    agents.listing()
    agents.on_event(event("QueueMember", "1001", Status="1", Paused="0"))
    agents.on_event(event("QueueMemberPause", "1001", Status="1", Paused="1"))
    agents.listed()
    assert counts(agents) == {"paused": 1, "offline": 2}


def test_occupancy_is_busy_over_present_in_the_last_five_minutes(
    agents: Agents, clock: Clock
) -> None:
    agents.on_event(event("QueueMemberAdded", "1001", Status="2", Paused="0"))
    agents.on_event(event("QueueMemberAdded", "1002", Status="1", Paused="0"))
    agents.sample()
    assert agents.occupancy() == 0.5
    clock.now += 100
    agents.on_event(event("QueueMemberStatus", "1002", Status="3", Paused="0"))
    agents.sample()
    assert agents.occupancy() == 0.75
    clock.now += 250
    agents.sample()
    assert agents.occupancy() == 1.0


def test_without_asterisk_all_are_offline(agents: Agents) -> None:
    agents.on_event(event("QueueMemberAdded", "1001", Status="1", Paused="0"))
    agents.lost()
    assert counts(agents) == {"offline": 3}
