"""Recordings override synthesis, but never speak words that are not the approved ones."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from incident.content import Text
from incident.home import Home
from pbx.prompts import audio
from pbx.prompts.book import PromptBook
from pbx.prompts.build import BuildReport, build_texts
from pbx.prompts.check import CheckReport, check_texts
from pbx.prompts.findings import Fault
from tests.spoken_prompts import GOODBYE, GREETING, HummingEngine, always, write_hum


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home.at(tmp_path / "home")


@pytest.fixture
def house(tmp_path: Path) -> Path:
    return tmp_path / "house"


def run(home: Home, house: Path, *texts: Text) -> BuildReport:
    return build_texts(home, "acme", texts, ("ulaw",), always(HummingEngine()), house=house)


def look(home: Home, house: Path, *texts: Text) -> CheckReport:
    return check_texts(home, "acme", texts, ("ulaw",), house=house)


def faults(report: BuildReport | CheckReport) -> list[tuple[Fault, str]]:
    return [(finding.fault, finding.name) for finding in report.findings]


def studio_file(home: Home, text: Text) -> Path:
    return home.studio / "acme" / text.language / f"{text.name}.wav"


def test_a_recording_replaces_synthesis_and_a_new_take_replaces_it(home: Home, house: Path) -> None:
    run(home, house, GREETING, GOODBYE)
    synthesised = PromptBook.load(home, "acme")
    write_hum(studio_file(home, GREETING), 5.0)
    report = run(home, house, GREETING, GOODBYE)
    assert (report.studio, report.rendered, report.reused) == (1, 0, 1)
    assert report.engines["en"] == {"studio": 1, "hum/1": 1}
    recorded = PromptBook.load(home, "acme")
    assert recorded.version == synthesised.version  # the words are the same
    assert recorded.path("greeting", "en") != synthesised.path("greeting", "en")
    sound = audio.decode(Path(recorded.path("greeting", "en") + ".ulaw").read_bytes(), "ulaw")
    assert sound.seconds == pytest.approx(5.2, abs=0.05)
    write_hum(studio_file(home, GREETING), 6.0)
    run(home, house, GREETING, GOODBYE)
    retake = PromptBook.load(home, "acme")
    assert retake.path("greeting", "en") != recorded.path("greeting", "en")
    assert look(home, house, GREETING, GOODBYE).findings == ()


def test_without_the_recording_the_text_is_synthesised_again(home: Home, house: Path) -> None:
    write_hum(studio_file(home, GREETING), 5.0)
    run(home, house, GREETING)
    studio_file(home, GREETING).unlink()
    assert run(home, house, GREETING).studio == 0


def test_a_recording_of_older_words_is_stale_and_not_played(home: Home, house: Path) -> None:
    write_hum(studio_file(home, GREETING), 5.0)
    run(home, house, GREETING)
    changed = replace(GREETING, text=GREETING.text + " Very sorry.")
    report = run(home, house, changed)
    assert report.studio == 0
    assert faults(report) == [(Fault.STALE_RECORDING, "greeting")]
    found = look(home, house, changed)
    assert faults(found) == [(Fault.STALE_RECORDING, "greeting")]
    assert found.ok  # callers hear the approved words
    write_hum(studio_file(home, GREETING), 6.0)  # recorded again
    assert run(home, house, changed).studio == 1


def test_the_words_beside_a_recording_decide(home: Home, house: Path) -> None:
    file = studio_file(home, GREETING)
    write_hum(file, 5.0)
    file.with_suffix(".txt").write_text("Something else.")
    assert faults(run(home, house, GREETING)) == [(Fault.STALE_RECORDING, "greeting")]
    file.with_suffix(".txt").write_text(GREETING.text.replace(" ", "\n") + "\n")
    assert run(home, house, GREETING).studio == 1


def test_a_name_with_a_dot_finds_its_words(home: Home, house: Path) -> None:
    text = Text("queue.wait", "en", "Thank you for waiting, and please stay.")
    file = studio_file(home, text)
    write_hum(file, 5.0)
    file.with_name("queue.wait.txt").write_text("Something else.")
    assert faults(run(home, house, text)) == [(Fault.STALE_RECORDING, "queue.wait")]


def test_a_house_recording_needs_its_words_and_yields_to_the_homes_own(
    home: Home, house: Path
) -> None:
    shipped = house / "en" / "goodbye.wav"
    write_hum(shipped, 4.0)
    assert faults(run(home, house, GOODBYE)) == [(Fault.STALE_RECORDING, "goodbye")]
    shipped.with_suffix(".txt").write_text(GOODBYE.text)
    assert run(home, house, GOODBYE).studio == 1
    first = PromptBook.load(home, "acme").path("goodbye", "en")
    write_hum(studio_file(home, GOODBYE), 5.0)
    assert run(home, house, GOODBYE).studio == 1
    assert PromptBook.load(home, "acme").path("goodbye", "en") != first


@pytest.mark.parametrize("content", ["garbage", "silence"])
def test_an_unusable_recording_is_told_and_synthesised(
    home: Home, house: Path, content: str
) -> None:
    file = studio_file(home, GREETING)
    if content == "garbage":
        file.parent.mkdir(parents=True)
        file.write_bytes(b"not sound")
    else:
        write_hum(file, 5.0, level=0.0005)
    report = run(home, house, GREETING)
    assert report.studio == 0
    assert faults(report) == [(Fault.UNUSABLE, "greeting")]
    found = look(home, house, GREETING)
    assert faults(found) == [(Fault.UNUSABLE, "greeting")]
    assert found.ok


def test_a_recording_that_came_clipped_is_found_behind_the_levelling(
    home: Home, house: Path
) -> None:
    write_hum(studio_file(home, GREETING), 5.0, level=4.0)  # the file format cuts it at full scale
    run(home, house, GREETING)
    found = look(home, house, GREETING)
    assert faults(found) == [(Fault.CLIPPED, "greeting")]
    assert not found.ok


def test_a_misspelt_recording_is_found(home: Home, house: Path) -> None:
    write_hum(home.studio / "acme" / "en" / "greting.wav", 5.0)
    run(home, house, GREETING, GOODBYE)
    (finding,) = look(home, house, GREETING, GOODBYE).findings
    assert finding.fault is Fault.UNUSED
    assert "'greeting'" in finding.action
