"""Every name that Asterisk's dialplan and our Python share, in one place.

The dialplan files use the same words; ``scripts/check`` compares them.
"""

from __future__ import annotations

import re
from typing import Final

# Channel variables, inbound.
INCIDENT: Final = "BL_INCIDENT"
"""Incident id, set from the DID."""
LANGUAGE: Final = "BL_LANGUAGE"
"""Language that the caller chose (en, es); empty before the choice."""
NEXT: Final = "BL_NEXT"
"""What the dialplan does after the hotline's AGI: ``queue``, ``overflow``, ``hangup``, ``kept``
(the place of BL_KEPT and BL_RANK is held) or, for a caller who was in line, ``back``.

The hotline sets it as its last act. Empty when AGI() returns means that the hotline failed or
was not there: the emergency path takes the call. For a placeholder that asks whom to call:
``dial``, ``leave`` (nobody is to be called any more) or ``ready`` (ask again with an agent).
"""

KEPT: Final = "BL_KEPT"
"""Token (32 hexadecimal digits) of the place in line that a placeholder stands for."""
RANK: Final = "BL_RANK"
"""When this person joined the line, milliseconds since 1970: the line stands in its order."""
HOLDS: Final = "BL_HOLDS"
"""``wanted``: the dialplan holds the place of BL_KEPT and BL_RANK once the caller has gone."""
OWNER: Final = "BL_OWNER"
"""The channel of the caller who gives a number while the placeholder stands in line already."""
CALLER: Final = "BL_CALLER"
"""The number of a caller in line; the channel's own is empty there, queue_log would keep it."""
DIAL: Final = "BL_DIAL"
"""Whom to call back, E.164; set for one call only."""
TRUNK: Final = "BL_TRUNK"
"""The PJSIP endpoint to call them through."""
RING: Final = "BL_RING"
"""Seconds for which their telephone rings."""
TRY: Final = "BL_TRY"
"""Id of the committed attempt."""
QUEUE: Final = "BL_QUEUE"
"""The queue that somebody waits in."""
LINE: Final = "BL_LINE"
"""Global. ``open``: the kept places stand in line since Asterisk was started, callers may join."""
HINT: Final = "BL_HINT"
"""A position in it to look for the right one from."""

WAIT: Final = "BL_WAIT"
"""The channel's language for the first announcement in the line (`pbx.prompts.waits.variant`)."""

SHED: Final = "BL_SHED"
"""1: the node holds so many calls that this caller gets the short way."""
REFERENCE: Final = "BL_REFERENCE"
"""The caller's reference number, once it was given and found; for the outsourcer, if allowed."""
TELL_LANGUAGE: Final = "BL_TELL_LANGUAGE"
TELL_REFERENCE: Final = "BL_TELL_REFERENCE"

RELAY: Final = "BL_RELAY"
"""``1`` when the caller wants an agent by relay service: the agent's telephone is told, also
when they are called back."""

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
EVENT_KEPT_ANSWERED: Final = "BreachlineKeptAnswered"  # Token, Try: somebody answered
EVENT_KEPT_MET: Final = "BreachlineKeptMet"  # Token, Try: person and agent are joined now
EVENT_KEPT_OVER: Final = "BreachlineKeptOver"  # Token, Try, Status: DIALSTATUS, Cause
EVENT_KEPT_JOINED: Final = "BreachlineKeptJoined"  # Token, Call, Agent: was still on the line
EVENT_KEPT_MACHINE: Final = "BreachlineKeptMachine"  # Token: the agent heard a machine

KEPT_FAR: Final = "kept-far"
KEPT_NEAR: Final = "kept-near"
"""Contexts of a placeholder's two legs."""
_PLACEHOLDER: Final = re.compile(rf"Local/([0-9a-f]{{32}})@{KEPT_FAR}-[0-9a-f]+;[12]")

OUTSOURCER: Final = "outsourcer"
"""Stands for an agent's number where the outsourcer took the call."""


def milliseconds(rank: float) -> str:
    """A rank (Unix seconds) as ``RANK`` holds it."""
    return str(round(rank * 1000))


def queue(incident: str, language: str) -> str:
    """The queue's name: one per incident and language."""
    return f"{incident}-{language}"


def notices(queue: str) -> str:
    """The queue beside a callers' queue in which answered notice calls meet the same agents.

    It has the higher weight and makes no announcement: app_queue would speak the place in
    line to a person whom we called, for longer than the two seconds that the agent has.
    """
    return f"{queue}-notices"


def placeholder(token: str) -> str:
    """What is called to make the placeholder of a kept place."""
    return f"Local/{token}@{KEPT_FAR}/n"


def kept_token(channel: str) -> str | None:
    """The token of the place for which this channel stands; None for every other channel."""
    match = _PLACEHOLDER.fullmatch(channel)
    return match[1] if match else None


def inbound_endpoint(name: str) -> str:
    """The PJSIP endpoint of calls that come from a carrier's address."""
    return f"inbound-{name}"


def agent_endpoint(number: str) -> str:
    """The PJSIP endpoint of an agent's telephone."""
    return f"agent-{number}"


def carrier_endpoint(name: str) -> str:
    """The PJSIP endpoint of a carrier's trunk."""
    return f"carrier-{name}"
