"""How calls end: the closed sets of outcomes that store, metrics and evidence share."""

from __future__ import annotations

from enum import StrEnum


class AttemptOutcome(StrEnum):
    """How one outbound attempt ended; exactly one for each attempt.

    ``live_answered``: a person answered and hung up before an agent was there and before
    two seconds had passed. ``abandoned``: no agent within two seconds, the apology was
    played. ``unknown``: what happened was not observed; never assumed to be anything else.
    """

    LIVE_ANSWERED = "live_answered"
    CONNECTED = "connected"
    ABANDONED = "abandoned"
    MACHINE = "machine"
    BUSY = "busy"
    NO_ANSWER = "no_answer"
    INVALID_NUMBER = "invalid_number"
    CONGESTION = "congestion"
    FAILED = "failed"
    UNKNOWN = "unknown"


class CallOutcome(StrEnum):
    """How one inbound call ended, from the caller's point of view.

    ``self_service``: heard at least one answer (a menu leaf) and hung up. ``agent``: spoke
    with an agent. ``callback``: left a number. ``abandoned_waiting``: hung up in the queue.
    ``abandoned_menu``: hung up before any answer. ``after_hours``: heard the after-hours
    text. ``no_agent``: the queue ended without an agent. ``unobserved``: ended while the
    hotline was down.
    """

    SELF_SERVICE = "self_service"
    AGENT = "agent"
    CALLBACK = "callback"
    ABANDONED_WAITING = "abandoned_waiting"
    ABANDONED_MENU = "abandoned_menu"
    AFTER_HOURS = "after_hours"
    NO_AGENT = "no_agent"
    UNOBSERVED = "unobserved"


class CallbackOutcome(StrEnum):
    """How one try to reach a person who keeps a place ended; exactly one for each try.

    ``connected``: the person answered and talked with the agent. ``machine``: the agent heard
    one. ``not_carried``: congestion, no channel, no carrier, or never dialled. ``agent_left``: the
    agent hung up before the person answered. ``unknown``: what happened was not observed.
    """

    CONNECTED = "connected"
    BUSY = "busy"
    NO_ANSWER = "no_answer"
    MACHINE = "machine"
    NOT_CARRIED = "not_carried"
    AGENT_LEFT = "agent_left"
    INVALID_NUMBER = "invalid_number"
    UNKNOWN = "unknown"
