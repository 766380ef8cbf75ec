"""AMI, Asterisk's manager interface: one client that never does a thing twice.

>>> client = AmiClient("127.0.0.1", 5038, "breachline", secret)
>>> await client.start()
>>> await client.wait_ready(10)
>>> undo = client.subscribe(["Hangup"], on_hangup)
>>> await client.action("Ping")
>>> await client.stop()
"""

from __future__ import annotations

from pbx.ami.client import AmiClient
from pbx.ami.errors import (
    AmiError,
    BadCredentials,
    InvalidValue,
    LinkFailed,
    NotConnected,
    OutcomeUnknown,
    Refused,
    UnexpectedReply,
)
from pbx.ami.messages import Event, Response
from pbx.ami.protocol import Limits
from pbx.ami.reconnect import Backoff, Timing

__all__ = [
    "AmiClient",
    "AmiError",
    "Backoff",
    "BadCredentials",
    "Event",
    "InvalidValue",
    "Limits",
    "LinkFailed",
    "NotConnected",
    "OutcomeUnknown",
    "Refused",
    "Response",
    "Timing",
    "UnexpectedReply",
]
