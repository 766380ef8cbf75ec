"""One outcome for each attempt, whatever was and was not observed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialer.outcomes import Facts, classify
from incident.outcomes import AttemptOutcome as Outcome


@pytest.mark.parametrize(
    ("cause", "expected"),
    [
        (1, Outcome.INVALID_NUMBER),
        (22, Outcome.INVALID_NUMBER),
        (28, Outcome.INVALID_NUMBER),
        (17, Outcome.BUSY),
        (18, Outcome.NO_ANSWER),
        (19, Outcome.NO_ANSWER),
        (20, Outcome.NO_ANSWER),
        (27, Outcome.CONGESTION),
        (34, Outcome.CONGESTION),
        (38, Outcome.CONGESTION),
        (42, Outcome.CONGESTION),
        (21, Outcome.FAILED),
        (58, Outcome.FAILED),
        (0, Outcome.FAILED),
        (None, Outcome.FAILED),
        (16, Outcome.FAILED),
    ],
)
def test_a_call_that_was_not_answered_is_told_by_its_cause(
    cause: int | None, expected: Outcome
) -> None:
    facts = Facts(ended=True, originate_failed=True, reason=0, rang=True, cause=cause)
    assert classify(facts).outcome is expected


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (Facts(originate_failed=True, reason=3, rang=True, cause=19), Outcome.NO_ANSWER),
        (Facts(originate_failed=True, reason=3, rang=False, cause=19), Outcome.CONGESTION),
        (Facts(originate_failed=True, reason=0), Outcome.FAILED),
        (Facts(answered=True, ended=True, cause=16), Outcome.LIVE_ANSWERED),
        (Facts(answered=True, ended=True, cause=17), Outcome.LIVE_ANSWERED),
        (Facts(dial_status="ANSWER", ended=True), Outcome.LIVE_ANSWERED),
        (Facts(answered=True, waiting_ended=True), Outcome.LIVE_ANSWERED),
        (Facts(answered=True), Outcome.UNKNOWN),
        (Facts(), Outcome.UNKNOWN),
        (Facts(rang=True), Outcome.UNKNOWN),
        (Facts(answered=True, abandoned=True, ended=True), Outcome.ABANDONED),
        (Facts(answered=True, connected=True, ended=True), Outcome.CONNECTED),
        (Facts(answered=True, connected=True), Outcome.CONNECTED),
        (Facts(answered=True, connected=True, machine=True, ended=True), Outcome.MACHINE),
        (Facts(ended=True, cause=0, dial_status="BUSY"), Outcome.BUSY),
        (Facts(ended=True, cause=0, dial_status="CONGESTION"), Outcome.CONGESTION),
    ],
)
def test_what_was_observed_decides(facts: Facts, expected: Outcome) -> None:
    assert classify(facts).outcome is expected


anything = st.builds(
    Facts,
    answered=st.booleans(),
    connected=st.booleans(),
    machine=st.booleans(),
    abandoned=st.booleans(),
    waiting_ended=st.booleans(),
    ended=st.booleans(),
    rang=st.booleans(),
    originate_failed=st.booleans(),
    reason=st.none() | st.integers(0, 8),
    cause=st.none() | st.integers(0, 127),
    tech_cause=st.sampled_from(["", "486", "503"]),
    dial_status=st.sampled_from(["", "ANSWER", "BUSY", "NOANSWER", "CONGESTION", "CANCEL"]),
)


@given(anything)
def test_nobody_is_taken_for_reached_or_spared_without_a_sign_of_it(facts: Facts) -> None:
    found = classify(facts)
    if found.outcome is Outcome.CONNECTED:
        assert facts.connected and not facts.machine
    if found.outcome is Outcome.ABANDONED:
        assert facts.abandoned
    if found.outcome is Outcome.INVALID_NUMBER:
        assert facts.ended and not facts.answered
    if facts.answered:
        assert found.outcome in {
            Outcome.CONNECTED,
            Outcome.MACHINE,
            Outcome.ABANDONED,
            Outcome.LIVE_ANSWERED,
            Outcome.UNKNOWN,
        }
    if not (facts.ended or facts.originate_failed or facts.waiting_ended):
        assert found.outcome in {
            Outcome.UNKNOWN,
            Outcome.CONNECTED,
            Outcome.MACHINE,
            Outcome.ABANDONED,
        }
    assert len(found.detail) <= 200
