"""Which look-ups of reference numbers are answered: honest callers are, guessers are not."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from incident.guessing import Bucket, GuessLimits, Ruling, Try, Verdict, fresh_number, rule

LIMITS = GuessLimits(misses=8, closed_seconds=600, refill_seconds=800, number_tries=3)
GUESS = Try(found=False, own_phone=False, refused_at=None)
HIT = Try(found=True, own_phone=False, refused_at=None)
OWN = Try(found=True, own_phone=True, refused_at=None)


@dataclass
class Line:
    """Look-ups one after the other; every caller has a number of their own unless said."""

    now: float = 1000.0
    budget: Bucket | None = None
    numbers: dict[str, Bucket] = field(default_factory=dict)

    def tries(self, tried: Try, caller: str | None = None) -> Verdict:
        number = None
        if caller is not None:
            number = self.numbers.get(caller) or fresh_number(LIMITS, self.now)
        ruling: Ruling = rule(tried, self.budget, number, LIMITS, self.now)
        self.budget = ruling.budget
        if caller is not None and ruling.number is not None:
            self.numbers[caller] = ruling.number
        return ruling.verdict

    def guess_until_closed(self) -> int:
        guesses = 1
        while self.tries(GUESS) is not Verdict.REFUSED:
            guesses += 1
        return guesses


def test_so_many_misses_and_then_everybody_hears_the_same() -> None:
    line = Line()
    assert [line.tries(GUESS) for _ in range(8)] == [Verdict.NOT_FOUND] * 8
    assert line.tries(GUESS) is line.tries(HIT) is Verdict.REFUSED


def test_whoever_calls_from_the_letters_own_telephone_is_always_answered() -> None:
    line = Line()
    line.guess_until_closed()
    for _ in range(50):
        assert line.tries(OWN, "own") is Verdict.ANSWERED
        assert line.tries(HIT, "own") in {Verdict.REFUSED}


def test_it_opens_after_the_time_that_is_told_and_closes_sooner_the_next_time() -> None:
    line = Line()
    line.guess_until_closed()
    line.now += LIMITS.closed_seconds - 1
    assert line.tries(HIT) is Verdict.REFUSED
    line.now += 1
    assert line.tries(HIT) is Verdict.ANSWERED
    assert line.guess_until_closed() <= LIMITS.misses / 4 + 2


def test_a_caller_who_was_refused_is_answered_at_the_second_call_while_others_guess() -> None:
    line = Line()
    line.guess_until_closed()
    refused_at = line.now
    assert line.tries(HIT, "other phone") is Verdict.REFUSED
    line.now += LIMITS.closed_seconds
    line.guess_until_closed()
    again = Try(found=True, own_phone=False, refused_at=refused_at)
    assert line.tries(HIT, "guesser") is Verdict.REFUSED
    assert line.tries(again, "other phone") is Verdict.ANSWERED
    early = Try(found=True, own_phone=False, refused_at=line.now - LIMITS.closed_seconds + 1)
    assert line.tries(early, "hasty") is Verdict.REFUSED


def test_a_second_call_with_a_wrong_number_hears_what_all_others_hear() -> None:
    line = Line()
    line.guess_until_closed()
    again = Try(found=False, own_phone=False, refused_at=line.now - LIMITS.closed_seconds)
    assert line.tries(again, "other phone") is Verdict.REFUSED


def test_honest_callers_who_mistype_keep_it_open() -> None:
    """One in five numbers is mistyped, a thousand an hour: five times what the bucket holds."""
    line = Line()
    for index in range(5000):
        line.now += 3.6
        verdict = line.tries(GUESS if index % 5 == 0 else HIT, f"caller {index}")
        assert verdict is (Verdict.NOT_FOUND if index % 5 == 0 else Verdict.ANSWERED)


def test_one_number_has_few_tries_and_then_one_in_a_quarter_of_an_hour() -> None:
    line = Line()
    verdicts = [line.tries(GUESS, "one") for _ in range(5)]
    assert verdicts == [Verdict.NOT_FOUND] * 3 + [Verdict.REFUSED] * 2
    assert line.tries(HIT, "one") is Verdict.REFUSED
    assert line.tries(OWN, "one") is Verdict.ANSWERED
    assert line.tries(HIT, "another") is Verdict.ANSWERED
    line.now += LIMITS.number_seconds
    assert line.tries(HIT, "one") is Verdict.ANSWERED


@pytest.mark.parametrize("tried", [GUESS, HIT])
def test_what_is_remembered_is_the_same_for_numbers_that_exist_and_others(tried: Try) -> None:
    """While closed, nothing that is kept or said depends on whether the number exists."""
    line = Line()
    line.guess_until_closed()
    number = fresh_number(LIMITS, line.now)
    ruling = rule(tried, line.budget, number, LIMITS, line.now)
    assert ruling == rule(GUESS, line.budget, number, LIMITS, line.now)
    assert ruling.remember


EVENTS = st.lists(
    st.tuples(
        st.floats(0, 300),
        st.sampled_from([GUESS, GUESS, GUESS, HIT]),
        st.sampled_from([None, "a", "b", "c"]),
    ),
    max_size=120,
)


@given(events=EVENTS)
def test_whatever_happened_it_is_open_after_the_longest_time_that_is_told(
    events: list[tuple[float, Try, str | None]],
) -> None:
    line = Line()
    for pause, tried, caller in events:
        line.now += pause
        line.tries(tried, caller)
        assert line.tries(OWN, caller) is Verdict.ANSWERED
    line.now += 900
    assert line.tries(HIT, "a") is Verdict.ANSWERED
    assert line.tries(HIT) is Verdict.ANSWERED


@given(guesses=st.integers(1, 400), seconds=st.floats(0.1, 60))
def test_a_guesser_who_goes_on_gets_few_answers(guesses: int, seconds: float) -> None:
    line = Line()
    answered = 0
    for index in range(guesses):
        line.now += seconds
        answered += line.tries(GUESS, str(index)) is not Verdict.REFUSED
    took = guesses * seconds
    assert answered <= LIMITS.misses + took * LIMITS.misses / LIMITS.refill_seconds + 2
