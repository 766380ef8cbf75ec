"""Scenarios: what is read, what is refused and where, and that it can be written out again."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from incident.plan import PlanError
from ivr.staffing.load import ScenarioRefused, read_scenario, scenario
from ivr.staffing.target import Target
from ivr.staffing.values import count, measure, several, share
from ivr.staffing.write import as_yaml

PEOPLE = {"--people": (("people",), "814,000")}


def of(tmp_path: Path, text: str) -> Any:
    path = tmp_path / "scenario.yaml"
    path.write_text(text, encoding="utf-8")
    return scenario(read_scenario(path))


def refused(tmp_path: Path, text: str) -> list[str]:
    with pytest.raises(ScenarioRefused) as caught:
        of(tmp_path, text)
    return str(caught.value).replace(str(tmp_path) + "/", "").splitlines()


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("814000", 814_000),
        ("814,000", 814_000),
        ("814 000", 814_000),
        ("814_000", 814_000),
        (7, 7),
        ("12.0", 12),
    ],
)
def test_counts(written: str | int, read: int) -> None:
    assert count(written) == read


@pytest.mark.parametrize("bad", ["", "-1", "1e6", "81,40", "0x10", "1.5", "²", "٣", True, "9" * 30])
def test_counts_that_are_none(bad: object) -> None:
    with pytest.raises(ValueError, match=r"whole number|between"):
        count(bad)


@pytest.mark.parametrize("bad", ["814.000", "1.234", "1.234.567"])
def test_a_count_that_two_readers_read_differently_is_refused(tmp_path: Path, bad: str) -> None:
    plain = bad.replace(".", "")
    with pytest.raises(ValueError, match=rf"may be read in two ways; write {plain} or"):
        count(bad)
    assert refused(tmp_path, f"letters: {{days: 3}}\npeople: {bad}\n") == [
        f"scenario.yaml:2:1  people: '{bad}' may be read in two ways; write {plain} or "
        + bad.replace(".", ",")
    ]


@pytest.mark.parametrize(
    ("written", "read"), [("37 %", 0.37), ("37%", 0.37), ("0.37", 0.37), (".9%", 0.009), ("1", 1.0)]
)
def test_shares(written: str, read: float) -> None:
    assert share(written) == pytest.approx(read)


@pytest.mark.parametrize("bad", ["37", "101%", "-1%", "nan", "inf", "", "%", "1e-3", "0,5"])
def test_shares_that_are_none(bad: str) -> None:
    with pytest.raises(ValueError, match=r"share|whole"):
        share(bad)


def test_a_share_above_one_asks_whether_percent_is_meant() -> None:
    with pytest.raises(ValueError, match="write 37 % if you mean percent"):
        share("37")
    assert several("150 %") == 1.5


@given(st.text(max_size=12))
def test_any_text_is_a_number_or_refused(text: str) -> None:
    for read in (count, share, measure, several):
        try:
            value = read(text)
        except ValueError:
            continue
        assert value >= 0


def test_people_alone_are_enough() -> None:
    made = scenario(None, PEOPLE)
    assert made.people == 814_000
    assert made.target.target() == Target("answered", 0.8, 30)
    assert made.service.handle_seconds == 300


def test_every_assumption_can_be_written_and_read_again(tmp_path: Path) -> None:
    first = as_yaml(scenario(None, PEOPLE))
    again = as_yaml(of(tmp_path, first))
    assert again == first
    assert "peak_share: 0.9 %" in first
    assert "monday:" in first


def test_an_option_stands_before_the_file(tmp_path: Path) -> None:
    path = tmp_path / "scenario.yaml"
    path.write_text("people: 500\nletters:\n  first: 2026-12-01\n  days: 4\n", encoding="utf-8")
    given_days = {"--letters-days": (("letters", "days"), "2")}
    made = scenario(read_scenario(path), given_days, {"languages": {"en": 0.9, "es": 0.1}})
    assert (made.people, made.letters.first, made.letters.days) == (500, date(2026, 12, 1), 2)
    assert made.languages == {"en": 0.9, "es": 0.1}


def test_every_mistake_is_named_with_its_place(tmp_path: Path) -> None:
    said = refused(
        tmp_path,
        "people: 5000\n"
        "letters:\n"
        "  first: 2026-12-01\n"
        "  dayz: 3\n"
        "service:\n"
        "  self_service: 40\n"
        "  handle_seconds: soon\n"
        "languages: {en: 50%, es: 20%}\n"
        "response:\n"
        "  delivery: {2: 50%}\n"
        "  hourly: [1, 2, 3]\n",
    )
    assert said[0] == "scenario.yaml:4:3  letters.dayz: unknown key 'dayz'; did you mean 'days'?"
    assert said[1].startswith(
        "scenario.yaml:6:3  service.self_service: '40' is more than the whole"
    )
    assert said[2].startswith("scenario.yaml:7:3  service.handle_seconds: 'soon' is not a number")
    assert said[3].startswith("scenario.yaml:8:1  languages: the languages' shares are together 70")
    assert said[4].startswith("scenario.yaml:10:3  response.delivery: the shares of delivery")
    assert said[5].startswith("scenario.yaml:11:3  response.hourly:")
    assert len(said) == 6


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("letters: {first: 2026-12-01}\n", "people: is missing"),
        ("people: 0\n", "nobody to notify"),
        ("people: 10\nletters: {by_day: {2026-12-01: 11}}\n", "mails 11 letters to 10 people"),
        ("people: 10\nletters: {first: 2026-12-01, by_day: {2026-12-01: 1}}\n", "not both"),
        ("people: 10\nletters: {first: 1999-12-01}\n", "not a day to plan for"),
        ("people: 10\ncalls: {people: 11, per_day: 1}\n", "more than the 10 people"),
        ("people: 10\ncalls: {per_day: 0}\n", "must be at least 1"),
        ("people: 10\nresponse: {peak_share: 90 %}\n", "must be at most 0.2"),
        ("people: 10\nresponse: {weekdays: {monday: 1}}\n", "nothing for tuesday"),
        ("people: 10\ntarget: {service_level: 80%, abandoned: 3%}\n", "give one of"),
        ("people: 10\nhours: {timezone: Mars/Base, weekly: {}}\n", "not an IANA time zone"),
        ("people: 10\nredials: {share: 100%}\n", "must be at most 0.95"),
    ],
)
def test_what_cannot_be(tmp_path: Path, text: str, message: str) -> None:
    assert message in "\n".join(refused(tmp_path, text))


def test_an_option_is_named_as_it_was_written() -> None:
    with pytest.raises(ScenarioRefused, match=r"^--peak-share: '37' is more than the whole"):
        scenario(None, {**PEOPLE, "--peak-share": (("response", "peak_share"), "37")})


def test_a_file_that_is_no_yaml(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_bytes(b"\x99\x00people: 3")
    with pytest.raises(PlanError, match="UTF-8"):
        read_scenario(path)
    path.write_text("people: [1\n", encoding="utf-8")
    with pytest.raises(PlanError, match="YAML"):
        read_scenario(path)
    path.write_text("people: 1\npeople: 2\n", encoding="utf-8")
    with pytest.raises(PlanError, match="here twice"):
        read_scenario(path)


def test_the_scenario_in_the_documentation(tmp_path: Path) -> None:
    text = (Path(__file__).resolve().parents[2] / "docs" / "planning.md").read_text("utf-8")
    made = of(tmp_path, text.split("```yaml\n")[1].split("```")[0])
    assert made.letters.by_day[date(2026, 12, 3)] == 414_000
    assert made.calls.per_day == 4000
    assert made.target.target() == Target("answered", 0.8, 30)
