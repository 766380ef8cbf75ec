"""The shape of an incident plan. What must hold between its parts is in ``rules``."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from incident.plan.hours import Hours
from incident.plan.overflow import Load, Overflow
from incident.plan.values import (
    E164,
    Filled,
    IsoDate,
    Key,
    LanguageCode,
    Localised,
    Name,
    Site,
    Slug,
    TextName,
)

Flow = Literal[
    "affected",
    "genuine",
    "enrolment",
    "callback",
    "minor",
    "deceased",
    "mistake",
    "stop_calls",
    "relay",
]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Organisation(_Part):
    """``name`` as written; ``spoken`` as a synthesiser or an agent says it."""

    name: Filled = Field(max_length=200)
    spoken: Localised


class Dates(_Part):
    """When the exposure took place, was discovered and determined to need notice.

    ``notice_by``: the organisation's own date for the last notice, if it set one.
    """

    occurred_from: IsoDate
    occurred_to: IsoDate
    discovered: IsoDate
    determined: IsoDate
    notice_by: IsoDate | None = None


class DataType(_Part):
    """``label``: what was exposed. ``advice``: what its owner should do, in a sentence or two.
    ``other``: what was exposed, said of a child or of someone who has died."""

    label: Localised
    advice: Localised
    other: Localised | None = None


class Enrolment(_Part):
    """Free credit monitoring: ``months`` of it, enrolled with a code by ``enrol_by``."""

    provider: Filled
    months: int = Field(ge=1, le=240)
    enrol_by: IsoDate
    phone: E164
    website: Site


class Choice(_Part):
    """What one key does: exactly one of these."""

    answer: Name | None = None
    menu: Name | None = None
    flow: Flow | None = None
    agent: bool = False

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        given = [self.answer, self.menu, self.flow, self.agent or None]
        if sum(item is not None for item in given) != 1:
            raise ValueError("a choice is exactly one of answer, menu, flow or agent: true")
        return self


class Menu(_Part):
    """``choices``: keys "0" to "9"; star (repeat) and pound (back) are built in."""

    prompt: Localised
    choices: dict[Key, Choice] = Field(min_length=1)


class AgentScript(_Part):
    """What an agent reads, in order. ``what_to_do``: by data type."""

    opening: Localised
    verification: Localised
    apology: Localised
    what_happened: Localised
    what_to_do: dict[Name, Localised]
    closing: Localised


Direction = Literal["inbound", "outbound"]


class Plan(_Part):
    """One incident: everything that differs from any other incident.

    ``languages`` in the order of their keys: the first is key 1.
    """

    incident: Slug
    organisation: Organisation
    did: E164
    callback_number: E164
    languages: tuple[LanguageCode, ...] = Field(min_length=1, max_length=9)
    dates: Dates
    hours: Hours
    data_types: dict[Name, DataType] = Field(min_length=1)
    enrolment: Enrolment
    menus: dict[Name, Menu]
    answers: dict[Name, Localised]
    scripts: dict[Direction, AgentScript]
    texts: dict[TextName, Localised]
    load: Load = Load()
    overflow: Overflow | None = None
