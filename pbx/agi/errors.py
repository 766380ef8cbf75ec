"""What can go wrong in a FastAGI session. No message ever holds an argument or a number."""

from __future__ import annotations


class AgiError(Exception):
    """Anything that ends or spoils a FastAGI session."""


class CallerHungUp(AgiError):
    """The call is over, in whatever way that showed: the one exception for every hang-up.

    ``how`` is ``line`` (Asterisk sent HANGUP), ``dead`` (511, dead channel), ``closed`` (the
    connection ended) or ``ours`` (this side asked for the hang-up before).
    """

    def __init__(self, how: str) -> None:
        super().__init__(f"the call is over ({how})")
        self.how = how


class AgiTimeout(AgiError):
    """Asterisk did not answer ``command`` in ``seconds``; the session cannot be used further."""

    def __init__(self, command: str, seconds: float) -> None:
        super().__init__(f"no answer to {command} within {seconds:.1f} s")
        self.command = command
        self.seconds = seconds


class AgiProtocolError(AgiError):
    """The peer, or our own handler, broke the protocol; the session cannot be used further."""


class BadRequest(AgiProtocolError):
    """The peer's opening lines are no AGI request. ``reason`` is one of a few fixed words."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"not an AGI request: {reason}")
        self.reason = reason


class CommandFailed(AgiError):
    """Asterisk answered, the call is still up, and the command did not work.

    ``code`` is AGI's own (510 unknown command, 520 wrong arguments) or the negative result of
    a command that was understood (-1: a file is missing, -2: no such application).
    """

    def __init__(self, command: str, code: int, text: str) -> None:
        super().__init__(f"{command} failed with {code}: {text}")
        self.command = command
        self.code = code
        self.text = text


class InvalidArgument(AgiError, ValueError):
    """An argument that must not go to Asterisk; nothing was sent and the session is still good."""
