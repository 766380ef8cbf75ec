"""``breachline drill surge``: what it is told, what it refuses, how it ends."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import signal
import tomllib
from contextlib import nullcontext
from pathlib import Path
from typing import Any, cast

import pytest
from typer.testing import CliRunner

from console import drill_commands
from console.__main__ import app
from console.door import Refused
from console.drill_running import simulated_carrier
from console.drill_stage import Crew, own_home, write_drill_settings
from console.stage import Addresses
from drill.surge import Influx, Scene
from drill.verdict import Figures
from incident.home import Home
from incident.settings import CarrierSettings, Settings, load_settings
from tests.unit.test_drill_verdict import GOOD

SURGE = ["drill", "surge"]


class Runs:
    """Stands in for the drill itself."""

    def __init__(self) -> None:
        self.figures = {"on": GOOD, "off": GOOD}
        self.seen: list[tuple[Path, Addresses, Crew, Influx, bool]] = []

    async def surge(
        self, root: Path, at: Addresses, crew: Crew, influx: Influx, *, off: bool
    ) -> Figures:
        self.seen.append((root, at, crew, influx, off))
        return self.figures[root.name]


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> Runs:
    stand_in = Runs()
    monkeypatch.setattr(drill_commands, "_surge", stand_in.surge)
    return stand_in


def invoke(*arguments: str) -> Any:
    return CliRunner().invoke(app, [*SURGE, *arguments])


def test_ready_is_exit_code_0(runs: Runs, tmp_path: Path) -> None:
    result = invoke("--home", str(tmp_path))
    assert result.exit_code == 0
    assert "\nready\n" in result.stdout
    ((root, at, crew, influx, off),) = runs.seen
    assert root == tmp_path / "on"
    assert at == Addresses()
    assert crew == Crew(8, (20, 40), 3)
    assert (influx.calls, influx.seconds, influx.temper.patience) == (600, 300, 180)
    assert not off


def test_not_ready_is_exit_code_1_with_the_reason_on_standard_error(runs: Runs) -> None:
    runs.figures["on"] = dataclasses.replace(GOOD, busy=3)
    result = invoke()
    assert result.exit_code == 1
    assert result.stderr == "not ready, because busy signals is 3 (limit 0)\n"
    assert "not ready, because:" in result.stdout


STOPPED = dataclasses.replace(GOOD, planned=600, calls=130, redials=10, dropped=5, uses={})


def test_a_drill_that_was_stopped_has_no_verdict(
    runs: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []

    async def stopped(root: Path, *_: object, **__: object) -> Figures:
        seen.append(root.name)
        raise drill_commands.Stopped(STOPPED)

    monkeypatch.setattr(drill_commands, "_surge", stopped)
    file = tmp_path / "figures.json"
    result = invoke("--compare", "--home", str(tmp_path), "--json", str(file))
    assert result.exit_code == 1
    assert result.stderr == "stopped after 120 of 600 calls, no verdict\n"
    assert "ready" not in result.stdout
    assert "130 (10)" in result.stdout
    assert "Machine" not in result.stdout  # the quiet machine was not watched
    assert seen == ["on"]  # nothing is started after it
    found = json.loads(file.read_text(encoding="utf-8"))["on"]
    assert (found["ready"], found["reasons"], found["dropped"]) == (None, [], 5)


async def test_ctrl_c_stops_a_drill(monkeypatch: pytest.MonkeyPatch) -> None:
    class Interrupted:
        def __init__(self, *_: object) -> None: ...

        async def run(self, stop: asyncio.Event) -> Figures:
            os.kill(os.getpid(), signal.SIGINT)
            async with asyncio.timeout(10):
                await stop.wait()
            return STOPPED

    class Undisturbed(Interrupted):
        async def run(self, stop: asyncio.Event) -> Figures:
            assert not stop.is_set()
            return GOOD

    influx, scene = Influx(600, 300), cast(Scene, None)
    try:
        monkeypatch.setattr(drill_commands, "Surge", Interrupted)
        with pytest.raises(drill_commands.Stopped, match="after 120 of 600 calls, no verdict"):
            await drill_commands._on(nullcontext(scene), influx)
        monkeypatch.setattr(drill_commands, "Surge", Undisturbed)
        assert await drill_commands._on(nullcontext(scene), influx) == GOOD
    finally:
        for name in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().remove_signal_handler(name)


def test_options_are_grouped_in_the_help() -> None:
    shown = invoke("--help").stdout
    for panel in ("What comes", "Callers", "Agents", "What ready means", "What it comes to"):
        assert f"─ {panel} ─" in shown


@pytest.mark.parametrize(
    "wrong",
    [
        ("--talk", "20"),
        ("--talk", "40-20"),
        ("--talk", "0-9"),
        ("--shape", "round"),
        ("--calls", "0"),
        ("--service-level", "1.5"),
        ("--off", "--compare"),
        ("--net", "127.0"),
    ],
)
def test_wrong_usage_is_exit_code_2(runs: Runs, wrong: tuple[str, ...]) -> None:
    assert invoke(*wrong).exit_code == 2
    assert runs.seen == []


def test_off_has_a_home_of_its_own(runs: Runs, tmp_path: Path) -> None:
    invoke("--off", "--home", str(tmp_path))
    ((root, _, _, _, off),) = runs.seen
    assert root == tmp_path / "off"
    assert off


def test_compare_runs_the_same_influx_twice_and_the_first_decides(
    runs: Runs, tmp_path: Path
) -> None:
    runs.figures["off"] = dataclasses.replace(GOOD, dropped=5)
    file = tmp_path / "figures.json"
    result = invoke("--compare", "--home", str(tmp_path), "--seed", "9", "--json", str(file))
    assert result.exit_code == 0
    (on, off) = runs.seen
    assert (on[4], off[4]) == (False, True)
    assert on[3] == off[3]
    assert on[3].seed == 9
    assert "on: ready" in result.stdout
    assert "off: not ready, because:" in result.stdout
    found = json.loads(file.read_text(encoding="utf-8"))
    assert found["on"]["ready"]
    assert not found["off"]["ready"]
    assert found["off"]["reasons"][0]["figure"] == "dropped calls"
    assert found["on"]["service_level"] == pytest.approx(28 / 30)
    assert found["on"]["uses"]["hotline"]["memory_peak"] == 90


def test_a_system_that_is_up_is_drilled_itself(
    runs: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drill_commands, "left_running", lambda _home: True)

    async def running(home: Home, crew: Crew, _influx: Influx) -> Figures:
        assert home == Home.at(tmp_path)
        assert crew.agents == 5
        return GOOD

    monkeypatch.setattr(drill_commands, "_running", running)
    assert invoke("--home", str(tmp_path), "--agents", "5").exit_code == 0
    assert runs.seen == []
    refused = invoke("--home", str(tmp_path), "--off")
    assert isinstance(refused.exception, Refused)


def test_the_home_of_a_system_that_is_down_is_no_place_for_a_drill(
    runs: Runs, tmp_path: Path
) -> None:
    (tmp_path / "breachline.toml").touch()
    result = invoke("--home", str(tmp_path))
    assert isinstance(result.exception, Refused)
    assert "nothing runs there" in str(result.exception)
    assert runs.seen == []


@pytest.mark.parametrize(
    ("carriers", "reason"),
    [
        ((), "none of its carriers is the simulated public"),
        ((CarrierSettings(name="real", host="192.0.2.7"),), "none of its carriers"),
        ((CarrierSettings(name="self", host="127.0.0.1"),), "none of its carriers"),
        ((CarrierSettings(name="other", host="127.0.24.9", port=5070),), "none of its carriers"),
    ],
)
def test_a_system_with_real_carriers_alone_is_left_in_peace(
    carriers: tuple[CarrierSettings, ...], reason: str
) -> None:
    with pytest.raises(Refused, match=reason):
        simulated_carrier(Settings(carrier=carriers))


def test_limits_and_habits_come_from_the_command_line(runs: Runs) -> None:
    runs.figures["on"] = dataclasses.replace(GOOD, in_time=1, gave_up=39, wrong=20)
    relaxed = ("--service-level", "0", "--abandonment", "1", "--wrong", "1")
    assert invoke(*relaxed).exit_code == 0
    invoke(
        "--minutes", "1", "--patience", "7", "--within", "20", "--talk", "3-5", "--net", "127.9.9"
    )
    _, at, crew, influx, _ = runs.seen[-1]
    assert at.bind == "127.9.9.1"
    assert crew.talk == (3, 5)
    assert (influx.temper.patience, influx.target, influx.seconds) == (7, 20, 60)


def test_a_shorter_drill_has_shorter_tempered_callers(runs: Runs) -> None:
    invoke("--minutes", "0.5")
    assert runs.seen[-1][3].temper.patience == pytest.approx(18)


def test_off_switches_everything_off_that_can_be(tmp_path: Path) -> None:
    home = Home.at(tmp_path)
    write_drill_settings(home, Addresses(), Crew(3, wrapup=4), off=True)
    settings = load_settings(home)
    assert (settings.waiting.estimate, settings.waiting.keep_place) == (False, False)
    assert (settings.load.shed, settings.load.overflow, settings.load.give_way) == (
        False,
        False,
        False,
    )
    assert settings.agents.wrapup_seconds == 4
    assert tomllib.loads(home.settings_file.read_text(encoding="utf-8"))


def test_with_everything_on_the_settings_are_the_usual_ones(tmp_path: Path) -> None:
    home = Home.at(tmp_path)
    write_drill_settings(home, Addresses(), Crew(3), off=False)
    settings = load_settings(home)
    assert settings.waiting.keep_place
    assert settings.load.shed


def test_a_home_that_is_not_a_drills_own_is_not_emptied(tmp_path: Path) -> None:
    (tmp_path / "breachline.db").touch()
    with pytest.raises(Refused, match="not a drill's own home"):
        own_home(tmp_path)
    assert (tmp_path / "breachline.db").exists()
