"""Call-backs as the people who are called meet them, on their own telephones."""

from __future__ import annotations

import re
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from drill.line import AGENT_SOUND
from pbx.ami import AmiClient, Event

_NUMBER: Final = re.compile(r"\+1[0-9]{10}")


@dataclass(eq=False, slots=True)
class Ring:
    """One call to a person's telephone. Times are Unix seconds."""

    began: float
    agent_at: float | None = None
    ended: float | None = None


class CalledBack:
    """Watches the simulated network for calls from the PBX to the public's numbers."""

    def __init__(self, ami: AmiClient, trunk: str = "pbx") -> None:
        self._prefix = f"PJSIP/{trunk}-"
        self._open: dict[str, Ring] = {}
        self._rings: defaultdict[str, list[Ring]] = defaultdict(list)
        self._undo = [
            ami.subscribe(["Newchannel"], self._rang),
            ami.subscribe(["DTMFBegin", "DTMFEnd"], self._heard),
            ami.subscribe(["Hangup"], self._gone),
        ]

    def close(self) -> None:
        for undo in self._undo:
            undo()

    @property
    def open(self) -> int:
        return len(self._open)

    @property
    def talking(self) -> int:
        return sum(ring.agent_at is not None for ring in self._open.values())

    @property
    def rings(self) -> Mapping[str, list[Ring]]:
        """By number."""
        return self._rings

    def _rang(self, event: Event) -> None:
        number = event.get("Exten")
        if event.get("Channel").startswith(self._prefix) and _NUMBER.fullmatch(number):
            ring = Ring(time.time())
            self._open[event.get("Uniqueid")] = ring
            self._rings[number].append(ring)

    def _heard(self, event: Event) -> None:
        ring = self._open.get(event.get("Uniqueid"))
        if (
            ring is not None
            and ring.agent_at is None
            and event.get("Digit") == AGENT_SOUND
            and event.get("Direction") == "Received"
        ):
            ring.agent_at = time.time()

    def _gone(self, event: Event) -> None:
        ring = self._open.pop(event.get("Uniqueid"), None)
        if ring is not None:
            ring.ended = time.time()


def too_often(rings: Mapping[str, list[Ring]]) -> int:
    """Numbers that were called while another call to them was going on, or again after they had
    spoken with an agent."""
    return sum(_twice(sorted(each, key=lambda ring: ring.began)) for each in rings.values())


def _twice(rings: list[Ring]) -> bool:
    for index, ring in enumerate(rings[1:], 1):
        for earlier in rings[:index]:
            if earlier.agent_at is not None or earlier.ended is None or earlier.ended > ring.began:
                return True
    return False
