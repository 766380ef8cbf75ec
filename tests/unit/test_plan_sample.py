"""The plans that ship: without a mistake, and as the contract describes them."""

from __future__ import annotations

from pathlib import Path

import pytest

from incident.plan import Choice, Plan, check_plan, load_plan
from incident.plan.language import load_language
from incident.plan.wording import has_apology

PLANS = Path(__file__).parents[2] / "plans"
SHIPPED = sorted(PLANS.glob("*.yaml"))


@pytest.fixture(scope="module")
def sample() -> Plan:
    return load_plan(PLANS / "sample.yaml")


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.name)
def test_a_shipped_plan_has_no_mistake(file: Path) -> None:
    assert [problem.describe(file.name) for problem in check_plan(file)] == []


def test_the_sample_is_northwind_in_two_languages(sample: Plan) -> None:
    assert sample.incident == "northwind"
    assert sample.did == "+18005550199"
    assert sample.languages == ("en", "es")


def test_the_sample_menus_are_those_of_the_contract(sample: Plan) -> None:
    assert sample.menus["main"].choices == {
        "1": Choice(answer="what_happened"),
        "2": Choice(flow="affected"),
        "3": Choice(menu="protect"),
        "4": Choice(flow="enrolment"),
        "5": Choice(flow="genuine"),
        "6": Choice(menu="more_help"),
        "0": Choice(agent=True),
    }
    assert sample.menus["protect"].choices == {
        "1": Choice(answer="credit_freeze"),
        "2": Choice(answer="fraud_alert"),
        "3": Choice(answer="drivers_licence"),
        "4": Choice(answer="bank_cards"),
        "5": Choice(answer="medical_identity"),
        "0": Choice(agent=True),
    }


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.name)
def test_help_beyond_the_contract_is_two_keys_away(file: Path) -> None:
    plan = load_plan(file)
    more = plan.menus["main"].choices["6"].menu
    assert more is not None
    assert plan.menus[more].choices == {
        "1": Choice(flow="minor"),
        "2": Choice(flow="deceased"),
        "3": Choice(flow="mistake"),
        "4": Choice(flow="stop_calls"),
        "5": Choice(flow="relay"),
        "0": Choice(agent=True),
    }


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.name)
def test_no_menu_takes_half_a_minute(file: Path) -> None:
    """At 15 letters a second, the pace of the rendered prompts."""
    plan = load_plan(file)
    for menu in plan.menus.values():
        assert all(len(text) <= 15 * 30 for text in menu.prompt.values())


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.name)
def test_whoever_tells_of_a_death_or_a_child_hears_that_we_are_sorry(file: Path) -> None:
    plan = load_plan(file)
    for code in plan.languages:
        for name in ("minor", "deceased", "mistake"):
            assert has_apology(plan.answers[name][code], load_language(code).checks)
        assert all(each.other is not None for each in plan.data_types.values())


def test_the_sample_covers_every_kind_of_data(sample: Plan) -> None:
    assert set(sample.data_types) == {"ssn", "drivers_licence", "bank_card", "medical", "contact"}
    for script in sample.scripts.values():
        assert set(script.what_to_do) == set(sample.data_types)


def test_no_two_shipped_plans_share_a_number_or_an_id() -> None:
    plans = [load_plan(file) for file in SHIPPED]
    assert len(plans) >= 2
    assert len({plan.did for plan in plans}) == len(plans)
    assert len({plan.incident for plan in plans}) == len(plans)


@pytest.mark.parametrize("bureau", ["Equifax", "Experian", "TransUnion"])
@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.name)
def test_the_freeze_names_each_bureau_in_each_language(file: Path, bureau: str) -> None:
    plan = load_plan(file)
    for code in plan.languages:
        assert bureau in plan.answers["credit_freeze"][code]
        assert bureau in plan.texts["emergency.essentials"][code]


def test_an_outbound_opening_says_that_nothing_is_sold(sample: Plan) -> None:
    opening = sample.scripts["outbound"].opening
    assert "not a sales call" in " ".join(opening["en"].split())
    assert "no es una llamada de ventas" in " ".join(opening["es"].split())
    for text in opening.values():
        assert "{organisation}" in text
        assert "{callback_number}" in text


def test_an_abandoned_call_hears_who_called_and_where_to_call(sample: Plan) -> None:
    for text in sample.texts["outbound.abandoned"].values():
        assert "{organisation}" in text
        assert "{callback_number}" in text
