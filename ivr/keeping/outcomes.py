"""How a try to call somebody back ended, from what Asterisk told about it.

Causes are those of ITU-T Q.850, as Asterisk derives them from SIP answers.
"""

from __future__ import annotations

from typing import Final

from incident.outcomes import CallbackOutcome

_INVALID: Final = frozenset({1, 2, 3, 22, 28})
_BUSY: Final = 17


def classify(
    status: str, cause: int | None, *, answered: bool, met: bool, machine: bool
) -> CallbackOutcome:
    """``status``: DIALSTATUS; "" where the dial did not come to an end of its own, CANCEL also
    where the agent had gone before the greeting was over. ``met``: they were joined after it.

    Asterisk gives NOANSWER for a refusal, too: there the cause says more. Whoever hangs up on the
    greeting has answered, and talked with nobody.
    """
    if machine:
        return CallbackOutcome.MACHINE
    if met:
        return CallbackOutcome.CONNECTED
    if status in {"", "CANCEL"}:
        return CallbackOutcome.AGENT_LEFT
    if answered or status == "ANSWER":
        return CallbackOutcome.NO_ANSWER
    if cause in _INVALID:
        return CallbackOutcome.INVALID_NUMBER
    if status == "BUSY" or cause == _BUSY:
        return CallbackOutcome.BUSY
    if status == "NOANSWER":
        return CallbackOutcome.NO_ANSWER
    return CallbackOutcome.NOT_CARRIED
