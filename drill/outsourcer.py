"""The outsourcer, played by the simulated public: a trunk of its own, one number, four moods."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from pbx.ami import AmiClient, Event

NUMBER: Final = "+18885550177"
"""What an incident's plan dials to reach the simulated outsourcer."""
CARRIER: Final = "outsourcer"
"""The trunk's name in the settings of a stage."""

Mood = Literal["answers", "busy", "down", "slow"]
"""``down``: every call is refused with 503. ``slow``: rings and never answers."""


def next_to(address: str) -> str:
    """The IPv4 address after this one."""
    return str(ipaddress.IPv4Address(address) + 1)


@dataclass(frozen=True, slots=True)
class Told:
    """What the outsourcer was told of one caller: names of headers, never their values but for
    the language; ``anonymous``: no number was shown."""

    headers: frozenset[str]
    language: str
    anonymous: bool


class OutsourcerWatch:
    """Hears of every call that reaches the simulated outsourcer. ``close`` it."""

    def __init__(self, ami: AmiClient) -> None:
        self._ami = ami
        self.calls: list[Told] = []
        self._undo: Callable[[], None] = ami.subscribe(["UserEvent"], self._reached)

    def close(self) -> None:
        self._undo()

    async def be(self, mood: Mood) -> None:
        """From now on every call meets this mood. Raises AmiError."""
        await self._ami.action("Setvar", {"Variable": "OUTSOURCER", "Value": mood})

    def _reached(self, event: Event) -> None:
        if event.get("UserEvent") == "DrillOutsourcer":
            names = re.findall(r"X-(?:(?!X-)[A-Za-z-])+", event.get("Told"))
            self.calls.append(
                Told(frozenset(names), event.get("Spoken"), event.get("Who") == "nobody")
            )
