"""What can go wrong with an AMI action, and what is known about it afterwards.

The one question that every caller has to answer is "may this have happened?":

* `InvalidValue`, `NotConnected`: nothing was sent;
* `Refused`: Asterisk answered that it did not do it;
* `OutcomeUnknown`: it was sent, and may or may not have happened. Look it up; never send it again
  by yourself.

No message carries a header's value: values hold telephone numbers and secrets.
"""

from __future__ import annotations


class AmiError(Exception):
    """Anything that this client raises."""


class NotConnected(AmiError):
    """There is no logged-in link; nothing was sent."""


class LinkFailed(AmiError):
    """A link could not be brought up, or the other side does not speak AMI."""


class BadCredentials(AmiError):
    """Asterisk does not accept our user name, secret or address."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__(
            f"Asterisk at {host}:{port} refused the AMI login: compare the user, its secret and "
            "its permit/deny lines in manager.conf with ours, then `manager reload`"
        )
        self.host = host
        self.port = port


class InvalidValue(AmiError, ValueError):
    """A header's name or value would not survive the wire as one header; nothing was sent."""

    def __init__(self, header: str, why: str) -> None:
        super().__init__(f"AMI header {header!r}: {why}; nothing was sent")
        self.header = header
        self.why = why


class Refused(AmiError):
    """Asterisk answered that it did not carry out the action."""

    def __init__(self, action: str, message: str) -> None:
        super().__init__(f"Asterisk refused {action}: {message or 'no reason given'}")
        self.action = action
        self.message = message


class OutcomeUnknown(AmiError):
    """The action was sent and no reply came: it may have happened. It is never sent again here."""

    def __init__(self, action: str, action_id: str, why: str) -> None:
        super().__init__(f"outcome of {action} ({action_id}) unknown: {why}")
        self.action = action
        self.action_id = action_id
        self.why = why


class UnexpectedReply(AmiError):
    """Asterisk accepted the action, but its answer is not of the kind that was asked for."""

    def __init__(self, action: str, why: str) -> None:
        super().__init__(f"reply to {action}: {why}")
        self.action = action
        self.why = why
