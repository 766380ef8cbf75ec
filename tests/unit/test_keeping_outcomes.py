"""How a try to call somebody back ended, from what Asterisk told about it."""

from __future__ import annotations

import pytest

from incident.outcomes import CallbackOutcome
from ivr.keeping.outcomes import classify


@pytest.mark.parametrize(
    ("status", "cause", "heard", "outcome"),
    [
        ("ANSWER", 16, "answered met", CallbackOutcome.CONNECTED),
        ("ANSWER", None, "met", CallbackOutcome.CONNECTED),
        # Of the agent's going while they talk the dial knows nothing.
        ("", None, "answered met", CallbackOutcome.CONNECTED),
        # The agent went while the person was greeted.
        ("CANCEL", None, "answered", CallbackOutcome.AGENT_LEFT),
        ("", None, "answered", CallbackOutcome.AGENT_LEFT),
        ("CANCEL", None, "", CallbackOutcome.AGENT_LEFT),
        # The person went.
        ("ANSWER", 16, "answered", CallbackOutcome.NO_ANSWER),
        ("ANSWER", 16, "", CallbackOutcome.NO_ANSWER),
        ("ANSWER", 16, "answered met machine", CallbackOutcome.MACHINE),
        ("CANCEL", None, "answered machine", CallbackOutcome.MACHINE),
        ("NOANSWER", 19, "", CallbackOutcome.NO_ANSWER),
        ("NOANSWER", 17, "", CallbackOutcome.BUSY),
        ("BUSY", None, "", CallbackOutcome.BUSY),
        ("NOANSWER", 1, "", CallbackOutcome.INVALID_NUMBER),
        ("CONGESTION", 34, "", CallbackOutcome.NOT_CARRIED),
    ],
)
def test_only_who_was_joined_has_talked(
    status: str, cause: int | None, heard: str, outcome: CallbackOutcome
) -> None:
    facts = heard.split()
    found = classify(
        status,
        cause,
        answered="answered" in facts,
        met="met" in facts,
        machine="machine" in facts,
    )
    assert found is outcome
