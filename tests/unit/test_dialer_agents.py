"""Who is idle, as told by the queues' events; and what the queue log tells afterwards."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest

from dialer import queue_log
from dialer.agents_watch import AgentsWatch
from dialer.pacing import AgentState
from pbx.ami import AmiClient, Event

QUEUE = "northwind-en"
NOTICES = "northwind-en-notices"
ME = "PJSIP/agent-1001"


class Silent:
    """No link: events are given by hand."""

    def subscribe(self, names: object, handler: object) -> object:
        return lambda: None


class Floor:
    """A watch whose clock the test turns; ``tell`` gives it one event."""

    def __init__(self, wrapup: float = 10.0) -> None:
        self.now = 1000.0
        self.changes = 0
        self.watch = AgentsWatch(
            cast(AmiClient, Silent()),
            wrapup,
            self._changed,
            wall=lambda: self.now,
            clock=lambda: self.now,
        )

    def _changed(self) -> None:
        self.changes += 1

    def tell(self, name: str, **fields: str) -> None:
        self.watch.take(Event(name, fields, self.now))

    def member(self, status: int = 1, *, queue: str = NOTICES, who: str = ME, **more: str) -> None:
        fields = {"Queue": queue, "Interface": who, "Status": str(status), "Paused": "0", **more}
        self.tell("QueueMemberStatus", **fields)

    def state(self) -> AgentState:
        (view,) = self.watch.views(QUEUE)
        return view.state


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (0, AgentState.OFFLINE),
        (1, AgentState.IDLE),
        (2, AgentState.BUSY),
        (3, AgentState.BUSY),
        (4, AgentState.OFFLINE),
        (5, AgentState.OFFLINE),
        (6, AgentState.RINGING),
        (7, AgentState.BUSY),
        (8, AgentState.BUSY),
    ],
)
def test_a_telephone_s_state(status: int, expected: AgentState) -> None:
    floor = Floor()
    floor.member(status)
    assert floor.state() is expected
    assert floor.watch.idle() == ((frozenset({QUEUE}),) if status == 1 else ())


def test_only_members_of_the_notices_queue_take_notice_calls() -> None:
    floor = Floor()
    floor.member(queue=QUEUE)
    assert floor.watch.views(QUEUE) == ()
    assert floor.watch.idle() == ()


def test_an_agent_of_two_languages_is_one_agent() -> None:
    floor = Floor()
    for queue in (NOTICES, "northwind-es-notices"):
        floor.member(queue=queue)
    assert floor.watch.idle() == (frozenset({QUEUE, "northwind-es"}),)


def test_paused_and_gone() -> None:
    floor = Floor()
    floor.member()
    floor.tell("QueueMemberPause", Queue=NOTICES, Interface=ME, Status="1", Paused="1")
    assert floor.state() is AgentState.PAUSED
    floor.tell("QueueMemberRemoved", Queue=NOTICES, Interface=ME)
    assert floor.watch.views(QUEUE) == ()


def test_wrap_up_lasts_from_the_call_s_end() -> None:
    floor = Floor(wrapup=10)
    floor.member()
    floor.tell("AgentCalled", Uniqueid="call", Interface=ME, Queue=NOTICES)
    assert floor.state() is AgentState.RINGING
    floor.tell("AgentConnect", Uniqueid="call", Interface=ME, Queue=NOTICES)
    assert floor.state() is AgentState.BUSY
    floor.now += 60
    floor.tell("AgentComplete", Uniqueid="call", Interface=ME, Queue=NOTICES)
    floor.member(LastCall="1060")
    assert floor.state() is AgentState.WRAPUP
    floor.now += 10
    assert floor.state() is AgentState.IDLE


def test_an_idle_telephone_before_the_call_s_end_is_told_is_wrap_up_not_idle() -> None:
    floor = Floor(wrapup=10)
    floor.member()
    floor.tell("AgentConnect", Uniqueid="call", Interface=ME, Queue=NOTICES)
    floor.now += 60
    floor.member(1)
    assert floor.state() is AgentState.WRAPUP


def test_the_longest_wrap_up_of_a_members_own() -> None:
    floor = Floor(wrapup=10)
    floor.member(LastCall="990", Wrapuptime="60")
    assert floor.state() is AgentState.WRAPUP
    floor.now += 50
    assert floor.state() is AgentState.IDLE


def test_a_caller_to_whom_an_agent_rings_is_not_waiting_for_one() -> None:
    floor = Floor()
    floor.member()
    floor.tell("QueueCallerJoin", Uniqueid="call", Queue=QUEUE)
    assert floor.watch.waiting() == (("call", QUEUE),)
    floor.tell("AgentCalled", Uniqueid="call", Interface=ME, Queue=QUEUE)
    assert floor.watch.waiting() == ()
    assert floor.watch.idle() == ()
    floor.tell("AgentRingNoAnswer", Uniqueid="call", Interface=ME, Queue=QUEUE)
    assert floor.watch.waiting() == (("call", QUEUE),)
    assert floor.state() is AgentState.IDLE
    floor.tell("AgentCalled", Uniqueid="call", Interface=ME, Queue=QUEUE)
    floor.tell("QueueCallerLeave", Uniqueid="call", Queue=QUEUE)
    assert floor.watch.waiting() == ()
    assert floor.state() is AgentState.IDLE


def test_a_lost_link_leaves_nobody() -> None:
    floor = Floor()
    floor.member()
    floor.tell("QueueCallerJoin", Uniqueid="call", Queue=QUEUE)
    floor.watch.forget()
    assert floor.watch.views(QUEUE) == () == floor.watch.waiting()


def test_every_event_is_a_nudge() -> None:
    floor = Floor()
    floor.member()
    floor.member(2)
    assert floor.changes == 2


LOG = """\
1000|old|northwind-en-notices|1001|CONNECT|1|x|0
2000|NONE|NONE|NONE|QUEUESTART|
2001|one|northwind-en-notices|NONE|ENTERQUEUE||x|1
2002|one|northwind-en-notices|1001|CONNECT|1|x|0
2009|one|northwind-en-notices|1001|COMPLETEAGENT|1|7|1
2009|one|northwind-en-notices|NONE|BLMACHINE|
2010|two|northwind-en-notices|NONE|ENTERQUEUE||x|1
2011|two|northwind-en-notices|NONE|ABANDON|1|1|1
2012|three|northwind-en-notices|NONE|ENTERQUEUE||x|1
2014|three|northwind-en-notices|NONE|EXITWITHTIMEOUT|1|1|2
2015|four|northwind-en-notices|NONE|ENTERQUEUE||x|1
half a li"""


def test_the_queue_log(tmp_path: Path) -> None:
    file = tmp_path / "queue_log"
    file.write_text(LOG)
    found = queue_log.read(file, ["one", "two", "three", "four", "five"], since=2001)
    assert set(found) == {"one", "two", "three", "four"}
    assert (found["one"].connected_at, found["one"].agent) == (2002, "1001")
    assert [name for name, facts in found.items() if facts.machine] == ["one"]
    assert (found["two"].hung_up, found["two"].connected_at) == (True, None)
    assert found["three"].abandoned
    four = found["four"]
    assert (four.entered_at, four.abandoned, four.hung_up) == (2015, False, False)


def test_a_long_queue_log_is_read_from_its_end(tmp_path: Path) -> None:
    file = tmp_path / "queue_log"
    early = "".join(f"{1000 + n}|early{n}|q|NONE|ENTERQUEUE||x|1\n" for n in range(50_000))
    file.write_text(early + LOG.partition("\n")[2].replace("200", "900000"))
    found = queue_log.read(file, ["one", "early1", "early49999"], since=50_990)
    assert "one" in found and "early49999" in found
    assert "early1" not in found


def test_no_queue_log_says_nothing(tmp_path: Path) -> None:
    assert queue_log.read(tmp_path / "none", ["one"], since=0) == {}
