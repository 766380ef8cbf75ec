"""Announcements for those who wait, put together from texts and recorded numbers."""

from __future__ import annotations

from pathlib import Path

import pytest

from incident.home import Home
from pbx.prompts import waits
from pbx.prompts.numbers import CannotSay, number_sounds
from pbx.prompts.waits import compose_waits, range_parts, ranges, variant, waits_folder

INCIDENT = "northwind"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """Prompts and core sounds whose content is their name."""
    home = Home.at(tmp_path)
    for language in ("en", "es"):
        live = home.prompts / "live" / INCIDENT / language
        live.mkdir(parents=True)
        for text in waits.TEXTS:
            (live / f"{text}.ulaw").write_text(f"<{text}>")
        digits = tmp_path / "sounds" / language / "digits"
        digits.mkdir(parents=True)
        for low, high in ranges():
            for number in (low, high):
                for name in number_sounds(language, number):
                    (digits.parent / f"{name}.ulaw").write_text(f"<{name}>")
    return home


def compose(home: Home, *, offer: bool = True) -> waits.Composed:
    return compose_waits(
        home,
        INCIDENT,
        ("en", "es"),
        sounds=home.root / "sounds",
        formats=("ulaw",),
        offer=offer,
    )


def heard(home: Home, channel_language: str, language: str = "en") -> str:
    """What Asterisk finds for a channel of this language."""
    folder = waits_folder(home, INCIDENT, language)
    for place in (folder / channel_language, folder):
        file = place / "queue.wait.ulaw"
        if file.is_file():
            return file.read_text()
    raise AssertionError("nothing to play")


def test_those_who_wait_hear_the_range_and_the_offer(home: Home) -> None:
    assert compose(home).silent == ()
    assert heard(home, "en") == "<queue.wait><wait.offer>"
    assert heard(home, variant("en", 5, 10)) == (
        "<wait.between><digits/5><wait.and><digits/10><wait.minutes><wait.offer>"
    )
    assert heard(home, variant("en", 0, 3)) == (
        "<wait.less_than><digits/3><wait.minutes><wait.offer>"
    )
    assert heard(home, variant("en", 0, 1)) == "<wait.less_than_one><wait.offer>"
    assert heard(home, variant("es", 30, 45), "es") == (
        "<wait.between><digits/30><wait.and><digits/40><digits/and><digits/5><wait.minutes>"
        "<wait.offer>"
    )


def test_nothing_is_offered_where_it_is_not_worth_it(home: Home) -> None:
    compose(home)
    assert heard(home, variant("en", 0, 2, offer=False)) == (
        "<wait.less_than><digits/2><wait.minutes>"
    )
    assert heard(home, variant("en", offer=False)) == "<queue.wait>"
    compose(home, offer=False)
    assert heard(home, "en") == "<queue.wait>"
    assert heard(home, variant("en", 5, 10)).endswith("<wait.minutes>")


def test_every_range_has_its_sound(home: Home) -> None:
    compose(home)
    folder = waits_folder(home, INCIDENT, "es")
    for low, high in ranges():
        for offer in (True, False):
            assert (folder / variant("es", low, high, offer=offer) / "queue.wait.ulaw").is_file()


def test_it_is_done_again_only_when_something_changed(home: Home) -> None:
    assert compose(home).files > 100
    assert compose(home).files == 0
    text = home.prompts / "live" / INCIDENT / "en" / "wait.offer.ulaw"
    text.write_text("<a longer offer>")
    assert compose(home).files > 100
    assert heard(home, "en") == "<queue.wait><a longer offer>"
    kept = [path for path in (home.prompts / "waits").iterdir() if not path.is_symlink()]
    assert len(kept) == 1


def test_a_language_without_its_sounds_keeps_the_plain_text(home: Home) -> None:
    (home.root / "sounds" / "es" / "digits" / "and.ulaw").unlink()
    silent = compose(home).silent
    assert len(silent) == 1
    assert "digits/and.ulaw" in silent[0]
    assert heard(home, variant("es", 30, 45), "es") == "<queue.wait>"
    assert heard(home, variant("en", 30, 45)).startswith("<wait.between>")


def test_an_incident_without_prompts_has_none(tmp_path: Path) -> None:
    composed = compose(Home.at(tmp_path))
    assert (composed.files, len(composed.silent)) == (0, 2)


@pytest.mark.parametrize(
    ("language", "number", "words"),
    [
        ("en", 0, "0"),
        ("en", 20, "20"),
        ("en", 45, "40 5"),
        ("en", 120, "1 hundred 20"),
        ("en", 300, "3 hundred"),
        ("es", 21, "21"),
        ("es", 30, "30"),
        ("es", 45, "40 and 5"),
        ("es", 90, "90"),
        ("es", 100, "100"),
        ("es", 120, "100-and 20"),
        ("es", 531, "500 30 and 1"),
    ],
)
def test_numbers_are_said_as_people_say_them(language: str, number: int, words: str) -> None:
    assert [name.removeprefix("digits/") for name in number_sounds(language, number)] == (
        words.split()
    )


def test_a_language_without_recorded_numbers_is_told() -> None:
    with pytest.raises(CannotSay, match="'fr'"):
        number_sounds("fr", 5)
    assert range_parts("en", 0, 1) == (waits.LESS_THAN_ONE,)


def test_the_languages_of_a_channel() -> None:
    assert variant("en") == "en"
    assert variant("en", 5, 10) == "en_w5t10"
    assert variant("es", 0, 2, offer=False) == "es_w0t2s"
    assert variant("es", offer=False) == "es_s"
