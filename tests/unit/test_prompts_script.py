"""The recording script names every text, its words, its place and its file."""

from __future__ import annotations

import html

import pytest

from incident.content import Text
from pbx.prompts.script import Layout, reading_seconds, script_of, where_heard
from tests.spoken_prompts import TEXTS


@pytest.mark.parametrize("layout", ["markdown", "html", "text"])
def test_every_text_is_there_with_its_file(layout: Layout) -> None:
    script = html.unescape(script_of("acme", TEXTS, layout))
    for text in TEXTS:
        assert text.text in script
        assert f"studio/acme/{text.language}/{text.name}.wav" in script
        assert f"About {reading_seconds(text.text)} s" in script
    assert script.index("acme, en (2 texts") < script.index("acme, es (1 texts")


def test_markup_in_a_text_cannot_break_the_page() -> None:
    script = script_of("acme", [Text("greeting", "en", "<script>1</script>")], "html")
    assert "<script>" not in script


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("goodbye", "last words"),
        ("menu.protect", "menu 'protect'"),
        ("answer.credit_freeze", "answer 'credit freeze'"),
        ("data_type.ssn", "'ssn' data"),
        ("callback.thanks", "called back"),
        ("something_new", "on the hotline"),
    ],
)
def test_where_a_text_is_heard(name: str, words: str) -> None:
    assert words in where_heard(name)


def test_reading_takes_its_time() -> None:
    assert reading_seconds("Hi.") == 1
    assert 55 <= reading_seconds("word " * 160) <= 65
