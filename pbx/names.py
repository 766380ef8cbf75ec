"""Every name that Asterisk's dialplan and our Python share, in one place.

The dialplan files use the same words; ``scripts/check`` compares them.
"""

from __future__ import annotations

from typing import Final

# Channel variables, inbound.
INCIDENT: Final = "BL_INCIDENT"
"""Incident id, set from the DID."""
LANGUAGE: Final = "BL_LANGUAGE"
"""Language that the caller chose (en, es); empty before the choice."""
NEXT: Final = "BL_NEXT"
"""What the dialplan does after the hotline's AGI: ``queue`` or ``hangup``.

The hotline sets it as its last act. Empty when AGI() returns means that the hotline failed or
was not there: the emergency path takes the call.
"""

KEPT: Final = "BL_KEPT"
"""Token (32 hexadecimal digits) of the place in line that a placeholder stands for."""

WAIT: Final = "BL_WAIT"
"""The channel's language for the first announcement in the line (`pbx.prompts.waits.variant`)."""

SHED: Final = "BL_SHED"
"""1: the node holds so many calls that this caller gets the short way."""
REFERENCE: Final = "BL_REFERENCE"
"""The caller's reference number, once it was given and found; for the outsourcer, if allowed."""
TELL_LANGUAGE: Final = "BL_TELL_LANGUAGE"
TELL_REFERENCE: Final = "BL_TELL_REFERENCE"

# Channel variables, outbound.
ATTEMPT: Final = "BL_ATTEMPT"
"""Attempt id; also the channel's unique id."""
CAMPAIGN: Final = "BL_CAMPAIGN"

# UserEvents that the dialplan raises. Header names in the comments.
EVENT_ANSWERED: Final = "BreachlineAnswered"  # Attempt
EVENT_ABANDONED: Final = "BreachlineAbandoned"  # Attempt: apology begins
EVENT_DISPOSITION: Final = "BreachlineDisposition"  # Attempt, Disposition: machine
EVENT_OVERFLOW: Final = "BreachlineOverflow"  # Incident, Call, Status: ANSWER, or why it came back
EVENT_REFUSED: Final = "BreachlineRefused"  # Incident: a carrier was told 503
EVENT_EMERGENCY: Final = "BreachlineEmergency"  # Incident: a call took the emergency path
EVENT_QUEUE_LEFT: Final = "BreachlineQueueLeft"  # Incident, Status: QUEUESTATUS
EVENT_PLACE: Final = "BreachlinePlace"  # Token, Call, Rank: just before Queue(), of a placeholder


OUTSOURCER: Final = "outsourcer"
"""Stands for an agent's number where the outsourcer took the call."""


def queue(incident: str, language: str) -> str:
    """The queue's name: one per incident and language."""
    return f"{incident}-{language}"


def notices(queue: str) -> str:
    """The queue beside a callers' queue in which answered notice calls meet the same agents.

    It has the higher weight and makes no announcement: app_queue would speak the place in
    line to a person whom we called, for longer than the two seconds that the agent has.
    """
    return f"{queue}-notices"


def inbound_endpoint(name: str) -> str:
    """The PJSIP endpoint of calls that come from a carrier's address."""
    return f"inbound-{name}"


def agent_endpoint(number: str) -> str:
    """The PJSIP endpoint of an agent's telephone."""
    return f"agent-{number}"


def carrier_endpoint(name: str) -> str:
    """The PJSIP endpoint of a carrier's trunk."""
    return f"carrier-{name}"
