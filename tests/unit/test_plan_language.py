"""The house's languages: complete, alike in what they cover, and able to say what a plan holds."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from incident.plan import PlanError, language
from incident.plan.language import known_languages, load_language, write_phone
from incident.plan.names import HOUSE_TEXTS
from incident.plan.placeholders import mistakes
from incident.plan.wording import wording_mistakes


def test_english_and_spanish_are_there() -> None:
    assert {"en", "es"} <= set(known_languages())


@pytest.mark.parametrize("code", known_languages())
def test_a_language_has_every_house_text_without_a_mistake(code: str) -> None:
    house = load_language(code)
    assert set(house.texts) == set(HOUSE_TEXTS)
    found = {
        name: [*mistakes(text), *wording_mistakes(text, house, apology=False)]
        for name, text in house.texts.items()
    }
    assert {name: said for name, said in found.items() if said} == {}


@pytest.mark.parametrize("code", known_languages())
def test_a_voicemail_names_the_caller_and_gives_nothing_away(code: str) -> None:
    text = load_language(code).texts["voicemail"]
    assert "{organisation}" in text
    assert "{callback_number}" in text
    told = ("breach", "expos", "data", "datos", "health", "salud", "credit", "crédit")
    assert not [word for word in told if word in text.lower()]


@pytest.mark.parametrize(
    ("code", "phone", "day", "site"),
    [
        (
            "en",
            "one, eight zero zero, five five five, zero one nine nine",
            "March 31, 2027",
            "report dash it dot example dot gov slash now",
        ),
        (
            "es",
            "uno, ocho cero cero, cinco cinco cinco, cero uno nueve nueve",
            "31 de marzo de 2027",
            "report guion it punto example punto gov barra now",
        ),
    ],
)
def test_numbers_dates_and_sites_are_said(code: str, phone: str, day: str, site: str) -> None:
    speech = load_language(code).speech
    assert speech.say_phone("+18005550199") == phone
    assert speech.say_date(date(2027, 3, 31)) == day
    assert speech.say_site("report-it.example.gov/now") == site


def test_a_number_is_written_as_an_agent_reads_it() -> None:
    assert write_phone("+18005550199") == "1-800-555-0199"
    assert write_phone("+442079460000") == "+442079460000"


def test_a_language_file_with_mistakes_says_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = (language.FOLDER / "en.yaml").read_text(encoding="utf-8")
    bad = good.replace("  goodbye:", "  goodby:").replace("  dot: dot\n", "")
    (tmp_path / "zz.yaml").write_text(bad, encoding="utf-8")
    monkeypatch.setattr(language, "FOLDER", tmp_path)
    with pytest.raises(PlanError) as caught:
        load_language("zz")
    assert [(p.where, p.message) for p in caught.value.problems] == [
        ("speech.dot", "is missing"),
        ("texts", "'goodbye' is missing; no text is named 'goodby'; did you mean 'goodbye'?"),
    ]
