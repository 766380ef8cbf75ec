"""Words that are owed and words that are forbidden, in each language."""

from __future__ import annotations

import pytest

from incident.plan.language import load_language
from incident.plan.wording import (
    TEXT_LIMIT,
    asks_for_ssn,
    has_apology,
    keys_named,
    wording_mistakes,
)


@pytest.mark.parametrize(
    ("code", "text", "expected"),
    [
        ("en", "We are sorry that this happened.", True),
        ("en", "Please accept our apology.", True),
        ("en", "We apologize.", True),
        ("en", "We apologise to each of you.", True),
        ("en", "Our apologies.", True),
        ("en", "This is a sorrowful day.", False),
        ("en", "We regret nothing.", False),
        ("es", "Lo sentimos.", True),
        ("es", "Lamentamos lo que pasó.", True),
        ("es", "Le pedimos disculpas.", True),
        ("es", "Disculpe.", True),
        ("es", "Le pedimos perdón.", True),
        ("es", "Gracias por llamar.", False),
        ("es", "We are sorry.", False),
    ],
)
def test_an_apology_is_known_by_its_words(code: str, text: str, expected: bool) -> None:
    assert has_apology(text, load_language(code).checks) is expected


@pytest.mark.parametrize(
    ("code", "text", "expected"),
    [
        ("en", "Enter your Social Security number.", True),
        ("en", "Please say your S.S.N. or SSN now; read me the SSN.", True),
        ("en", "What is your social security number?", True),
        ("en", "May I have the last four of your Social Security number?", True),
        ("en", "We will never ask you to enter your Social Security number.", False),
        ("en", "Don't say your Social Security number to anyone.", False),
        ("en", "We never call. Now key in your Social Security number.", True),
        ("en", "Your Social Security number was in the files.", False),
        ("en", "Enter your reference number.", False),
        ("es", "Marque su número de Seguro Social.", True),
        ("es", "¿Cuál es su número de Seguro Social?", True),
        ("es", "Dígame su número de seguridad social.", True),
        ("es", "Nunca le pediremos que marque su número de Seguro Social.", False),
        ("es", "Su número de Seguro Social estaba en los archivos.", False),
        ("es", "Marque su número de referencia.", False),
    ],
)
def test_a_question_for_the_ssn_is_found(code: str, text: str, expected: bool) -> None:
    assert asks_for_ssn(text, load_language(code).checks) is expected


@pytest.mark.parametrize(
    ("code", "text", "keys"),
    [
        (
            "en",
            "To go on, press 1. Or press nine. After 24 months press the key 3.",
            {"1", "9", "3"},
        ),
        ("en", "Press star or pound. You have 2 choices.", set()),
        ("es", "Oprima el 1, presione 2 o marque el tres.", {"1", "2", "3"}),
        ("es", "Oprima la tecla numeral.", set()),
    ],
)
def test_the_keys_that_a_prompt_names(code: str, text: str, keys: set[str]) -> None:
    assert keys_named(text, load_language(code)) == keys


def test_a_text_that_nobody_listens_to_the_end_of_is_a_mistake() -> None:
    language = load_language("en")
    fits, too_long = "x" * TEXT_LIMIT, "x" * (TEXT_LIMIT + 1)
    assert list(wording_mistakes(fits, language, apology=False)) == []
    assert len(list(wording_mistakes(too_long, language, apology=False))) == 1
