"""The real programs out of the private tree, under the supervisor."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from incident.home import Home
from incident.settings import AsteriskSettings, MetricsSettings, MqttSettings, Settings
from pbx.render.asterisk import render_asterisk
from pbx.runtime import programs
from pbx.runtime.build import PROGRAMS
from pbx.runtime.process import group_members
from pbx.runtime.supervisor import Supervisor
from pbx.runtime.tree import Tree, ensure_tree
from tests.integration.test_runtime_supervisor import Watch, pid_of, running

SETTINGS = Settings(
    bind="127.0.0.20",
    asterisk=AsteriskSettings(
        sip_port=15060,
        ami_port=15038,
        agi_port=14573,
        http_port=18088,
        rtp_first=20000,
        rtp_last=20200,
    ),
    mqtt=MqttSettings(port=11883),
    metrics=MetricsSettings(prometheus_port=19090, hotline_port=19101),
)


@pytest.fixture(scope="session")
def tree() -> Tree:
    return ensure_tree(SETTINGS, print)


@pytest.fixture
def rendered(tree: Tree, tmp_path: Path) -> Home:
    home = Home.at(tmp_path)
    render_asterisk(
        home,
        SETTINGS,
        modules=tree.modules,
        share=tree.data,
        moh=tree.moh,
        incidents=[],
        agents=[],
    )
    return home


def test_second_call_finds_the_tree_without_building(tree: Tree) -> None:
    told: list[str] = []
    assert ensure_tree(SETTINGS, told.append) == tree
    assert told == []


def test_tree_has_sounds_in_both_languages_and_music(tree: Tree) -> None:
    for language in ("en", "es"):
        for sound in ("digits/1", "queue-youarenext"):
            assert (tree.sounds / language / f"{sound}.wav").is_file()
            assert (tree.sounds / language / f"{sound}.g722").is_file()
    assert list(tree.moh.glob("*.wav"))
    assert (tree.modules / "app_queue.so").is_file()


def test_every_program_belongs_to_the_tree(tree: Tree) -> None:
    for name in PROGRAMS:
        assert tree.program(name).is_relative_to(tree.root)
        assert tree.command(name)[0].startswith(str(tree.root))


@pytest.mark.parametrize(
    ("program", "arguments"),
    [("flite", ("-t", "one two", "-o")), ("espeak-ng", ("-v", "es-419", "uno dos", "-w"))],
)
def test_speech_is_spoken_by_any_user(
    tree: Tree, tmp_path: Path, program: str, arguments: tuple[str, ...]
) -> None:
    file = tmp_path / "speech.wav"
    subprocess.run(
        tree.command(program, *arguments, str(file)),
        env={**os.environ, **tree.env()},
        check=True,
        timeout=60,
    )
    assert file.stat().st_size > 5000


async def test_asterisk_broker_and_prometheus_start_and_come_back_and_stop(
    tree: Tree, rendered: Home
) -> None:
    configuration = rendered.root / "prometheus.yml"
    configuration.write_text("global: {}\n")
    parts = [
        programs.mosquitto(tree, rendered, SETTINGS),
        programs.prometheus(tree, rendered, SETTINGS, configuration),
        programs.asterisk(tree, rendered, SETTINGS),
    ]
    watch = Watch()
    async with running(parts, rendered.run, watch) as it:
        pids = {part.name: pid_of(it, part.name) for part in parts}
        for pid in pids.values():
            os.kill(pid, signal.SIGKILL)
        for part in parts:
            again = await watch.until(part.name, "ready", 2)
            pids[f"{part.name} again"] = again[1].pid or 0
        watch.seen.clear()
    stopped = [(e.name, e.kind, e.detail) for e in watch.seen]
    assert stopped == [
        ("asterisk", "stopped", ""),
        ("prometheus", "stopped", ""),
        ("mosquitto", "stopped", ""),
    ]
    assert {name: group_members(pid) for name, pid in pids.items()} == dict.fromkeys(pids, ())


def test_broker_refuses_to_serve_strangers(tree: Tree, tmp_path: Path) -> None:
    with pytest.raises(programs.UnsafeBind, match=r"\[mqtt\] url"):
        programs.mosquitto(tree, Home.at(tmp_path), Settings(bind="192.0.2.1"))


async def test_python_service_is_ready_when_it_shows_metrics(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "service_for_this_test.py").write_text(
        "import sys, prometheus_client\n"
        "assert sys.argv[1] == '--home', sys.argv\n"
        "_, thread = prometheus_client.start_http_server(19101, '127.0.0.20')\n"
        "thread.join()\n"
    )
    monkeypatch.setattr(programs, "REPOSITORY", tmp_path)
    home = Home.at(tmp_path / "home")
    home.root.mkdir()
    part = programs.python_service(
        "hotline", "service_for_this_test", home, SETTINGS.bind, SETTINGS.metrics.hotline_port
    )
    supervisor = Supervisor([part], home.run)
    await supervisor.start()
    pid = pid_of(supervisor, "hotline")
    await supervisor.stop()
    assert group_members(pid) == ()
