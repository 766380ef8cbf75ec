"""Who calls: numbers of their own, habits in the asked-for shares, ways that the plan has."""

from __future__ import annotations

import statistics
from pathlib import Path

import pytest

from drill.character import Character, Patience, Temper, Ways, draw, ways_of
from drill.people import Behaviour, behaviour
from incident.contacts.phones import to_e164
from incident.plan import load_plan

PLANS = Path(__file__).resolve().parents[2] / "plans"
WAYS = Ways((("en", "1"), ("es", "2")), ("0",), (("1",), ("3", "2")))


def drawn(count: int = 3000, **temper: float) -> list[Character]:
    return list(draw(count, WAYS, Temper(**temper), seed=5))  # type: ignore[arg-type]


def test_every_caller_has_a_number_of_their_own_that_can_be_called_back() -> None:
    numbers = [each.number for each in drawn()]
    assert len(set(numbers)) == 3000
    for number in numbers:
        assert to_e164(number) == number
        assert behaviour(number)


def test_more_callers_than_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match="no more than 3000"):
        drawn(3001)


def test_shares_are_as_asked_for() -> None:
    people = drawn(self_service=0.6, other_language=0.25, accepts=0.37, redials=0.3)
    agents = [each for each in people if each.agent]
    assert len(agents) / 3000 == pytest.approx(0.4, abs=0.03)
    spanish = sum(each.language == "es" for each in people)
    assert spanish / 3000 == pytest.approx(0.25, abs=0.03)
    taking = [each for each in agents if each.accepts_after is not None]
    assert len(taking) / len(agents) == pytest.approx(0.37, abs=0.05)
    redialling = sum(each.redial_after is not None for each in people)
    assert redialling / 3000 == pytest.approx(0.3, abs=0.03)


def test_seven_in_a_hundred_of_those_called_back_do_not_answer() -> None:
    people = drawn(self_service=0.0, accepts=1.0, reached=0.93)
    kinds = [behaviour(each.number) for each in people]
    assert kinds.count(Behaviour.PERSON) / 3000 == pytest.approx(0.93, abs=0.02)
    assert set(kinds) == {
        Behaviour.PERSON,
        Behaviour.NO_ANSWER,
        Behaviour.BUSY,
        Behaviour.MACHINE,
    }


@pytest.mark.parametrize("shape", Patience)
def test_patience_has_the_mean_that_was_asked_for(shape: Patience) -> None:
    people = draw(3000, WAYS, Temper(patience=40, patience_shape=shape), seed=2)
    assert statistics.mean(each.patience for each in people) == pytest.approx(40, rel=0.1)


def test_keys_are_the_language_and_then_a_way_of_the_plan() -> None:
    for each in drawn(500):
        language, *way = (key for _, key in each.keys)
        assert language == {"en": "1", "es": "2"}[each.language]
        assert tuple(way) in ((WAYS.agent,) if each.agent else WAYS.answers)
        assert all(seconds >= 1 for seconds, _ in each.keys)


def test_nobody_asks_to_be_called_back_after_having_given_up() -> None:
    for each in drawn(500, self_service=0.0, accepts=1.0, patience=5):
        assert each.accepts_after is not None
        assert each.accepts_after <= each.patience


def test_ways_of_the_sample_plans() -> None:
    ways = ways_of(load_plan(PLANS / "sample.yaml"))
    assert ways.languages == (("en", "1"), ("es", "2"))
    assert ways.agent == ("0",)
    assert {("1",), ("3", "1"), ("3", "5")} <= set(ways.answers)
    assert ("2",) not in ways.answers
    assert ways_of(load_plan(PLANS / "second.yaml")).agent


def test_one_language_has_no_key() -> None:
    ways = Ways((("en", ""),), ("0",), (("1",),))
    (caller,) = draw(1, ways, Temper(), seed=1)
    assert len(caller.keys) == 1
    assert caller.language == "en"
