"""The search for texts that are played and that a plan lacks."""

from __future__ import annotations

import pytest

from incident.plan import load_plan
from incident.plan.names import HOUSE_TEXTS, REQUIRED_TEXTS
from scripts import prompt_manifest


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ('await talk.say("greeting")', {"greeting"}),
        ('await talk.say("invalid" if key else "no_input")', {"invalid", "no_input"}),
        ('x = y or talk.ask("language.offer", code)', {"language.offer"}),
        ('prompt = "callback.invalid"', {"callback.invalid"}),
        ('await talk.say(f"answer.{name}")', set()),
        ('from a import b\nc = "file.name"; d = "plain"', set()),
    ],
)
def test_names_are_found_in_source(source: str, names: set[str]) -> None:
    assert prompt_manifest.names_in_source(source) == names


def test_every_text_is_played_but_the_one_for_later() -> None:
    """A name that the scan no longer finds would go unchecked."""
    played = {name for name, _ in prompt_manifest.played_names()}
    assert played >= {*HOUSE_TEXTS, *REQUIRED_TEXTS} - {"voicemail"}
    assert prompt_manifest.silent_sources() == []


def test_a_text_that_a_plan_lacks_is_found_in_each_language() -> None:
    plan = load_plan(prompt_manifest.PROJECT / "plans" / "sample.yaml")
    played = list(prompt_manifest.played_names())
    assert list(prompt_manifest.missing(plan, played)) == []
    assert list(prompt_manifest.missing(plan, [*played, ("callback.sorry", "ivr/x.py")])) == [
        f"ivr/x.py: plays 'callback.sorry'; incident {plan.incident} lacks it in {language}"
        for language in plan.languages
    ]
    assert prompt_manifest.main() == 0
