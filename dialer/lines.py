"""Calls in flight, as far as this process knows them, and places kept for those to come."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from dialer.outcomes import Facts
from incident.store.attempts import OpenAttempt
from pbx import names


@dataclass(slots=True)
class Line:
    """One attempt under way. ``placed``: monotonic seconds; ``..._at``: Unix seconds.

    ``ring_seconds``: how long it rings at most.
    ``link``: number of the AMI link that its Originate went out on; 0 for one that an earlier
    process placed. ``doubtful``: sent, and nothing of it was seen yet.
    """

    id: str
    campaign: str
    incident: str
    language: str
    carrier: str
    placed: float
    ring_seconds: int = 120
    link: int = 0
    doubtful: bool = False
    answered_at: float | None = None
    connected_at: float | None = None
    agent: str | None = None
    machine: bool = False
    abandoned: bool = False
    waiting_ended: bool = False
    rang: bool = False
    responded: bool = False
    originate_failed: bool = False
    reason: int | None = None
    ended: bool = False
    cause: int | None = None
    tech_cause: str = ""
    dial_status: str = ""

    @property
    def queue(self) -> str:
        return names.queue(self.incident, self.language)

    @property
    def waits(self) -> bool:
        """Answered, and neither connected nor given up."""
        return (
            self.answered_at is not None
            and self.connected_at is None
            and not self.abandoned
            and not self.ended
        )

    @property
    def ringing(self) -> bool:
        return self.answered_at is None and not self.ended and not self.originate_failed

    def facts(self) -> Facts:
        return Facts(
            answered=self.answered_at is not None,
            connected=self.connected_at is not None,
            machine=self.machine,
            abandoned=self.abandoned,
            waiting_ended=self.waiting_ended,
            ended=self.ended,
            rang=self.rang,
            originate_failed=self.originate_failed,
            reason=self.reason,
            cause=self.cause,
            tech_cause=self.tech_cause,
            dial_status=self.dial_status,
        )

    @classmethod
    def restored(cls, attempt: OpenAttempt) -> Line:
        """What the store knows of an attempt that another process, or another link, placed."""
        age = max(0.0, time.time() - attempt.created_at)
        return cls(
            id=attempt.id,
            campaign=attempt.campaign,
            incident=attempt.incident,
            language=attempt.language,
            carrier=attempt.carrier,
            placed=time.monotonic() - age,
            answered_at=attempt.answered_at,
            connected_at=attempt.connected_at,
            agent=attempt.agent,
            machine=attempt.detail == "machine",
            abandoned=attempt.detail == "abandoned",
        )


class Lines:
    """The calls in flight by attempt. Kept places count as ringing lines."""

    def __init__(self) -> None:
        self._lines: dict[str, Line] = {}
        self._kept: Counter[tuple[str, str, str]] = Counter()

    def __iter__(self) -> Iterator[Line]:
        return iter(tuple(self._lines.values()))

    def __len__(self) -> int:
        return len(self._lines)

    def get(self, attempt: str) -> Line | None:
        return self._lines.get(attempt)

    def add(self, line: Line) -> None:
        self._lines[line.id] = line

    def remove(self, attempt: str) -> Line | None:
        return self._lines.pop(attempt, None)

    def keep(self, campaign: str, carrier: str, queue: str, number: int) -> None:
        """Keep places for calls that are about to be placed (negative: let go of them)."""
        self._kept[campaign, carrier, queue] += number

    def of_campaign(self, campaign: str) -> int:
        kept = sum(number for key, number in self._kept.items() if key[0] == campaign)
        return kept + sum(1 for line in self._lines.values() if line.campaign == campaign)

    def of_carrier(self, carrier: str) -> int:
        kept = sum(number for key, number in self._kept.items() if key[1] == carrier)
        return kept + sum(1 for line in self._lines.values() if line.carrier == carrier)

    def queues(self) -> frozenset[str]:
        """Those that any call, or kept place, belongs to."""
        kept = {key[2] for key, number in self._kept.items() if number > 0}
        return frozenset(kept | {line.queue for line in self._lines.values()})

    def ringing(self, queue: str, now: float) -> tuple[float, ...]:
        """Ages in seconds of the lines of a queue that have not answered."""
        kept = sum(number for key, number in self._kept.items() if key[2] == queue)
        ages = [
            max(0.0, now - line.placed)
            for line in self._lines.values()
            if line.ringing and line.queue == queue
        ]
        return tuple(ages) + (0.0,) * kept
