"""Planted faults are found, named, and come with what to do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from incident.content import Text
from incident.home import Home
from incident.settings import Codec
from pbx.prompts.book import PromptBook
from pbx.prompts.build import build_texts
from pbx.prompts.check import CheckReport, check_texts, shortest
from pbx.prompts.findings import Fault
from tests.spoken_prompts import GOODBYE, GREETING, TEXTS, HummingEngine, always

FORMATS: tuple[Codec, ...] = ("ulaw", "g722")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home.at(tmp_path / "home")
    build(made, *TEXTS)
    return made


def build(home: Home, *texts: Text) -> None:
    build_texts(home, "acme", texts, FORMATS, always(HummingEngine()), house=home.root / "no")


def look(home: Home, *texts: Text) -> CheckReport:
    return check_texts(home, "acme", texts or TEXTS, FORMATS, house=home.root / "no")


def goodbye(home: Home) -> Path:
    return Path(PromptBook.load(home, "acme").path("goodbye", "en") + ".ulaw")


def test_a_good_build_has_no_findings(home: Home) -> None:
    report = look(home)
    assert report.findings == ()
    assert report.ok
    assert report.checked == 6


def silence(data: bytes) -> bytes:
    return b"\xff" * len(data)


def clip(data: bytes) -> bytes:
    return data[:2000] + b"\x80" * 8 + data[2008:]


def shorten(data: bytes) -> bytes:
    return data[: len(data) // 2]


@pytest.mark.parametrize(
    ("damage", "fault"),
    [(silence, Fault.SILENT), (clip, Fault.CLIPPED), (shorten, Fault.WRONG_LENGTH)],
)
def test_a_damaged_file_is_found(
    home: Home, damage: Callable[[bytes], bytes], fault: Fault
) -> None:
    file = goodbye(home)
    file.write_bytes(damage(file.read_bytes()))
    report = look(home)
    (finding,) = report.findings
    assert (finding.fault, finding.name, finding.language) == (fault, "goodbye", "en")
    assert str(file) in finding.what
    assert "prompts build" in finding.action
    assert not report.ok
    file.unlink()
    build(home, *TEXTS)  # the action that the finding names
    assert look(home).findings == ()


def test_a_lost_file_is_missing(home: Home) -> None:
    goodbye(home).unlink()
    assert [finding.fault for finding in look(home).findings] == [Fault.MISSING]


def test_a_text_without_any_build_is_missing_and_a_changed_one_stale(home: Home) -> None:
    new = Text("farewell", "en", "Farewell.")
    changed = replace(GREETING, text=GREETING.text + " Truly.")
    report = look(home, changed, GOODBYE, new)
    assert [(finding.fault, finding.name) for finding in report.findings] == [
        (Fault.STALE, "greeting"),
        (Fault.MISSING, "farewell"),
    ]


def test_nothing_built_is_all_missing(tmp_path: Path) -> None:
    report = look(Home.at(tmp_path / "empty"))
    assert [finding.fault for finding in report.findings] == [Fault.MISSING] * 3


def test_synthesis_that_stopped_halfway_is_too_short(tmp_path: Path) -> None:
    class Breathless(HummingEngine):
        def speak(self, text: str, language: str, folder: Path):  # type: ignore[no-untyped-def]
            return super().speak(text[: len(text) // 3], language, folder)

    home = Home.at(tmp_path / "other")
    build_texts(home, "acme", TEXTS, FORMATS, always(Breathless()), house=home.root / "no")
    found = look(home).findings
    assert {finding.fault for finding in found} == {Fault.TOO_SHORT}
    assert len(found) == 6


def test_digits_take_as_long_as_words() -> None:
    assert shortest("1 8 0 0") > shortest("a b c d") * 2


def test_check_changes_nothing(home: Home) -> None:
    manifest = home.prompts / "manifest.json"
    before = manifest.read_bytes()
    look(home)
    assert manifest.read_bytes() == before
