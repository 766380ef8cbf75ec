"""The menu machine: no way through it ends nowhere, and an agent is never far."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from incident.plan import Choice, Menu, parse_plan
from ivr.menu import EVERY_KEY, Agent, Answer, Ask, Flow, GoTo, Languages, MenuRun, Step
from tests.running import SAMPLE

SAMPLE_MENUS = parse_plan(SAMPLE.read_text(encoding="utf-8"), "sample").menus
KEYS = st.lists(st.sampled_from(["", *EVERY_KEY]), max_size=40)


def run(*keys: str, several_languages: bool = True) -> Step:
    menus = MenuRun(SAMPLE_MENUS, several_languages=several_languages)
    step: Step = menus.home()
    for key in keys:
        step = menus.press(key)
    return step


def test_the_keys_of_the_contract() -> None:
    assert run() == Ask((), "menu.main")
    assert run("1") == Answer("what_happened")
    assert run("2") == Flow("affected")
    assert run("3") == Ask((), "menu.protect")
    assert [run("3", key) for key in "12345"] == [
        Answer("credit_freeze"),
        Answer("fraud_alert"),
        Answer("drivers_licence"),
        Answer("bank_cards"),
        Answer("medical_identity"),
    ]
    assert run("4") == Flow("enrolment")
    assert run("5") == Flow("genuine")
    assert run("6") == Ask((), "menu.more_help")
    assert [run("6", key) for key in "12345"] == [
        Flow("minor"),
        Flow("deceased"),
        Flow("mistake"),
        Flow("stop_calls"),
        Flow("relay"),
    ]
    assert run("0") == Agent("asked")


def test_repeat() -> None:
    assert run("*") == Ask((), "menu.main")
    assert run("3", "*") == Ask((), "menu.protect")
    assert run("1", "*") == Answer("what_happened")
    assert run("2", "*") == Flow("affected")


def test_back() -> None:
    assert run("3", "#") == Ask((), "menu.main")
    assert run("3", "2", "#") == Ask((), "menu.protect")
    assert run("3", "2", "#", "#") == Ask((), "menu.main")
    assert run("#") == Languages()
    assert run("#", several_languages=False) == Ask((), "menu.main")


def test_a_flow_may_lead_to_a_menu_and_back_leads_where_it_began() -> None:
    menus = MenuRun(SAMPLE_MENUS, several_languages=True)
    menus.home()
    menus.press("2")
    assert menus.go(GoTo("protect")) == Ask((), "menu.protect")
    assert menus.press("1") == Answer("credit_freeze")
    assert menus.press("#") == Ask((), "menu.protect")
    assert menus.press("#") == Ask((), "menu.main")
    menus.press("6")
    assert menus.go(GoTo("not there")) == Ask((), "menu.main")
    assert menus.press("#") == Languages()


def test_keys_of_the_menu_work_after_its_answer() -> None:
    assert run("3", "1", "2") == Answer("fraud_alert")
    assert run("1", "3") == Ask((), "menu.protect")


def test_three_times_the_same_trouble_brings_an_agent() -> None:
    assert run("8") == Ask(("invalid",), "menu.main")
    assert run("8", "9") == Ask(("invalid",), "menu.main")
    assert run("8", "9", "8") == Agent("invalid")
    assert run("") == Ask(("no_input",), "menu.main")
    assert run("", "") == Ask(("no_input",), "menu.main")
    assert run("", "", "") == Agent("no_input")
    assert run("1", "", "", "") == Agent("no_input")
    assert run("1", "8") == Ask(("invalid",), "after_answer")


def test_a_key_that_means_something_forgives_the_others() -> None:
    assert run("8", "8", "3", "8", "8") == Ask(("invalid",), "menu.protect")
    assert run("", "", "*", "", "") == Ask(("no_input",), "menu.main")


@given(KEYS)
def test_random_keys_never_end_nowhere(keys: list[str]) -> None:
    menus = MenuRun(SAMPLE_MENUS, several_languages=True)
    menus.home()
    for key in keys:
        step = menus.press(key)
        if isinstance(step, Languages):
            menus.home()
        elif isinstance(step, Ask):
            assert step.prompt in {"after_answer", f"menu.{menus.current}"}
            assert (step.prompt == "after_answer") is menus.answered
        assert menus.current in SAMPLE_MENUS


@given(KEYS)
def test_from_anywhere_one_key_is_enough_for_an_agent(keys: list[str]) -> None:
    assert run(*keys, "0") == Agent("asked")


@given(KEYS)
def test_from_anywhere_silence_brings_an_agent(keys: list[str]) -> None:
    menus = MenuRun(SAMPLE_MENUS, several_languages=True)
    menus.home()
    for key in keys:
        menus.press(key)
    assert any(isinstance(menus.press(""), Agent) for _ in range(3))


@given(KEYS)
def test_back_again_and_again_leads_home(keys: list[str]) -> None:
    """Menus that lead to each other in a ring do not make the way back longer and longer."""
    ring = {
        "main": Menu(
            prompt={"en": "x"}, choices={"1": Choice(menu="one"), "2": Choice(answer="a")}
        ),
        "one": Menu(
            prompt={"en": "x"}, choices={"1": Choice(menu="two"), "3": Choice(menu="main")}
        ),
        "two": Menu(prompt={"en": "x"}, choices={"1": Choice(menu="one"), "2": Choice(answer="b")}),
    }
    menus = MenuRun(ring, several_languages=True)
    menus.home()
    for key in keys:
        if isinstance(menus.press(key), Languages):
            menus.home()
    steps = [menus.press("#") for _ in range(4)]
    assert Languages() in steps
