"""What Asterisk's events make of calls, queues, metrics and events."""

from __future__ import annotations

from typing import cast

import pytest
from prometheus_client import REGISTRY

from incident.outcomes import CallOutcome
from incident.plan import parse_plan
from incident.settings import WaitingSettings
from incident.store.calls import StoredCall
from ivr.agents import Agents
from ivr.calls import HOTLINE, CallBook, is_inbound
from ivr.experience import Experience
from ivr.forecasts import Forecasts
from ivr.journal import Journal
from ivr.lineup import Lineup
from ivr.served import Incidents, ServedIncident
from ivr.waiting import Waiting
from pbx.ami import Event
from tests.ivr_talk import Published, served
from tests.running import SAMPLE

PLAN = parse_plan(SAMPLE.read_text(encoding="utf-8"), "sample")
CALL = "node1-1795465328.79"
OTHER = "node1-1795465400.80"
ATTEMPT = "0123456789abcdef0123456789abcdef"


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Written:
    """A journal that keeps the last state of each call."""

    def __init__(self) -> None:
        self.calls: dict[str, StoredCall] = {}

    def call(self, call: StoredCall) -> None:
        self.calls[call.id] = call


class Air:
    def __init__(self) -> None:
        self.all: dict[str, ServedIncident] = {PLAN.incident: served(PLAN)}

    def queues(self) -> dict[str, tuple[str, str]]:
        return {f"northwind-{language}": ("northwind", language) for language in ("en", "es")}

    def on_change(self, handler: object) -> None:
        """Nothing changes in these tests."""


class Desk:
    def __init__(self) -> None:
        self.clock = Clock()
        self.written = Written()
        self.published = Published()
        self.book = CallBook("node1", cast(Journal, self.written), self.published, clock=self.clock)
        self.agents = Agents(15, clock=self.clock)
        self.lineup = Lineup(clock=self.clock)
        air = cast(Incidents, Air())
        experience = Experience(air, self.lineup, self.agents, 15, clock=self.clock)
        forecasts = Forecasts(
            air,
            self.lineup,
            self.agents,
            experience,
            settings=WaitingSettings(),
            wrap_up=15,
            clock=self.clock,
        )
        self.waiting = Waiting(
            air, self.book, self.agents, self.published, forecasts=forecasts, clock=self.clock
        )

    def hear(
        self, kind: str, unique_id: str = CALL, queue: str = "northwind-en", **more: str
    ) -> None:
        channel = f"PJSIP/carrier-public-{unique_id}"
        fields = {"Uniqueid": unique_id, "Queue": queue, "Channel": channel, **more}
        event = Event(kind, fields, 0.0)
        self.lineup.on_event(event)
        self.waiting.on_event(event)

    def row(self, unique_id: str = CALL) -> StoredCall:
        return self.written.calls[unique_id]

    def events(self) -> list[str]:
        return [topic.rsplit("/", 1)[1] for topic, _ in self.published if "/call" in f"/{topic}"]


@pytest.fixture
def desk() -> Desk:
    return Desk()


def ended(outcome: str) -> float:
    labels = {"incident": "northwind", "outcome": outcome}
    return REGISTRY.get_sample_value("breachline_inbound_calls_total", labels) or 0.0


def waits() -> float:
    return REGISTRY.get_sample_value("breachline_queue_wait_seconds_count") or 0.0


def test_a_caller_waits_and_meets_an_agent(desk: Desk) -> None:
    before, waited = ended("agent"), waits()
    desk.book.begin(CALL, "northwind", via=HOTLINE)
    desk.hear("QueueCallerJoin")
    assert desk.waiting.count() == {"northwind": {"en": 1, "es": 0}}
    desk.clock.now += 12
    desk.hear("AgentConnect", MemberName="1001", HoldTime="12")
    assert desk.waiting.count() == {"northwind": {"en": 0, "es": 0}}
    desk.hear("UserEvent", UserEvent="BreachlineQueueLeft", Status="CONTINUE")
    desk.clock.now += 60
    desk.hear("Hangup")
    desk.hear("Hangup")
    row = desk.row()
    assert (row.outcome, row.agent, row.wait_seconds) == (CallOutcome.AGENT, "1001", 12)
    assert (row.queued_at, row.connected_at, row.ended_at) == (1000.0, 1012.0, 1072.0)
    assert (ended("agent") - before, waits() - waited) == (1, 1)
    assert desk.events() == ["started", "queued", "connected", "ended"]


def test_a_caller_gives_up_waiting(desk: Desk) -> None:
    desk.book.begin(CALL, "northwind", via=HOTLINE)
    desk.hear("QueueCallerJoin", queue="northwind-es")
    desk.clock.now += 30
    desk.hear("Hangup")
    row = desk.row()
    assert (row.outcome, row.wait_seconds, row.language) == ("abandoned_waiting", 30, "es")
    assert len(desk.book) == 0


@pytest.mark.parametrize("status", ["TIMEOUT", "LEAVEEMPTY", "JOINEMPTY", "FULL"])
def test_a_queue_that_ends_without_an_agent(desk: Desk, status: str) -> None:
    desk.book.begin(CALL, "northwind", via=HOTLINE)
    desk.hear("QueueCallerJoin")
    desk.hear("UserEvent", UserEvent="BreachlineQueueLeft", Status=status)
    assert desk.waiting.count() == {"northwind": {"en": 0, "es": 0}}
    desk.hear("Hangup")
    assert desk.row().outcome == CallOutcome.NO_AGENT


def test_a_call_that_the_hotline_never_saw_is_of_the_emergency_path(desk: Desk) -> None:
    desk.hear("UserEvent", UserEvent="BreachlineEmergency", Incident="northwind")
    desk.hear("QueueCallerJoin", OTHER, "northwind-es")
    desk.hear("Hangup")
    desk.hear("Hangup", OTHER)
    assert (desk.row().via, desk.row().outcome) == ("emergency", "abandoned_menu")
    other = desk.row(OTHER)
    assert (other.via, other.outcome, other.language) == ("emergency", "abandoned_waiting", "es")


def test_a_call_that_falls_to_the_emergency_path_stays_one_call(desk: Desk) -> None:
    desk.book.begin(CALL, "northwind", via=HOTLINE, content_version="v")
    desk.hear("UserEvent", UserEvent="BreachlineEmergency", Incident="northwind")
    desk.hear("QueueCallerJoin")
    desk.hear("Hangup")
    row = desk.row()
    assert (row.via, row.content_version, row.outcome) == ("emergency", "v", "abandoned_waiting")
    assert desk.events().count("started") == 1


def test_a_list_finds_callers_who_waited_before_us(desk: Desk) -> None:
    desk.hear("QueueEntry", Wait="40")
    desk.hear("QueueEntry", Wait="41")
    assert desk.waiting.count() == {"northwind": {"en": 1, "es": 0}}
    desk.hear("AgentConnect", MemberName="1001", HoldTime="40")
    desk.hear("Hangup")
    assert (desk.row().queued_at, desk.row().wait_seconds) == (960.0, 40.0)


def test_outbound_calls_and_other_queues_are_none_of_ours(desk: Desk) -> None:
    desk.hear("QueueCallerJoin", ATTEMPT)
    desk.hear("QueueCallerJoin", CALL, "northwind-en-notices")
    desk.hear("AgentConnect", ATTEMPT, MemberName="1001")
    desk.hear("Hangup", ATTEMPT)
    assert desk.written.calls == {}
    assert desk.published == []


def test_a_kept_place_is_no_caller_and_is_counted_as_what_it_is(desk: Desk) -> None:
    desk.hear("QueueCallerJoin", Channel="Local/abc@kept-far-00000001;1")
    desk.waiting.show()
    assert desk.written.calls == {}
    assert desk.waiting.count() == {"northwind": {"en": 0, "es": 0}}
    labels = {"incident": "northwind", "language": "en"}
    assert REGISTRY.get_sample_value("breachline_places_kept", labels) == 1
    assert REGISTRY.get_sample_value("breachline_queue_waiting", labels) == 0
    desk.hear("AgentConnect", Channel="Local/abc@kept-far-00000001;1", MemberName="1001")
    desk.hear("Hangup", Channel="Local/abc@kept-far-00000001;1")
    assert desk.written.calls == {}


def test_what_a_newcomer_would_wait_is_shown(desk: Desk) -> None:
    def gauge(quantile: str) -> float | None:
        labels = {"incident": "northwind", "language": "en", "quantile": quantile}
        return REGISTRY.get_sample_value("breachline_predicted_wait_seconds", labels)

    desk.waiting.show()
    assert str(gauge("0.9")) == "nan"
    member = {"MemberName": "1001", "Queue": "northwind-en", "Status": "2", "Paused": "0"}
    desk.agents.on_event(Event("QueueMemberAdded", member, 0.0))
    desk.hear("QueueCallerJoin", Position="1")
    desk.clock.now += 1
    desk.waiting.show()
    median, late = gauge("0.5"), gauge("0.9")
    assert median is not None
    assert late is not None
    assert 60 < median < late < 7200
    snapshot = [payload for topic, payload in desk.published if topic.endswith("/queue")][-1]
    assert snapshot["predicted"] == {"en": (round(median), round(late)), "es": None}
    assert snapshot["places"] == {"en": 0, "es": 0}


@pytest.mark.parametrize(
    ("unique_id", "inbound"),
    [
        (CALL, True),
        ("1795465328.79", True),
        ("a-node-2-1795465328.1", True),
        (ATTEMPT, False),
        ("", False),
        ("something", False),
    ],
)
def test_unique_ids(unique_id: str, inbound: bool) -> None:
    assert is_inbound(unique_id) is inbound


def test_snapshots_go_out_on_change_and_not_too_often(desk: Desk) -> None:
    def snapshots() -> list[dict[str, object]]:
        return [payload for topic, payload in desk.published if topic.endswith("/queue")]

    desk.waiting.show()
    desk.waiting.show()
    assert len(snapshots()) == 1
    desk.hear("QueueCallerJoin")
    desk.waiting.show()
    assert len(snapshots()) == 1
    desk.clock.now += 1
    desk.waiting.show()
    desk.clock.now += 1
    desk.waiting.show()
    assert len(snapshots()) == 2
    assert snapshots()[-1]["waiting"] == {"en": 1, "es": 0}
    assert snapshots()[-1]["longest_wait"] == 1.0
    labels = {"incident": "northwind", "language": "en"}
    assert REGISTRY.get_sample_value("breachline_queue_waiting", labels) == 1
