"""What is played and read: complete, alike in every language, addressed by its words alone."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from incident.content import Text, content_version, script_texts, spoken_texts
from incident.plan import Plan, load_plan, parse_plan
from incident.plan.names import HOUSE_TEXTS, REQUIRED_TEXTS

PLANS = Path(__file__).parents[2] / "plans"
SAMPLE = (PLANS / "sample.yaml").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def sample() -> Plan:
    return load_plan(PLANS / "sample.yaml")


def named(texts: tuple[Text, ...], name: str, language: str) -> str:
    (found,) = [t.text for t in texts if (t.name, t.language) == (name, language)]
    return found


@pytest.mark.parametrize("file", ["sample.yaml", "second.yaml"])
def test_every_language_says_the_same_things(file: str) -> None:
    plan = load_plan(PLANS / file)
    for texts in (spoken_texts(plan), script_texts(plan)):
        names = {code: [t.name for t in texts if t.language == code] for code in plan.languages}
        assert names["en"] == names["es"]
        assert len(set(names["en"])) == len(names["en"])


def test_everything_that_is_played_is_named(sample: Plan) -> None:
    names = {text.name for text in spoken_texts(sample)}
    assert names == {
        *REQUIRED_TEXTS,
        *HOUSE_TEXTS,
        *(f"menu.{name}" for name in sample.menus),
        *(f"answer.{name}" for name in sample.answers),
        *(f"data_type.{code}" for code in sample.data_types),
        *(f"other_data_type.{code}" for code in sample.data_types),
    }


@pytest.mark.parametrize("file", ["sample.yaml", "second.yaml"])
def test_no_placeholder_and_no_control_character_is_left(file: str) -> None:
    plan = load_plan(PLANS / file)
    for text in (*spoken_texts(plan), *script_texts(plan)):
        assert not set("{}") & set(text.text), text
        assert text.text.isprintable(), text


def test_a_caller_hears_words_and_an_agent_reads_figures(sample: Plan) -> None:
    spoken = named(spoken_texts(sample), "outbound.abandoned", "en")
    written = named(script_texts(sample), "script.outbound.closing", "en")
    assert "one, eight zero zero, five five five, zero one nine nine" in spoken
    assert "1-800-555-0199" in written


def test_facts_of_the_plan_are_in_the_texts(sample: Plan) -> None:
    texts = spoken_texts(sample)
    assert "September 3, 2026" in named(texts, "answer.what_happened", "en")
    assert "3 de septiembre de 2026" in named(texts, "answer.what_happened", "es")
    assert "24 meses" in named(texts, "answer.enrolment", "es")
    assert "harborlight dot example slash northwind" in named(texts, "answer.enrolment", "en")
    assert "seis" not in named(texts, "language.offer", "es")
    assert named(texts, "language.offer", "en") == "For English, press one."
    assert named(texts, "language.offer", "es") == "Para español, oprima el dos."


def test_the_order_of_languages_is_the_order_of_their_keys() -> None:
    plan = parse_plan(SAMPLE.replace("languages: [en, es]", "languages: [es, en]"), "x")
    texts = spoken_texts(plan)
    assert named(texts, "language.offer", "en") == "For English, press two."
    assert texts[0].language == "es"


def test_a_data_type_is_said_with_its_advice(sample: Plan) -> None:
    said = named(spoken_texts(sample), "data_type.drivers_licence", "en")
    assert said.startswith("Your driver's license number. Tell the motor vehicle office")


def test_a_plan_overrides_a_house_text(sample: Plan) -> None:
    second = load_plan(PLANS / "second.yaml")
    assert "Eastern time" in named(spoken_texts(second), "after_hours", "en")
    assert "Eastern time" not in named(spoken_texts(sample), "after_hours", "en")


def test_a_hash_is_of_language_and_words_not_of_name_or_wrapping() -> None:
    text = Text("greeting", "es", "Lo sentimos, señora.")
    assert text.hash == Text("other", "es", "  Lo  sentimos,\n sen\u0303ora. ").hash
    assert text.hash != Text("greeting", "en", text.text).hash
    assert text.hash != Text("greeting", "es", text.text + "!").hash
    assert len(text.hash) == 64


def test_the_version_is_that_of_the_content_in_any_order(sample: Plan) -> None:
    texts = list(spoken_texts(sample))
    version = content_version(texts)
    random.Random(1).shuffle(texts)
    assert content_version(texts) == version
    changed = [
        Text(t.name, t.language, t.text + (" Bye." if i == 3 else "")) for i, t in enumerate(texts)
    ]
    assert content_version(changed) != version
    assert content_version(texts[1:]) != version


def test_the_same_plan_has_the_same_texts_in_the_same_order(sample: Plan) -> None:
    assert spoken_texts(parse_plan(SAMPLE, "again")) == spoken_texts(sample)
