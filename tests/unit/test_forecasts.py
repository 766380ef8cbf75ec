"""From Asterisk's events to what was learned, to a forecast, to what a caller is told."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import cast

import pytest
from prometheus_client import REGISTRY

from incident.settings import WaitingSettings
from incident.store.calls import StoredCall
from ivr import learned_file
from ivr.agents import Agents
from ivr.announcer import Announcer
from ivr.calls import HOTLINE, CallBook
from ivr.experience import SETTLED_SECONDS, Experience
from ivr.forecasts import Forecasts
from ivr.journal import Journal
from ivr.lineup import Lineup
from ivr.predictor import STEPS, Learner, Promise
from ivr.served import Incidents
from pbx.ami import AmiClient, Event, OutcomeUnknown, Refused
from pbx.prompts import waits
from tests.ivr_talk import Published

EN, ES = "northwind-en", "northwind-es"
WRAP_UP = 10.0


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


class Air:
    def __init__(self) -> None:
        self.all = {"northwind": None}

    @staticmethod
    def queues() -> dict[str, tuple[str, str]]:
        return {EN: ("northwind", "en"), ES: ("northwind", "es")}

    def on_change(self, handler: object) -> None:
        """Nothing changes in these tests."""


class Written:
    def __init__(self) -> None:
        self.calls: dict[str, StoredCall] = {}

    def call(self, call: StoredCall) -> None:
        self.calls[call.id] = call


class Asterisk:
    """Takes every Setvar; ``fails`` is raised instead, once."""

    def __init__(self) -> None:
        self.languages: list[tuple[str, str]] = []
        self.fails: Exception | None = None

    async def action(self, name: str, fields: Mapping[str, str], *, timeout: float = 5.0) -> None:
        failure, self.fails = self.fails, None
        if failure is not None:
            raise failure
        assert (name, fields["Variable"]) == ("Setvar", "CHANNEL(language)")
        self.languages.append((fields["Channel"].removeprefix("PJSIP/"), fields["Value"]))


class Floor:
    """A hotline's waiting callers and agents, driven by events."""

    def __init__(self, settings: WaitingSettings | None = None) -> None:
        self.clock = Clock()
        self.written = Written()
        air = cast(Incidents, Air())
        self.book = CallBook("n1", cast(Journal, self.written), Published(), clock=self.clock)
        self.agents = Agents(WRAP_UP, clock=self.clock)
        self.lineup = Lineup(clock=self.clock)
        self.experience = Experience(air, self.lineup, self.agents, WRAP_UP, clock=self.clock)
        self.forecasts = Forecasts(
            air,
            self.lineup,
            self.agents,
            self.experience,
            settings=settings or WaitingSettings(),
            wrap_up=WRAP_UP,
            clock=self.clock,
        )
        self.asterisk = Asterisk()
        self.announcer = Announcer(
            cast(AmiClient, self.asterisk),
            self.book,
            self.lineup,
            self.forecasts,
            air.queues,
            clock=self.clock,
        )

    def hear(self, kind: str, unique_id: str, queue: str = EN, **more: str) -> None:
        fields = {"Uniqueid": unique_id, "Queue": queue, "Channel": f"PJSIP/{unique_id}", **more}
        event = Event(kind, fields, 0.0)
        for part in (self.lineup, self.experience, self.announcer):
            part.on_event(event)

    def agent(self, name: str, *queues: str, status: str = "2", **more: str) -> None:
        for queue in queues or (EN,):
            fields = {"MemberName": name, "Queue": queue, "Status": status, "Paused": "0", **more}
            self.agents.on_event(Event("QueueMemberStatus", fields, 0.0))

    def caller(self, unique_id: str, queue: str = EN) -> None:
        """Comes through the hotline and joins the line."""
        call = self.book.begin(unique_id, "northwind", via=HOTLINE)
        call.language = queue.removeprefix("northwind-")
        self.hear("QueueCallerJoin", unique_id, queue)
        self.book.queued(call, call.language, self.clock.now)

    def served(self, unique_id: str, agent: str, seconds: float, queue: str = EN) -> None:
        self.hear("QueueCallerLeave", unique_id, queue)
        self.hear("AgentConnect", unique_id, queue, MemberName=agent, HoldTime="0")
        self.clock.now += seconds
        self.hear("AgentComplete", unique_id, queue, MemberName=agent, TalkTime=str(int(seconds)))
        self.hear("Hangup", unique_id)

    def announce(self, unique_id: str) -> None:
        """Asterisk plays an announcement to a waiting caller."""
        self.hear("MusicOnHoldStop", unique_id)
        self.clock.now += 8
        self.hear("MusicOnHoldStart", unique_id)

    async def choose(self) -> list[str]:
        """What callers' channels are set to now, one after the other."""
        before = len(self.asterisk.languages)
        await self.announcer._choose()
        return [f"{who} {what}" for who, what in self.asterisk.languages[before:]]


@pytest.fixture
def floor() -> Floor:
    return Floor()


def promises(kept: str) -> float:
    labels = {"incident": "northwind", "kept": kept}
    return REGISTRY.get_sample_value("breachline_wait_promise_total", labels) or 0.0


# What is learned


def test_calls_with_agents_teach_how_long_they_take(floor: Floor) -> None:
    usual = floor.experience.of("northwind").rates(floor.clock.now, EN).service
    for index in range(40):
        unique_id = f"n1-1.{index}"
        floor.hear("QueueCallerJoin", unique_id)
        floor.served(unique_id, "1001", 90.0)
    rate = floor.experience.of("northwind").rates(floor.clock.now, EN).service
    assert usual == pytest.approx(1 / 300)
    assert 90 + WRAP_UP < 1 / rate < 200


def test_hanging_up_teaches_patience_and_keeping_a_place_does_not(floor: Floor) -> None:
    def patience() -> float:
        return 1 / floor.experience.of("northwind").rates(floor.clock.now, EN).patience

    usual = patience()
    for index in range(30):
        floor.hear("QueueCallerJoin", f"n1-1.{index}")
        floor.clock.now += 20
        floor.hear("QueueCallerAbandon", f"n1-1.{index}")
        floor.hear("QueueCallerLeave", f"n1-1.{index}")
        floor.hear("Hangup", f"n1-1.{index}")
    short = patience()
    assert short < usual / 2
    for index in range(30):
        floor.hear("QueueCallerJoin", f"n1-2.{index}")
        floor.clock.now += 20
        floor.hear("QueueCallerLeave", f"n1-2.{index}")
    floor.clock.now += SETTLED_SECONDS
    floor.experience.settle()
    assert patience() > short


def test_a_notice_call_takes_an_agent_from_the_callers_queues(floor: Floor) -> None:
    floor.agent("1001", EN, f"{EN}-notices")
    for index in range(20):
        floor.caller(f"n1-1.{index}")
    for _ in range(20):
        floor.clock.now += 30
        floor.forecasts.watch()
        attempt = f"{int(floor.clock.now):032x}"
        floor.hear("AgentConnect", attempt, f"{EN}-notices", MemberName="1001")
        assert floor.experience.on_notice({"1001", "1002"}) == 1
        floor.hear("AgentComplete", attempt, f"{EN}-notices", MemberName="1001", TalkTime="1")
        assert floor.experience.on_notice({"1001"}) == 0
    rates = floor.experience.of("northwind").rates(floor.clock.now, EN)
    assert rates.outbound > 0
    assert floor.experience.serving("northwind") == ()


def test_a_call_in_progress_is_known_until_it_ends(floor: Floor) -> None:
    floor.hear("QueueCallerJoin", "n1-1.1")
    floor.hear("QueueCallerLeave", "n1-1.1")
    floor.hear("AgentConnect", "n1-1.1", MemberName="1001")
    floor.clock.now += 40
    assert floor.experience.serving("northwind") == (40.0,)
    floor.hear("Hangup", "n1-1.1")
    assert floor.experience.serving("northwind") == ()


def test_predictions_are_held_against_what_came_of_them(floor: Floor) -> None:
    def scatter() -> object:
        queues = floor.experience.of("northwind").to_dict()["queues"]
        assert isinstance(queues, dict)
        return queues[EN]["scatter"][0]

    floor.agent("1001")
    floor.caller("n1-1.1")
    floor.hear("QueueCallerJoin", "n1-1.2", Channel="Local/x@kept-far-00000001;1")
    for _ in range(40):
        floor.clock.now += 20
        floor.forecasts.watch()
    floor.hear("QueueCallerLeave", "n1-1.2")
    floor.hear("AgentConnect", "n1-1.2", MemberName="1001")
    assert scatter() == 0
    floor.hear("QueueCallerLeave", "n1-1.1")
    floor.hear("AgentConnect", "n1-1.1", MemberName="1001")
    assert scatter() == 1


# Forecasts


def test_nobody_there_to_serve_is_no_forecast(floor: Floor) -> None:
    forecast = floor.forecasts.for_newcomer(EN)
    assert forecast is not None
    assert (forecast.place, forecast.prediction, forecast.first) == (1, None, None)
    assert forecast.offer
    assert not forecast.at_once
    assert floor.forecasts.for_newcomer("no such queue") is None
    assert floor.forecasts.of("nobody") is None


def test_a_free_agent_takes_the_caller_at_once(floor: Floor) -> None:
    floor.agent("1001", status="1")
    forecast = floor.forecasts.for_newcomer(EN)
    assert forecast is not None
    assert forecast.at_once
    assert not forecast.offer


def test_more_ahead_is_a_longer_wait_and_more_agents_a_shorter_one(floor: Floor) -> None:
    floor.agent("1001")
    median = []
    for index in range(3):
        forecast = floor.forecasts.for_newcomer(EN)
        assert forecast is not None
        assert forecast.prediction is not None
        assert forecast.place == index + 1
        median.append(forecast.prediction.p50)
        floor.hear("QueueCallerJoin", f"n1-1.{index}")
    assert median == sorted(set(median))
    floor.agent("1002")
    quicker = floor.forecasts.for_newcomer(EN)
    assert quicker is not None
    assert quicker.prediction is not None
    assert quicker.prediction.p50 < median[-1]
    places = [floor.forecasts.of(f"n1-1.{index}") for index in range(3)]
    assert [each.place for each in places if each] == [1, 2, 3]


def test_paused_and_absent_agents_do_not_count_and_wrap_up_does(floor: Floor) -> None:
    floor.agent("1001", Paused="1", status="1")
    floor.agent("1002", status="5")
    assert floor.agents.team(EN).names == frozenset()
    floor.agent("1003", EN, ES, status="1", LastCall=str(int(floor.clock.now - 4)))
    team = floor.agents.team(EN)
    assert (set(team.names), dict(team.wrapping)) == ({"1003"}, {"1003": 6.0})
    assert floor.agents.queues_of("1003") == {EN, ES}
    forecast = floor.forecasts.for_newcomer(ES)
    assert forecast is not None
    assert not forecast.at_once


def test_agents_shared_with_another_language_are_shared(floor: Floor) -> None:
    floor.agent("1001", EN, ES)
    alone = floor.forecasts.for_newcomer(EN)
    for index in range(30):
        floor.hear("QueueCallerJoin", f"n1-1.{index}", ES)
    beside = floor.forecasts.for_newcomer(EN)
    assert alone is not None
    assert beside is not None
    assert alone.prediction is not None
    assert beside.prediction is not None
    assert beside.prediction.p50 > 1.3 * alone.prediction.p50


def test_a_kept_place_counts_as_somebody_ahead(floor: Floor) -> None:
    floor.hear("QueueCallerJoin", "n1-1.1", Channel="Local/x@kept-far-00000001;1")
    forecast = floor.forecasts.for_newcomer(EN)
    assert forecast is not None
    assert forecast.place == 2
    assert floor.forecasts.places() == {("northwind", "en"): 1, ("northwind", "es"): 0}


@pytest.mark.parametrize(
    ("settings", "said", "offered"),
    [
        (WaitingSettings(), True, True),
        (WaitingSettings(estimate=False), False, True),
        (WaitingSettings(keep_place=False), True, False),
        (WaitingSettings(offer_callback_after=7200), True, False),
    ],
)
def test_each_part_can_be_switched_off(
    settings: WaitingSettings, said: bool, offered: bool
) -> None:
    floor = Floor(settings)
    floor.agent("1001")
    forecast = floor.forecasts.for_newcomer(EN)
    assert forecast is not None
    assert ((forecast.first is not None), forecast.offer) == (said, offered)


# What callers hear


def test_whatever_may_be_promised_can_be_spoken() -> None:
    assert waits.STEPS == STEPS


def first_words(floor: Floor, unique_id: str) -> Promise:
    """What `say_wait` does before a caller joins."""
    forecast = floor.forecasts.for_newcomer(EN)
    assert forecast is not None
    first = forecast.first
    assert first is not None
    call = floor.book.begin(unique_id, "northwind", via=HOTLINE)
    call.language = "en"
    call.first_words = (first.low_minutes, first.high_minutes, forecast.offer)
    floor.hear("QueueCallerJoin", unique_id)
    floor.book.queued(call, "en", floor.clock.now)
    return first


async def test_the_range_is_taken_back_once_it_was_heard(floor: Floor) -> None:
    floor.agent("1001")
    first = first_words(floor, "n1-1.1")
    assert await floor.choose() == []
    floor.hear("MusicOnHoldStart", "n1-1.1")
    assert await floor.choose() == []
    floor.announce("n1-1.1")
    assert await floor.choose() == ["n1-1.1 en"]
    floor.clock.now += 30
    floor.announce("n1-1.1")
    assert await floor.choose() == []
    row = floor.written.calls["n1-1.1"]
    assert (row.promised_low, row.promised_high) == (
        8.0 + first.low_minutes * 60 if first.low_minutes else 0.0,
        8.0 + first.high_minutes * 60,
    )


async def test_only_a_better_range_is_said_and_only_once(floor: Floor) -> None:
    floor.agent("1001")
    for index in range(8):
        floor.caller(f"n1-1.{index}")
    first = first_words(floor, "n1-2.1")
    floor.announce("n1-2.1")
    await floor.choose()
    for index in range(7):
        floor.hear("QueueCallerLeave", f"n1-1.{index}")
    for name in ("1002", "1003", "1004"):
        floor.agent(name)
    floor.clock.now += 3
    mine = [each for each in await floor.choose() if each.startswith("n1-2.1")]
    assert len(mine) == 1
    found = mine[0].removeprefix("n1-2.1 en_w").split("t")
    assert int(found[1]) < first.high_minutes
    floor.announce("n1-2.1")
    assert "n1-2.1 en" in await floor.choose()
    # It gets worse: nothing is said.
    for name in ("1001", "1002", "1003", "1004"):
        floor.agent(name, Paused="1")
    floor.clock.now += 3
    assert [each for each in await floor.choose() if each.startswith("n1-2.1")] == []


async def test_nothing_changes_while_it_is_being_said(floor: Floor) -> None:
    floor.agent("1001")
    first_words(floor, "n1-1.1")
    floor.hear("MusicOnHoldStop", "n1-1.1")
    for name in ("1002", "1003", "1004", "1005"):
        floor.agent(name)
    floor.clock.now += 3
    assert await floor.choose() == []
    floor.hear("MusicOnHoldStart", "n1-1.1")
    (now_set,) = await floor.choose()
    assert now_set.startswith("n1-1.1 en")


async def test_a_caller_who_was_there_before_us_hears_a_range_too(floor: Floor) -> None:
    floor.agent("1001")
    floor.lineup.listing()
    floor.hear("QueueEntry", "n1-1.1", Position="1", Wait="30")
    floor.lineup.listed()
    (found,) = await floor.choose()
    assert found.startswith("n1-1.1 en_w")
    floor.announce("n1-1.1")
    assert await floor.choose() == ["n1-1.1 en"]


async def test_a_restart_takes_back_what_nobody_knows(floor: Floor) -> None:
    floor.agent("1001")
    call = floor.book.begin("n1-1.1", "northwind", via=HOTLINE)
    call.language, call.queued_at = "en", floor.clock.now - 60
    call.promised_low, call.promised_high = 60.0, 300.0
    floor.lineup.listing()
    floor.hear("QueueEntry", "n1-1.1", Position="1", Wait="60")
    floor.lineup.listed()
    assert await floor.choose() == ["n1-1.1 en"]


async def test_placeholders_and_other_queues_hear_nothing(floor: Floor) -> None:
    floor.agent("1001")
    floor.hear("QueueCallerJoin", "n1-1.1", Channel="Local/x@kept-far-00000001;1")
    floor.hear("QueueCallerJoin", "n1-1.2", f"{EN}-notices")
    floor.announce("n1-1.1")
    assert await floor.choose() == []


async def test_a_channel_that_is_gone_is_forgotten_and_a_doubt_is_settled(
    floor: Floor, caplog: pytest.LogCaptureFixture
) -> None:
    floor.agent("1001")
    floor.caller("n1-1.1")
    floor.asterisk.fails = OutcomeUnknown("Setvar", "1", "late")
    assert await floor.choose() == []
    assert "uncertain" in caplog.text
    assert len(await floor.choose()) == 1
    floor.announce("n1-1.1")
    floor.asterisk.fails = Refused("Setvar", "No such channel")
    assert await floor.choose() == []
    floor.clock.now += 60
    assert await floor.choose() == []


async def test_promises_are_counted_by_what_came_of_them(floor: Floor) -> None:
    floor.agent("1001")
    before = promises("yes"), promises("no")
    for unique_id, seconds, ending in (
        ("n1-1.1", 60.0, "AgentConnect"),
        ("n1-1.2", 7200.0, "AgentConnect"),
        ("n1-1.3", 60.0, "QueueCallerAbandon"),
        ("n1-1.4", 7200.0, "QueueCallerAbandon"),
    ):
        first_words(floor, unique_id)
        floor.announce(unique_id)
        floor.clock.now += seconds
        floor.hear("QueueCallerLeave", unique_id)
        floor.hear(ending, unique_id, MemberName="1001")
        floor.hear("Hangup", unique_id)
    assert (promises("yes") - before[0], promises("no") - before[1]) == (1, 2)


async def test_who_comes_back_into_the_line_is_not_told_again(floor: Floor) -> None:
    floor.agent("1001")
    first_words(floor, "n1-1.1")
    floor.announce("n1-1.1")
    await floor.choose()
    floor.hear("QueueCallerLeave", "n1-1.1")
    floor.clock.now += 20
    floor.hear("QueueCallerJoin", "n1-1.1")
    assert await floor.choose() == []


# Across restarts


def test_what_was_learned_outlives_a_restart(floor: Floor, tmp_path: Path) -> None:
    for index in range(40):
        floor.hear("QueueCallerJoin", f"n1-1.{index}")
        floor.served(f"n1-1.{index}", "1001", 50.0)
    file = tmp_path / "run" / learned_file.NAME
    learned_file.save(file, learned_file.dump(floor.experience.all()))
    again = Floor()
    again.clock.now = floor.clock.now
    again.experience.restore(learned_file.load(file))
    rates = again.experience.of("northwind").rates(again.clock.now, EN)
    assert rates == floor.experience.of("northwind").rates(floor.clock.now, EN)
    assert rates.service > Learner().rates(again.clock.now).service


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"northwind": 5}', '{"northwind": {"version": 0}}', "[" * 100_000]
)
def test_a_damaged_file_is_a_cold_start_with_a_warning(
    content: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / learned_file.NAME
    file.write_text(content)
    assert learned_file.load(file) == {}
    assert "predicted anew" in caplog.text


def test_no_file_is_a_cold_start_without_one(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert learned_file.load(tmp_path / learned_file.NAME) == {}
    assert caplog.text == ""


def test_the_file_holds_rates_alone(floor: Floor) -> None:
    floor.caller("n1-1.1")
    data = json.loads(learned_file.dump(floor.experience.all()))
    assert set(data) == {"northwind"}
    assert "n1-1.1" not in json.dumps(data)
