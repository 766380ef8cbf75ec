"""How a try to call somebody back ended, from what Asterisk told about it.

Causes are those of ITU-T Q.850, as Asterisk derives them from SIP answers.
"""

from __future__ import annotations

from typing import Final

from incident.outcomes import CallbackOutcome

_INVALID: Final = frozenset({1, 2, 3, 22, 28})
_BUSY: Final = 17


def classify(status: str, cause: int | None, *, answered: bool, machine: bool) -> CallbackOutcome:
    """``status``: DIALSTATUS, "" where the dial did not come to an end of its own.

    Asterisk gives NOANSWER for a refusal, too: there the cause says more.
    """
    if machine:
        return CallbackOutcome.MACHINE
    if answered or status == "ANSWER":
        return CallbackOutcome.CONNECTED
    if status in {"", "CANCEL"}:
        return CallbackOutcome.AGENT_LEFT
    if cause in _INVALID:
        return CallbackOutcome.INVALID_NUMBER
    if status == "BUSY" or cause == _BUSY:
        return CallbackOutcome.BUSY
    if status == "NOANSWER":
        return CallbackOutcome.NO_ANSWER
    return CallbackOutcome.NOT_CARRIED
