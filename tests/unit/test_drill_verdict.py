"""Ready or not ready: each figure beyond its limit is a reason, and nothing else is."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from drill.machine import Use
from drill.verdict import OURS, Figures, Limits, Silence, judge

CALM = Use(
    memory_before=60,
    memory_peak=90,
    memory_after=80,
    memory_grew=0.1,
    processor_before=0.5,
    processor_during=20,
    processor_peak=40,
    processor_after=0.5,
    restarted=False,
)
GOOD = Figures(
    planned=100,
    calls=103,
    redials=3,
    late=0.1,
    busy=0,
    dropped=0,
    shed=0,
    self_service=60,
    wanted_agent=40,
    answered=29,
    in_time=28,
    target=30.0,
    gave_up=1,
    waits=tuple(float(second) for second in range(29)),
    asked=10,
    kept=9,
    explained=1,
    unfinished=0,
    lost=0,
    promised=20,
    wrong=2,
    silences=(),
    dialled_twice=0,
    out_of_turn=0,
    misnoted=0,
    left_open=0,
    uses=dict.fromkeys(OURS, CALM),
)


def with_(**changes: Any) -> Figures:
    return dataclasses.replace(GOOD, **changes)


def calm_but(**changes: Any) -> dict[str, Use]:
    return {**GOOD.uses, "hotline": dataclasses.replace(CALM, **changes)}


def test_good_figures_are_ready() -> None:
    verdict = judge(GOOD, Limits())
    assert verdict.ready
    assert str(verdict) == "ready"


@pytest.mark.parametrize(
    ("changes", "figure"),
    [
        ({"calls": 53}, "calls placed"),
        (
            {"unfinished": 2, "left_open": 4},
            "callers and call-backs still waiting as the drill ended",
        ),
        ({"late": 3.5}, "the drill's own delay"),
        ({"busy": 1}, "busy signals"),
        ({"dropped": 1}, "dropped calls"),
        ({"lost": 1}, "call-backs neither kept nor explained"),
        ({"dialled_twice": 1}, "people dialled twice"),
        ({"out_of_turn": 1}, "callers served out of turn"),
        ({"misnoted": 1}, "calls noted wrongly"),
        ({"left_open": 1}, "calls left open in the PBX"),
        ({"silences": None}, "silence"),
        ({"silences": (Silence("menu", 10, 4, 2.5),)}, "silences over 2 s"),
        ({"in_time": 23}, "service level within 30 s"),
        ({"gave_up": 3}, "abandonment"),
        ({"wrong": 4}, "wrong announcements"),
        ({"uses": {}}, "asterisk's processor and memory"),
        ({"uses": calm_but(restarted=True)}, "hotline's restarts"),
        ({"uses": calm_but(memory_grew=4.1)}, "hotline's memory after the last call"),
        ({"uses": calm_but(memory_after=157)}, "hotline's memory"),
        ({"uses": calm_but(processor_after=6)}, "hotline's processor time after the last call"),
    ],
)
def test_each_figure_beyond_its_limit_is_a_reason(changes: dict[str, Any], figure: str) -> None:
    verdict = judge(with_(**changes), Limits())
    assert not verdict.ready
    assert verdict.reasons[0].figure == figure
    assert len(verdict.reasons) == (3 if "uses" in changes and not changes["uses"] else 1)
    assert verdict.reasons[0].remedy
    assert str(verdict).startswith(f"not ready, because {figure} is ")


def test_at_the_limit_is_ready_and_limits_can_be_moved() -> None:
    assert judge(with_(in_time=24, gave_up=2, wrong=3, late=3), Limits()).ready
    assert judge(with_(in_time=0, gave_up=40), Limits(service_level=0, abandonment=1)).ready
    assert not judge(GOOD, Limits(service_level=0.99)).ready


def test_a_part_that_is_never_idle_is_measured_against_itself() -> None:
    busy = {**GOOD.uses, "asterisk": dataclasses.replace(CALM, processor_before=30.0)}
    busy["asterisk"] = dataclasses.replace(busy["asterisk"], processor_after=40.0)
    assert judge(with_(uses=busy), Limits()).ready


def test_every_reason_is_told_failures_first() -> None:
    verdict = judge(with_(busy=2, gave_up=20, dropped=1), Limits())
    assert [each.figure for each in verdict.reasons] == [
        "busy signals",
        "dropped calls",
        "abandonment",
    ]
    assert "busy signals: 2 (limit 0)" in str(verdict.reasons[0])


def test_the_longest_silence_is_named() -> None:
    silences = (Silence("menu", 10, 4, 2.5), Silence("waiting", 20, 9, 7.25))
    (reason,) = judge(with_(silences=silences), Limits()).reasons
    assert reason.found == "2, the longest 7.2 s (waiting)"


def test_a_few_out_of_turn_are_how_asterisk_is() -> None:
    many = with_(wanted_agent=180, answered=141, in_time=150)
    assert judge(dataclasses.replace(many, out_of_turn=3), Limits()).ready
    (reason,) = judge(dataclasses.replace(many, out_of_turn=4), Limits()).reasons
    assert (reason.found, reason.limit) == ("4 of 150", "3")


def test_silence_may_be_left_out() -> None:
    assert judge(with_(silences=None), Limits(silence=False)).ready


def test_shares_and_speeds() -> None:
    assert GOOD.service_level == pytest.approx(28 / 30)
    assert GOOD.abandonment == pytest.approx(1 / 40)
    assert GOOD.self_service_share == pytest.approx(60 / 103)
    assert GOOD.wrong_share == pytest.approx(0.1)
    assert GOOD.speed_mean == 14
    assert GOOD.speed_p90 == 26


def test_nobody_is_no_share() -> None:
    none = with_(wanted_agent=0, asked=0, in_time=0, gave_up=0, waits=(), promised=0, wrong=0)
    assert none.service_level is None
    assert none.abandonment is None
    assert none.speed_mean is None
    assert none.speed_p90 is None
    assert none.wrong_share is None
    assert judge(none, Limits()).ready
