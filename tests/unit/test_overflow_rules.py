"""An outsourcer in the plan, in Asterisk's files and in the queue log; how busy is told."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from prometheus_client import REGISTRY

from incident.home import Home
from incident.outcomes import CallOutcome
from incident.plan import Overflow, PlanError, parse_plan, require_carrier
from incident.settings import CallLimits, CarrierSettings, LoadSettings, Settings
from ivr.calls import HOTLINE, CallBook
from ivr.crowd import LONGEST, Crowd
from ivr.forecasts import Forecasts
from ivr.journal import Journal
from ivr.predictor import Prediction
from ivr.queue_log import parse
from ivr.served import Incidents
from pbx.ami import Event
from pbx.render import HotlineNumber, Outsourcer, TemplateError, render_asterisk
from tests.ivr_talk import Published, served
from tests.running import SAMPLE

TEXT = SAMPLE.read_text(encoding="utf-8")
OVERFLOW = """\
overflow:
  carrier: helpers
  number: "+18885550177"
  share: 0.3
  when_wait_over: 300
  pass: [reference, language]
"""
PLAN = parse_plan(f"{TEXT}\n{OVERFLOW}load: {{busy_wait: 60, shed_wait: 600}}\n", "sample")
CALL = "node1-1795465328.79"


def test_a_plan_without_these_sections_has_no_outsourcer_and_the_usual_limits() -> None:
    plan = parse_plan(TEXT, "sample")
    assert plan.overflow is None
    assert (plan.load.busy_wait, plan.load.shed_wait) == (180, None)


def test_what_is_not_said_is_not_passed_and_rings_for_twenty_seconds() -> None:
    plan = Overflow.model_validate(
        {"carrier": "a", "number": "+18885550177", "share": "1", "when_wait_over": "0"}
    )
    assert (plan.passed, plan.answer_within) == ((), 20)


@pytest.mark.parametrize(
    ("old", "new", "where", "says"),
    [
        ("share: 0.3", "share: 0", "overflow.share", "greater than 0"),
        ("share: 0.3", "share: 1.1", "overflow.share", "at most 1"),
        ("share: 0.3", "shares: 0.3", "overflow.shares", "did you mean 'share'?"),
        ('"+18885550177"', '"8885550177"', "overflow.number", "not in E.164 form"),
        ('"+18885550177"', '"+19002345678"', "overflow.number", "premium rate"),
        ("[reference, language]", "[name]", "overflow.pass[1]", "'name' is not one of"),
        ("pass:", "passed:", "overflow.passed", "unknown key"),
        ("when_wait_over: 300", "when_wait_over: -1", "overflow.when_wait_over", "at least 0"),
    ],
)
def test_a_mistake_about_an_outsourcer_is_found(old: str, new: str, where: str, says: str) -> None:
    assert old in OVERFLOW
    with pytest.raises(PlanError) as caught:
        parse_plan(f"{TEXT}\n{OVERFLOW.replace(old, new)}", "x")
    assert [
        (each.where, says in each.message) for each in caught.value.problems if each.where == where
    ] == [(where, True)]


def test_limits_in_the_wrong_order_are_a_mistake() -> None:
    with pytest.raises(PlanError, match=r"shed_wait \(30\) is below busy_wait \(60\)"):
        parse_plan(f"{TEXT}\nload: {{busy_wait: 60, shed_wait: 30}}\n", "x")


def test_a_trunk_that_the_system_does_not_have_is_a_mistake_with_its_place() -> None:
    text = f"{TEXT}\n{OVERFLOW}"
    require_carrier(text, "x", PLAN.overflow, ["helpers"])
    require_carrier(text, "x", None, [])
    with pytest.raises(PlanError) as caught:
        require_carrier(text, "x", PLAN.overflow, ["helper", "acme"])
    (problem,) = caught.value.problems
    assert text.splitlines()[problem.line - 1].strip() == "carrier: helpers"
    assert problem.message == (
        "breachline.toml has no outbound carrier 'helpers'; did you mean 'helper'?"
    )


@pytest.mark.parametrize(
    ("load", "ports", "limits"),
    [
        (LoadSettings(), (10000, 12999), CallLimits(600, 750)),
        (LoadSettings(max_channels=10), (10000, 12999), CallLimits(8, 10)),
        (LoadSettings(max_channels=10, refuse_at=2.0), (10000, 12999), CallLimits(8, 20)),
        (LoadSettings(max_channels=10, shed=False), (10000, 12999), CallLimits(10, 10)),
        (LoadSettings(max_channels=1), (10000, 12999), CallLimits(1, 1)),
    ],
)
def test_how_many_calls_are_taken(
    load: LoadSettings, ports: tuple[int, int], limits: CallLimits
) -> None:
    asterisk = Settings().asterisk.model_copy(update={"rtp_first": ports[0], "rtp_last": ports[1]})
    assert Settings(load=load, asterisk=asterisk).call_limits() == limits


def test_refusing_before_shedding_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="refuse_at must not be below shed_at"):
        LoadSettings(shed_at=0.9, refuse_at=0.5)


def rendered(tmp_path: Path, overflow: Overflow | None) -> str:
    home = Home.at(tmp_path)
    render_asterisk(
        home,
        Settings(carrier=(CarrierSettings(name="helpers", host="192.0.2.7"),)),
        modules=tmp_path,
        share=tmp_path,
        moh=tmp_path,
        incidents=[HotlineNumber("northwind", "+18005550199", ("en",))],
        agents=[],
        outsourcers=[] if overflow is None else [Outsourcer("northwind", overflow, 30)],
    )
    return (home.asterisk / "etc" / "extensions_generated.conf").read_text()


def test_the_only_number_outside_is_the_plans(tmp_path: Path) -> None:
    text = rendered(tmp_path, PLAN.overflow)
    assert re.findall(r"Dial\((.*?),(\d+),", text) == [("PJSIP/+18885550177@carrier-helpers", "20")]
    assert "Set(__BL_TELL_LANGUAGE=1)" in text
    assert "Set(__BL_TELL_REFERENCE=1)" in text
    assert "Set(CALLERID(num)=anonymous)" in text
    assert "> 30]?full" in text


def test_without_an_outsourcer_nothing_is_dialled(tmp_path: Path) -> None:
    assert "Dial(" not in rendered(tmp_path, None)


@pytest.mark.parametrize("number", ["+1888,555", "+1888)", "", "+1888\n"])
def test_a_number_that_asterisk_could_misread_is_refused(number: str) -> None:
    assert PLAN.overflow is not None
    with pytest.raises(TemplateError):
        Outsourcer("northwind", PLAN.overflow.model_copy(update={"number": number}), 1)


def test_limits_are_globals_and_the_mode_is_used_where_asterisk_has_it(tmp_path: Path) -> None:
    rendered(tmp_path, None)
    conf = tmp_path / "asterisk" / "etc" / "extensions.conf"
    assert "BL_SHED_ABOVE=600\nBL_REFUSE_ABOVE=750\nBL_RETRY_AFTER=0\n" in conf.read_text()
    (tmp_path / "res_pjsip_maintenance.so").touch()
    rendered(tmp_path, None)
    assert "BL_RETRY_AFTER=1\n" in conf.read_text()
    modules = (tmp_path / "asterisk" / "etc" / "modules.conf").read_text()
    assert "\nrequire = res_pjsip_maintenance.so\n" in modules


LOG = """\
100|c.1|northwind-en|outsourcer|BLSENT||
109|c.1|northwind-en|outsourcer|BLTAKEN||
150|c.1|northwind-en|outsourcer|BLGONE||
100|c.2|northwind-en|outsourcer|BLSENT||
105|c.2|northwind-en|outsourcer|BLGONE||
100|c.3|northwind-en|outsourcer|BLSENT||
120|c.3|northwind-en|outsourcer|BLBACK|NOANSWER|
120|c.3|northwind-en|NONE|ENTERQUEUE||||1
130|c.3|northwind-en|1001|CONNECT|10|x|1
"""


def test_the_queue_log_knows_what_the_outsourcer_did() -> None:
    found = parse(LOG.splitlines())
    taken, left, back = (found[f"c.{number}"] for number in (1, 2, 3))
    assert (taken.entered_at, taken.connected_at, taken.ended_at) == (100, 109, 150)
    assert (taken.agent, taken.outcome) == ("outsourcer", CallOutcome.OUTSOURCED)
    assert (left.outcome, left.ended_at) == (CallOutcome.ABANDONED_WAITING, 105)
    # The wait counts from the first time.
    assert (back.came_back, back.entered_at, back.agent) == (True, 100, "1001")
    assert back.outcome is CallOutcome.AGENT


class Hall:
    """A hotline's calls and forecasts, without Asterisk."""

    def __init__(self, *, shed: bool = True) -> None:
        self.now = 1000.0
        journal = cast(Journal, SimpleNamespace(call=lambda _call: None))
        self.book = CallBook("node1", journal, Published(), clock=lambda: self.now)
        self.newcomers: Mapping[tuple[str, str], Prediction | None] = {}
        air = cast(
            Incidents,
            SimpleNamespace(all={"northwind": served(PLAN)}, on_change=lambda _handler: None),
        )
        self.crowd = Crowd(
            "node1",
            air,
            self.book,
            cast(Forecasts, SimpleNamespace(newcomers=lambda: self.newcomers)),
            limits=CallLimits(8, 10),
            shed=shed,
            clock=lambda: self.now,
            wall=lambda: self.now,
        )

    def expect(self, *waits: float | None) -> None:
        self.newcomers = {
            ("northwind", f"l{number}"): None if wait is None else Prediction(wait, 1.0, wait, wait)
            for number, wait in enumerate(waits)
        }

    def caller_waits(self) -> None:
        call = self.book.begin(CALL, "northwind", via=HOTLINE)
        self.book.queued(call, "en", self.now)


def test_the_longest_wait_of_a_newcomer_decides() -> None:
    hall = Hall()
    hall.expect(10.0, 70.0)
    (row,) = hall.crowd.look()
    assert (row.level, row.predicted_seconds, row.waiting) == ("busy", 70.0, 0)
    assert not hall.crowd.closes_line("northwind")
    hall.expect(10.0, 700.0)
    assert [row.level for row in hall.crowd.look()] == ["shedding"]
    assert hall.crowd.closes_line("northwind")
    assert not hall.crowd.turns_away("northwind", flagged=False)
    assert hall.crowd.turns_away("northwind", flagged=True)


def test_switched_off_nobody_gets_the_short_way_but_the_dialer_is_told() -> None:
    hall = Hall(shed=False)
    hall.expect(700.0)
    assert [row.level for row in hall.crowd.look()] == ["shedding"]
    assert not hall.crowd.closes_line("northwind")
    assert not hall.crowd.turns_away("northwind", flagged=True)


def test_callers_whom_nobody_serves_wait_without_end() -> None:
    hall = Hall()
    hall.expect(None)
    (row,) = hall.crowd.look()
    assert (row.level, row.predicted_seconds) == ("normal", None)
    hall.caller_waits()
    (row,) = hall.crowd.look()
    assert (row.level, row.predicted_seconds, row.waiting) == ("shedding", LONGEST, 1)


def test_while_nothing_happens_nothing_is_written_again() -> None:
    hall = Hall()
    hall.expect(1.0)
    assert len(hall.crowd.look()) == 1
    assert hall.crowd.look() == ()
    hall.caller_waits()
    assert len(hall.crowd.look()) == 1
    assert len(hall.crowd.look()) == 1
    (call,) = hall.book
    hall.book.end(call, hall.now)
    assert [row.waiting for row in hall.crowd.look()] == [0]
    assert hall.crowd.look() == ()


def test_refused_calls_are_counted() -> None:
    hall = Hall()
    before = REGISTRY.get_sample_value("breachline_refused_calls_total", {"incident": "northwind"})
    for incident in ("northwind", "nobody's"):
        hall.crowd.on_event(
            Event("UserEvent", {"UserEvent": "BreachlineRefused", "Incident": incident}, 0.0)
        )
    after = REGISTRY.get_sample_value("breachline_refused_calls_total", {"incident": "northwind"})
    assert (after or 0) - (before or 0) == 1
