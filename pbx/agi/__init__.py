"""FastAGI: our side of Asterisk's ``AGI(agi://...)``, as small asyncio sessions."""

from __future__ import annotations

from pbx.agi.errors import (
    AgiError,
    AgiProtocolError,
    AgiTimeout,
    BadRequest,
    CallerHungUp,
    CommandFailed,
    InvalidArgument,
)
from pbx.agi.limits import Limits
from pbx.agi.request import AgiRequest
from pbx.agi.server import AgiServer, Handler
from pbx.agi.session import AgiSession, Digits, Played

__all__ = [
    "AgiError",
    "AgiProtocolError",
    "AgiRequest",
    "AgiServer",
    "AgiSession",
    "AgiTimeout",
    "BadRequest",
    "CallerHungUp",
    "CommandFailed",
    "Digits",
    "Handler",
    "InvalidArgument",
    "Limits",
    "Played",
]
