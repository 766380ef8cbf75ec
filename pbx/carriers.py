"""Closes the door to carriers while the node is full, and opens it: ``python -m pbx.carriers
HOME ADDRESS AMI_PORT close|open``.

Asterisk runs this as a plain AGI script (``dialplan/limits.conf``). Its maintenance mode then
answers every new call from a carrier with 503 and Retry-After; calls that are there, and calls
that we place, are not touched. It needs no service, only Asterisk's own manager interface.

Exit status 0: done, or this Asterisk knows no such mode; 1: it could not be done (AGISTATUS is
FAILURE then), with one line on standard error.
"""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO, Final

from pbx.names import inbound_endpoint

_SECONDS: Final = 5.0
_MESSAGE_LINES: Final = 200
"""Of one message; the list of a thousand endpoints is as many messages."""


class NotDone(Exception):
    """Asterisk was not there, or did not do it."""


class Manager:
    """Just enough of AMI: log in, act, list."""

    def __init__(self, address: str, port: int) -> None:
        self._socket = socket.create_connection((address, port), timeout=_SECONDS)
        self._lines: BinaryIO = self._socket.makefile("rb")
        self._lines.readline(1024)  # the greeting

    def close(self) -> None:
        self._lines.close()
        self._socket.close()

    def act(self, action: str, **fields: str) -> Mapping[str, str]:
        """The response to an action; events are passed over."""
        text = "".join(f"{key}: {value}\r\n" for key, value in fields.items())
        self._socket.sendall(f"Action: {action}\r\n{text}\r\n".encode())
        return next(message for message in self._messages() if "Response" in message)

    def endpoints(self) -> tuple[str, ...]:
        """Names of the endpoints of calls that carriers make."""
        self._socket.sendall(b"Action: PJSIPShowEndpoints\r\n\r\n")
        found = []
        for message in self._messages():
            if message.get("Event") == "EndpointListComplete" or message.get("Response") == "Error":
                break
            name = message.get("ObjectName", "")
            if message.get("Event") == "EndpointList" and name.startswith(inbound_endpoint("")):
                found.append(name)
        return tuple(found)

    def _messages(self) -> Iterator[Mapping[str, str]]:
        while True:
            message: dict[str, str] = {}
            for _ in range(_MESSAGE_LINES):
                line = self._lines.readline(4096)
                if not line:
                    raise NotDone("Asterisk closed the link")
                if not line.strip():
                    break
                key, _, value = line.decode("utf-8", "replace").partition(":")
                message[key.strip()] = value.strip()
            yield message


def switch(home: Path, address: str, port: int, state: str) -> int:
    """Put the carriers' endpoints into maintenance (``on``) or out of it; how many.

    Raises NotDone, OSError, ValueError.
    """
    account = json.loads((home / "secrets" / "ami.json").read_text(encoding="utf-8"))
    manager = Manager(address, port)
    try:
        done = manager.act(
            "Login", Username=account["user"], Secret=account["secret"], Events="off"
        )
        if done.get("Response") != "Success":
            raise NotDone("Asterisk's manager interface does not let us in")
        for endpoint in (endpoints := manager.endpoints()):
            done = manager.act("PJSIPSetMaintenance", Endpoint=endpoint, State=state)
            if done.get("Response") != "Success":
                raise NotDone(f"{endpoint}: {done.get('Message', 'refused')}")
        return len(endpoints)
    finally:
        manager.close()


def main(argv: list[str]) -> int:
    """``argv``: the program's name, HOME, address, port, ``close`` or ``open``."""
    for line in sys.stdin:  # what Asterisk tells of the call; it ends with an empty line
        if not line.strip():
            break
    try:
        _, home, address, port, order = argv
        switch(Path(home), address, int(port), {"close": "on", "open": "off"}[order])
    except (NotDone, OSError, ValueError, KeyError) as error:
        sys.stderr.write(f"breachline carriers: {type(error).__name__}: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
