"""What follows a try to reach a person who keeps a place."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from incident.outcomes import CallbackOutcome
from incident.plan.hours import Hours
from incident.settings import CallbackSettings
from incident.store.callbacks import Next, PlaceState, Tries
from ivr.keeping.rules import CallbackRules

WEEK: dict[str, Any] = dict.fromkeys(
    ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"), "08:00-20:00"
)
HOURS = Hours(timezone="America/New_York", weekly=WEEK)
RULES = CallbackRules()
NOON = datetime(2026, 11, 23, 17, tzinfo=UTC).timestamp()
"""Noon in New York, a Monday."""
EVENING = NOON + 7.9 * 3600


def after(
    outcome: CallbackOutcome,
    made: int = 1,
    *,
    at: float = NOON,
    answered: bool = False,
    rules: CallbackRules = RULES,
    **others: int,
) -> Next:
    outcomes = {CallbackOutcome(name): count for name, count in others.items()}
    return rules.after(Tries(outcome, at, answered, outcomes | {outcome: made}), HOURS)


def test_whoever_talked_is_done() -> None:
    assert after(CallbackOutcome.CONNECTED).state is PlaceState.DONE


@pytest.mark.parametrize(
    ("outcome", "minutes"),
    [
        (CallbackOutcome.BUSY, [5, 5, 5, 5, 5]),
        (CallbackOutcome.NO_ANSWER, [15, 60]),
        (CallbackOutcome.MACHINE, [15, 60]),
        (CallbackOutcome.UNKNOWN, [15, 15]),
        (CallbackOutcome.NOT_CARRIED, [1, 2, 4, 8, 16, 32, 60, 60, 60]),
        (CallbackOutcome.AGENT_LEFT, [0, 2, 4, 8, 16, 32, 60, 60, 60]),
    ],
)
def test_pauses_and_the_last_try(outcome: CallbackOutcome, minutes: list[int]) -> None:
    for made, pause in enumerate(minutes, 1):
        step = after(outcome, made)
        assert (step.state, step.not_before) == (PlaceState.OPEN, NOON + pause * 60)
    last = after(outcome, len(minutes) + 1)
    assert last.state is PlaceState.GIVEN_UP
    assert last.detail.endswith(f"after {len(minutes) + 1} tries")


def test_a_carrier_that_is_away_for_hours_costs_nobody_their_place() -> None:
    at, made = NOON, 1
    while (step := after(CallbackOutcome.NOT_CARRIED, made, at=at)).state is PlaceState.OPEN:
        at, made = step.not_before, made + 1
    assert at - NOON > 3 * 3600


def test_the_reason_is_told() -> None:
    assert after(CallbackOutcome.NO_ANSWER, 3).detail == "no answer after 3 tries"
    assert after(CallbackOutcome.NO_ANSWER, 1).detail == "no answer"


def test_a_number_that_does_not_exist_is_given_up_at_once() -> None:
    step = after(CallbackOutcome.INVALID_NUMBER)
    assert (step.state, step.detail) == (PlaceState.GIVEN_UP, "the number does not exist")


def test_no_answer_and_machine_count_together_busy_and_network_apart() -> None:
    assert after(CallbackOutcome.NO_ANSWER, 1, machine=1, unknown=1).state is PlaceState.GIVEN_UP
    assert after(CallbackOutcome.NO_ANSWER, 1, busy=5, not_carried=9).state is PlaceState.OPEN
    assert after(CallbackOutcome.BUSY, 1, no_answer=2).state is PlaceState.OPEN
    assert after(CallbackOutcome.NOT_CARRIED, 5, agent_left=5).state is PlaceState.GIVEN_UP


def test_the_second_pause_is_the_longer_one_whatever_the_first_was() -> None:
    assert after(CallbackOutcome.NO_ANSWER, 1, machine=1).not_before == NOON + 3600


def test_an_answered_call_whose_end_was_not_seen_is_not_repeated() -> None:
    assert after(CallbackOutcome.UNKNOWN, answered=True).state is PlaceState.DONE
    assert after(CallbackOutcome.MACHINE, answered=True).state is PlaceState.OPEN


def test_again_only_when_agents_answer() -> None:
    step = after(CallbackOutcome.NO_ANSWER, at=EVENING)
    assert datetime.fromtimestamp(step.not_before, HOURS.zone) == datetime(
        2026, 11, 24, 8, tzinfo=HOURS.zone
    )


def test_given_up_when_the_hotline_does_not_open_again() -> None:
    closed = dict.fromkeys(WEEK) | {"monday": "08:00-12:01"}
    days = tuple(datetime.fromtimestamp(NOON + 86400 * n, UTC).date() for n in range(1, 500))
    never = Hours.model_validate({"timezone": "America/New_York", "weekly": closed, "closed": days})
    tries = Tries(CallbackOutcome.BUSY, NOON, answered=False, outcomes={CallbackOutcome.BUSY: 1})
    step = CallbackRules().after(tries, never)
    assert step.state is PlaceState.GIVEN_UP
    assert "does not open again" in step.detail


def test_settings_make_the_rules() -> None:
    assert CallbackRules.of(CallbackSettings()) == CallbackRules()
    made = CallbackRules.of(
        CallbackSettings(
            tries=2, no_answer_pauses=(60,), busy_tries=1, busy_pause=30, not_carried_pause=5
        )
    )
    assert after(CallbackOutcome.NO_ANSWER, 1, rules=made).not_before == NOON + 60
    assert after(CallbackOutcome.NO_ANSWER, 2, rules=made).state is PlaceState.GIVEN_UP
    assert after(CallbackOutcome.BUSY, 1, rules=made).detail == "busy after 1 try"
    assert after(CallbackOutcome.NOT_CARRIED, 1, rules=made).not_before == NOON + 5


@pytest.mark.parametrize("outcome", list(CallbackOutcome))
def test_every_outcome_has_an_end(outcome: CallbackOutcome) -> None:
    assert after(outcome, 100).state in {PlaceState.DONE, PlaceState.GIVEN_UP}
