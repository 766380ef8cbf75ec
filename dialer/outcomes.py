"""One outcome for each attempt, from what Asterisk told about it.

Causes are those of ITU-T Q.850; Asterisk's chan_pjsip derives them from SIP answers
(tried on Asterisk 22: 486, 600 -> 17; 480 -> 19; 408 -> 18; 404 -> 1; 484 -> 28; 410 -> 22;
503 -> 34; 500 -> 38; 403, 603 -> 21; 488 -> 58; a ring time-out of ours -> Reason 3 and 19).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from incident.outcomes import AttemptOutcome

_INVALID: Final = frozenset({1, 2, 3, 22, 28})
_BUSY: Final = frozenset({17})
_NO_ANSWER: Final = frozenset({18, 19, 20})
_CONGESTION: Final = frozenset({27, 34, 38, 41, 42, 44, 47})

_RING_TIMEOUT: Final = 3
"""OriginateResponse's Reason when the ring time was over (AST_CONTROL_RINGING)."""

_CAUSES: Final = {
    1: "number not in use",
    2: "no route to the network",
    3: "no route to the destination",
    17: "busy",
    18: "the network reports no answer",
    19: "no answer",
    20: "telephone switched off or out of reach",
    21: "rejected",
    22: "number changed",
    27: "destination out of order",
    28: "number incomplete",
    34: "no circuit free at the carrier",
    38: "carrier out of order",
    41: "temporary failure at the carrier",
    42: "congestion at the carrier",
    44: "no circuit free at the carrier",
    47: "carrier without resources",
}


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known about one attempt when it has ended.

    ``originate_failed`` / ``reason``: from OriginateResponse. ``ended``: its channel was seen to
    hang up, with ``cause`` (Q.850) and ``tech_cause`` (the SIP status). ``rang``: the far end
    reported ringing or progress. ``waiting_ended``: the person hung up while waiting for an
    agent, seen in the queue's own log.
    """

    answered: bool = False
    connected: bool = False
    machine: bool = False
    abandoned: bool = False
    waiting_ended: bool = False
    ended: bool = False
    rang: bool = False
    originate_failed: bool = False
    reason: int | None = None
    cause: int | None = None
    tech_cause: str = ""
    dial_status: str = ""


@dataclass(frozen=True, slots=True)
class Classified:
    outcome: AttemptOutcome
    detail: str


def classify(facts: Facts) -> Classified:
    """The one outcome of an attempt. What was not observed is ``unknown``, never guessed."""
    if facts.machine:
        return Classified(AttemptOutcome.MACHINE, "an agent heard an answering machine")
    if facts.connected:
        return Classified(AttemptOutcome.CONNECTED, "")
    if facts.abandoned:
        return Classified(AttemptOutcome.ABANDONED, "no agent in time; the apology was played")
    if facts.answered or facts.dial_status == "ANSWER":
        if facts.ended or facts.waiting_ended:
            return Classified(AttemptOutcome.LIVE_ANSWERED, "hung up before an agent was there")
        return Classified(AttemptOutcome.UNKNOWN, "answered; how it ended was not observed")
    if facts.originate_failed and facts.reason == _RING_TIMEOUT:
        if facts.rang:
            return Classified(AttemptOutcome.NO_ANSWER, "rang until our time was over")
        return Classified(AttemptOutcome.CONGESTION, "the carrier never reported ringing")
    if facts.ended:
        return _by_cause(facts)
    if facts.originate_failed:
        return Classified(AttemptOutcome.FAILED, "Asterisk made no channel: see its log")
    return Classified(AttemptOutcome.UNKNOWN, "how it ended was not observed")


def _by_cause(facts: Facts) -> Classified:
    cause = facts.cause or 0
    said = f" (SIP {facts.tech_cause})" if facts.tech_cause else ""
    detail = _CAUSES.get(cause, f"cause {cause}") + said
    if cause in _BUSY or facts.dial_status == "BUSY":
        return Classified(AttemptOutcome.BUSY, detail)
    if cause in _INVALID:
        return Classified(AttemptOutcome.INVALID_NUMBER, detail)
    if cause in _NO_ANSWER:
        return Classified(AttemptOutcome.NO_ANSWER, detail)
    if cause in _CONGESTION or facts.dial_status == "CONGESTION":
        return Classified(AttemptOutcome.CONGESTION, detail)
    return Classified(AttemptOutcome.FAILED, detail)
