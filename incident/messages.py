"""The messages that services publish: each knows its topic and holds ids and counts alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar, Final, Protocol


class Message(Protocol):
    """``retain``: the broker keeps the latest for whoever comes later."""

    @property
    def topic(self) -> str:
        """Below ``breachline/``."""

    @property
    def retain(self) -> bool: ...

    def payload(self) -> Mapping[str, Any]: ...


class Publisher(Protocol):
    """What `incident.events.EventPublisher` is to its users."""

    def publish(
        self, topic_suffix: str, payload: Mapping[str, Any], *, retain: bool = False
    ) -> None: ...


def send(publisher: Publisher, message: Message) -> None:
    """Publish a typed message."""
    publisher.publish(message.topic, message.payload(), retain=message.retain)


@dataclass(frozen=True, slots=True)
class QueueSnapshot:
    """Callers waiting for one incident, by language; agents by state; ``at``: Unix seconds.

    ``longest_wait``: seconds that the caller at the head has waited, 0 when nobody waits.
    ``places``: places in line kept for people who are to be called back, by language.
    ``predicted``: seconds that somebody who came now would wait, by language: the median and the
    0.9 quantile; none where nobody is there to serve.
    """

    incident: str
    waiting: Mapping[str, int]
    agents: Mapping[str, int]
    longest_wait: float
    places: Mapping[str, int]
    predicted: Mapping[str, tuple[float, float] | None]
    at: float
    retain: ClassVar[bool] = False

    @property
    def topic(self) -> str:
        return f"incident/{self.incident}/queue"

    def payload(self) -> Mapping[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class CampaignState:
    """Where a campaign stands. ``desired`` and ``state`` differ while it converges.

    ``lines``: calls in flight; ``contacts``: number by state; ``reason``: why nothing is being
    dialled, empty while it is.
    """

    campaign: str
    incident: str
    desired: str
    state: str
    lines: int
    contacts: Mapping[str, int]
    reason: str
    at: float
    retain: ClassVar[bool] = True

    @property
    def topic(self) -> str:
        return f"campaign/{self.campaign}/state"

    def payload(self) -> Mapping[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class CallEvent:
    """Something happened to a call. ``event``: started, queued, connected, ended; for outbound
    calls also placed and answered. ``call``: Asterisk's unique id, or the attempt's id.
    ``result``: what self-service came to."""

    call: str
    event: str
    incident: str
    at: float
    direction: str = "inbound"
    language: str | None = None
    agent: str | None = None
    outcome: str | None = None
    wait_seconds: float | None = None
    campaign: str | None = None
    result: str | None = None
    retain: ClassVar[bool] = False

    @property
    def topic(self) -> str:
        return f"call/{self.call}/{self.event}"

    def payload(self) -> Mapping[str, Any]:
        return {name: value for name in _CALL_FIELDS if (value := getattr(self, name)) is not None}


_CALL_FIELDS: Final = tuple(field.name for field in fields(CallEvent))
