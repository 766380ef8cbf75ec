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


class OverflowResult(StrEnum):
    """What came of sending a caller to the outsourcer.

    ``answered``: somebody there took the call. ``abandoned``: the caller hung up before. Of the
    others the caller came back to the own line: ``no_answer`` (in time), ``busy``, ``full`` (all
    channels of the trunk are taken by our own calls), ``failed`` (refused, or nobody is there).
    """

    ANSWERED = "answered"
    ABANDONED = "abandoned"
    NO_ANSWER = "no_answer"
    BUSY = "busy"
    FULL = "full"
    FAILED = "failed"


class CallOutcome(StrEnum):
    """How one inbound call ended, from the caller's point of view.

    ``self_service``: heard at least one answer (a menu leaf) and hung up. ``agent``: spoke
    with an agent. ``outsourced``: spoke with an agent of the outsourcer. ``callback``: left a
    number. ``abandoned_waiting``: hung up in the queue, or while the outsourcer's telephone
    rang. ``abandoned_menu``: hung up before any answer. ``after_hours``: heard the after-hours
    text. ``shed``: too many called, heard the essentials and left no number. ``no_agent``: the
    queue ended without an agent. ``unobserved``: ended while the hotline was down.
    """

    SELF_SERVICE = "self_service"
    AGENT = "agent"
    OUTSOURCED = "outsourced"
    CALLBACK = "callback"
    ABANDONED_WAITING = "abandoned_waiting"
    ABANDONED_MENU = "abandoned_menu"
    AFTER_HOURS = "after_hours"
    SHED = "shed"
    NO_AGENT = "no_agent"
    UNOBSERVED = "unobserved"


class CallbackOutcome(StrEnum):
    """How one try to reach a person who keeps a place ended; exactly one for each try.

    ``connected``: the person talked with the agent. ``no_answer``: also where whoever answered hung
    up before that. ``machine``: the agent heard one. ``not_carried``: congestion, no channel, no
    carrier, never dialled, or Asterisk was killed before they could talk. ``agent_left``: the agent
    hung up before that. ``unknown``: what happened was not observed.
    """

    CONNECTED = "connected"
    BUSY = "busy"
    NO_ANSWER = "no_answer"
    MACHINE = "machine"
    NOT_CARRIED = "not_carried"
    AGENT_LEFT = "agent_left"
    INVALID_NUMBER = "invalid_number"
    UNKNOWN = "unknown"


class SelfServiceResult(StrEnum):
    """What self-service came to. A call may come to several; the one that says most about what
    is left to do, which is the earlier one here, is kept as the call's ``result``.

    ``stop_calls``: a number is not called any more. ``letter_by_mistake``: a letter is not for
    whoever got it. ``relay``: asked for an agent by relay service. ``code_told``: an activation
    code was read. ``code_missing``: asked for one, and none could be told. ``deceased``,
    ``minor``: heard what a family, or a guardian, can do. ``affected``: heard what was
    involved. ``genuine``: heard that the letter or call is ours. ``not_found``: gave no reference
    number that is ours. ``not_now``: look-ups were closed (``incident.guessing``) or failed.
    """

    STOP_CALLS = "stop_calls"
    LETTER_BY_MISTAKE = "letter_by_mistake"
    RELAY = "relay"
    CODE_TOLD = "code_told"
    CODE_MISSING = "code_missing"
    DECEASED = "deceased"
    MINOR = "minor"
    AFFECTED = "affected"
    GENUINE = "genuine"
    NOT_FOUND = "not_found"
    NOT_NOW = "not_now"
