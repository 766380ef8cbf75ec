"""What an incident's plan says about too many callers: limits, and an outsourcer who helps."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from incident.plan.document import read
from incident.plan.problems import PlanError, suggestion
from incident.plan.values import E164, Slug

Passed = Literal["reference", "language", "number"]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Overflow(_Part):
    """A share of the callers who want an agent is sent to an outsourcer while the wait is long.

    ``carrier``: the outsourcer's trunk, by its name in ``breachline.toml``; ``number``: what is
    dialled there, the only number outside that an inbound call can reach. ``share`` of the
    callers, while the predicted wait (its median) is over ``when_wait_over`` seconds.
    ``answer_within``: seconds until the caller comes back to the own line. ``pass``: what the
    contract lets the outsourcer know of a caller; nothing else is told.
    """

    carrier: Slug
    number: E164
    share: float = Field(gt=0, le=1)
    when_wait_over: int = Field(ge=0, le=14_400)
    answer_within: int = Field(20, ge=5, le=120)
    passed: tuple[Passed, ...] = Field((), alias="pass")


class Load(_Part):
    """From where on an incident counts as busy (the dialer gives way) and as too busy for more
    callers in line (they hear the essentials and may leave a number).

    ``..._wait``: the predicted wait of a new caller in seconds, its median; ``..._channels``:
    calls of the incident on one machine. None: never for this reason.
    """

    busy_wait: int | None = Field(180, ge=1, le=86_400)
    shed_wait: int | None = Field(None, ge=1, le=86_400)
    busy_channels: int | None = Field(None, ge=1, le=20_000)
    shed_channels: int | None = Field(None, ge=1, le=20_000)

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        for what in ("wait", "channels"):
            busy, shed = getattr(self, f"busy_{what}"), getattr(self, f"shed_{what}")
            if busy is not None and shed is not None and shed < busy:
                raise ValueError(f"shed_{what} ({shed}) is below busy_{what} ({busy})")
        return self


def require_carrier(
    text: str, source: str, overflow: Overflow | None, known: Iterable[str]
) -> None:
    """The plan's trunk must be one of the outbound carriers of the system that it runs on.

    ``text``: the plan as it was written, ``source``: its name. Raises PlanError.
    """
    carriers = sorted(known)
    if overflow is None or overflow.carrier in carriers:
        return
    there = suggestion(overflow.carrier, carriers) if carriers else "; there is none yet"
    message = f"breachline.toml has no outbound carrier {overflow.carrier!r}{there}"
    raise PlanError(source, [read(text, source).problem(("overflow", "carrier"), message)])
