"""flite and espeak-ng as they are, on the sample plan; recorded sounds as Debian ships them."""

from __future__ import annotations

import socket
import urllib.request
from dataclasses import replace
from pathlib import Path

import pytest

from incident.content import Text, spoken_texts
from incident.home import Home
from incident.plan import Plan, load_plan
from incident.settings import CarrierSettings, PromptSettings, Settings
from pbx.prompts import (
    Fault,
    PromptBook,
    audio,
    build,
    check,
    convert_music,
    link_core_sounds,
    recording_script,
)
from pbx.prompts.build import build_texts
from pbx.prompts.check import check_texts
from pbx.prompts.engines import EngineFailed, Gtts, Offline, internet_reachable
from pbx.runtime.tree import Tree, ensure_tree

PROJECT = Path(__file__).resolve().parents[2]
SETTINGS = Settings(
    carrier=(CarrierSettings(name="trunk", host="192.0.2.1", codecs=("ulaw", "alaw", "g722")),),
    prompts=PromptSettings(engine="offline"),
)


@pytest.fixture(scope="module")
def tree() -> Tree:
    return ensure_tree(SETTINGS, print)


@pytest.fixture(scope="module")
def plan() -> Plan:
    return load_plan(PROJECT / "plans" / "sample.yaml")


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory, plan: Plan, tree: Tree) -> Home:
    home = Home.at(tmp_path_factory.mktemp("prompts"))
    steps: list[tuple[int, int, str]] = []
    report = build(home, plan, SETTINGS, programs=tree, progress=lambda *step: steps.append(step))
    texts = spoken_texts(plan)
    assert report.rendered == len(texts) == len(steps)
    assert set(report.engines["en"]) == {"flite/slt"}
    assert set(report.engines["es"]) == {"espeak-ng/es-419"}
    return home


def test_the_sample_passes_its_check_and_is_built_once(
    sample: Home, plan: Plan, tree: Tree
) -> None:
    report = check(sample, plan, SETTINGS)
    assert report.findings == ()
    assert report.checked == 3 * len(spoken_texts(plan))
    again = build(sample, plan, SETTINGS, programs=tree)
    assert again.rendered == 0


def test_both_voices_are_as_loud_as_the_recorded_digits(sample: Home, plan: Plan) -> None:
    book = PromptBook.load(sample, plan.incident)
    for text in spoken_texts(plan):
        path = book.path(text.name, text.language)
        for codec in audio.formats_for(SETTINGS):
            sound = audio.decode(Path(f"{path}.{codec}").read_bytes(), codec)
            assert audio.speech_level(sound) == pytest.approx(audio.LEVEL_DBFS, abs=2.0)


def test_planted_faults_in_the_sample_are_found(tmp_path: Path, plan: Plan, tree: Tree) -> None:
    wanted = {"goodbye", "invalid", "to_agent", "no_agent"}
    texts = [t for t in spoken_texts(plan) if t.language == "es" and t.name in wanted]
    home = Home.at(tmp_path)
    build_texts(home, plan.incident, texts, ("ulaw",), lambda: Offline(tree))
    book = PromptBook.load(home, plan.incident)
    silent, clipped, missing = (
        Path(book.path(name, "es") + ".ulaw") for name in ("goodbye", "invalid", "to_agent")
    )
    silent.write_bytes(b"\xff" * silent.stat().st_size)
    data = clipped.read_bytes()
    clipped.write_bytes(data[:4000] + b"\x00" * 20 + data[4020:])
    missing.unlink()
    texts = [replace(t, text=t.text + " Hola.") if t.name == "no_agent" else t for t in texts]
    found = check_texts(home, plan.incident, texts, ("ulaw",)).findings
    assert {finding.name: finding.fault for finding in found} == {
        "goodbye": Fault.SILENT,
        "invalid": Fault.CLIPPED,
        "to_agent": Fault.MISSING,
        "no_agent": Fault.STALE,
    }
    assert len(found) == 4


def test_the_same_text_gives_the_same_bytes(tmp_path: Path, tree: Tree) -> None:
    texts = [Text("a", "en", "We are sorry."), Text("a", "es", "Lo sentimos mucho.")]
    sounds = []
    for name in ("one", "two"):
        home = Home.at(tmp_path / name)
        build_texts(home, "acme", texts, ("ulaw", "g722"), lambda: Offline(tree))
        sounds.append({f.name: f.read_bytes() for f in home.prompts.glob("??/*")})
    assert len(sounds[0]) == 4
    assert sounds[0] == sounds[1]


def test_a_language_that_no_engine_speaks_is_refused(tmp_path: Path, tree: Tree) -> None:
    with pytest.raises(EngineFailed, match="voice"):
        Offline(tree).speak("Hello.", "xx", tmp_path)


def test_the_sample_has_a_recording_script(plan: Plan) -> None:
    script = recording_script(plan)
    for text in spoken_texts(plan):
        assert text.text in script


def test_debians_sounds_lack_nothing_that_asterisk_asks_for(tmp_path: Path, tree: Tree) -> None:
    done = link_core_sounds(tree.sounds, tmp_path / "t", ("ulaw", "g722"), cache=tmp_path / "c")
    assert done.missing == ()
    for name in ("digits/7", "queue-thankyou", "letters/k", "agent-loginok", "demo-echotest"):
        english = audio.decode((tmp_path / f"t/en/{name}.ulaw").read_bytes(), "ulaw")
        assert audio.speech_level(english) > -30
    music = convert_music(tree.moh, ("ulaw",), cache=tmp_path / "c")
    assert len(list(music.glob("*.ulaw"))) >= 3


def test_a_host_that_never_answers_counts_as_no_internet() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert not internet_reachable(f"http://127.0.0.1:{port}/", 0.3)
    assert not internet_reachable(f"http://127.0.0.1:{port}/", 0.3)


def test_gtts_without_internet_fails_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Whatever network the machine has: a proxy that is not there.
    with socket.create_server(("127.0.0.1", 0)) as server:
        closed = server.getsockname()[1]
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{closed}")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    assert "https" in urllib.request.getproxies()
    with pytest.raises(EngineFailed) as caught:
        Gtts(timeout=2.0).speak("Hello.", "en", tmp_path)
    assert caught.value.engine == "gtts"
