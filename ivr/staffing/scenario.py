"""What a forecast starts from: people, days, and every assumption with its default.

Written as YAML (docs/planning.md shows one whole); every key may be left out but ``people``.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Annotated, Final, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    field_validator,
    model_validator,
)

from incident.plan.hours import DAYS, Day, Hours
from incident.plan.values import IsoDate, LanguageCode
from ivr.staffing.target import Target
from ivr.staffing.values import Count, Measure, Share, count, several

LONGEST_DAYS: Final = 400
MOST_AGENTS: Final = 50_000
_FIRST_YEAR, _LAST_YEAR = 2000, 2200

DEFAULT_HOURS: Final = Hours.model_validate(
    {
        "timezone": "America/New_York",
        "weekly": {
            **dict.fromkeys(DAYS[:5], "08:00-20:00"),
            "saturday": "09:00-17:00",
            "sunday": None,
        },
    }
)
"""Where no plan says otherwise: 8 to 20 on working days, 9 to 17 on Saturdays."""


_HOURLY: Final = (
    *(0.3, 0.2, 0.15, 0.15, 0.2, 0.4, 1.0, 2.5, 6.0, 9.0, 10.5, 10.2),
    *(9.0, 8.8, 8.8, 8.3, 7.5, 5.8, 4.0, 2.8, 1.9, 1.2, 0.7, 0.5),
)


def _a_day(value: date) -> date:
    if not _FIRST_YEAR <= value.year <= _LAST_YEAR:
        raise ValueError(f"{value} is not a day to plan for")
    return value


def _by_day(value: object) -> object:
    if isinstance(value, dict) and len(value) > LONGEST_DAYS:
        raise ValueError(f"{len(value)} days; at most {LONGEST_DAYS} can be planned")
    return value


Key = TypeVar("Key")


def whole(shares: dict[Key, float], what: str) -> dict[Key, float]:
    """Shares that make a whole, rounding mended. Raises ValueError."""
    together = sum(shares.values())
    if abs(together - 1) > 0.011:
        raise ValueError(f"{what} are together {together:.1%}, not 100 %")
    return {key: each / together for key, each in shares.items()}


def _a_crew(agents: int) -> int:
    if agents == 0:
        raise ValueError(
            "with 0 agents nobody is answered; give 1 or more, or leave it out to see how many it "
            "takes"
        )
    if agents > MOST_AGENTS:
        raise ValueError(
            f"{agents:,} agents are more than any hotline has (at most {MOST_AGENTS:,}); leave it "
            "out to see how many it takes"
        )
    return agents


ADay = Annotated[IsoDate, AfterValidator(_a_day)]
ByDay = Annotated[dict[ADay, Count], BeforeValidator(_by_day)]
Pace = Annotated[Count, Field(ge=1)]
Spread = Annotated[int, BeforeValidator(count), Field(ge=1, le=LONGEST_DAYS)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Letters(_Part):
    """Letters mailed: ``by_day``, or all people from ``first`` on over ``days`` mailing days."""

    first: ADay | None = None
    days: Spread = 3
    by_day: ByDay = Field(default_factory=dict)

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.by_day and self.first is not None:
            raise ValueError("give by_day, or first and days, not both")
        if self.by_day and max(self.by_day) - min(self.by_day) > timedelta(days=LONGEST_DAYS):
            raise ValueError(f"the days are more than {LONGEST_DAYS} days apart")
        return self


class NoticeCalls(_Part):
    """Notice by telephone. ``people``: to be called. ``per_day``: calls placed a day at most;
    none: as many as ``agents`` and ``channels`` allow.

    ``answered``: share of calls that a person answers. ``attempts``: calls to one person at most.
    ``talk_seconds``: an agent's time for an answered call, its record included.
    ``call_again``: share of those not reached who call the number that they see.
    """

    people: Count = 0
    first: ADay | None = None
    per_day: Pace | None = None
    agents: Pace | None = None
    channels: Pace | None = None
    answered: Share = 0.30
    attempts: Annotated[int, BeforeValidator(count), Field(ge=1, le=100)] = 3
    ring_seconds: Annotated[Measure, Field(ge=1, le=120)] = 22.0
    talk_seconds: Annotated[Measure, Field(ge=5, le=7200)] = 240.0
    call_again: Share = 0.08


class Response(_Part):
    """How people answer a notice.

    ``peak_share``: calls on the busiest day as a share of the people, for letters mailed on a
    Tuesday, Wednesday and Thursday. ``total``: all calls as a share of the people, instead of it.
    ``delivery``: share of letters by days in the mail. ``decay_days``: mean days from delivery to
    the call; ``late_share`` of the callers call late, after ``late_days`` on average.
    ``after_call``: calls as a share of the people who were reached by telephone.
    ``uncertainty``: standard deviation of the volume before anything is known, relative to it;
    ``day_to_day``: of one day around the forecast when the volume is known.
    ``closed``: how many call at an hour when no agent answers, relative to an open one.
    """

    peak_share: Annotated[Share, Field(ge=0.000001, le=0.2)] = 0.009
    total: Annotated[float, BeforeValidator(several), Field(ge=0.000001, le=20)] | None = None
    delivery: dict[int, Share] = Field(
        default_factory=lambda: {2: 0.20, 3: 0.40, 4: 0.25, 5: 0.15}, min_length=1, max_length=60
    )
    decay_days: Annotated[Measure, Field(ge=0.1, le=60)] = 3.0
    late_share: Share = 0.10
    late_days: Annotated[Measure, Field(ge=0.1, le=365)] = 20.0
    after_call: Share = 0.02
    uncertainty: Annotated[Measure, Field(ge=0.01, le=3)] = 0.6
    day_to_day: Annotated[Measure, Field(ge=0.01, le=1)] = 0.12
    closed: Share = 0.15
    weekdays: dict[Day, Measure] = Field(
        default_factory=lambda: dict(zip(DAYS, (1.25, 1.1, 1.0, 0.95, 0.9, 0.4, 0.2), strict=True))
    )
    hourly: tuple[Measure, ...] = Field(
        _HOURLY,
        min_length=24,
        max_length=24,
    )

    @field_validator("delivery")
    @classmethod
    def _delivered(cls, delivery: dict[int, float]) -> dict[int, float]:
        if any(not 0 <= lag <= 60 for lag in delivery):
            raise ValueError("a letter is delivered 0 to 60 days after it is mailed")
        return whole(delivery, "the shares of delivery")

    @field_validator("weekdays")
    @classmethod
    def _week(cls, weekdays: dict[Day, float]) -> dict[Day, float]:
        if missing := [day for day in DAYS if day not in weekdays]:
            raise ValueError(f"nothing for {', '.join(missing)}")
        if not any(weekdays.values()):
            raise ValueError("nobody would call on any day")
        return weekdays

    @field_validator("hourly")
    @classmethod
    def _day(cls, hourly: tuple[float, ...]) -> tuple[float, ...]:
        if not any(hourly):
            raise ValueError("nobody would call at any hour")
        return hourly


class Service(_Part):
    """Agents and callers.

    ``handle_seconds``: an agent's time for a call, its record included. ``patience_seconds``: how
    long callers wait on average before they hang up. ``self_service``: share of callers who need
    no agent; ``menu_seconds``: time in the menus. ``shrinkage``: share of paid time in which an
    agent cannot take calls (breaks, training, absence).
    """

    handle_seconds: Annotated[Measure, Field(ge=10, le=7200)] = 300.0
    patience_seconds: Annotated[Measure, Field(ge=1, le=7200)] = 180.0
    self_service: Share = 0.40
    menu_seconds: Annotated[Measure, Field(ge=0, le=3600)] = 90.0
    shrinkage: Annotated[Share, Field(le=0.9)] = 0.30


class Redials(_Part):
    """``share`` of those who hung up waiting call again, on average after ``after_minutes``."""

    share: Annotated[Share, Field(le=0.95)] = 0.5
    after_minutes: Annotated[Measure, Field(ge=1, le=1440)] = 40.0


class CallBacks(_Part):
    """``accepted``: share of those who wait ``offered_after_seconds`` and then have themselves
    called back (Hathaway and others: 37 %, of whom 7 % do not answer)."""

    accepted: Annotated[Share, Field(le=1)] = 0.37
    offered_after_seconds: Annotated[Measure, Field(ge=0, le=3600)] = 60.0
    unanswered: Annotated[Share, Field(le=0.9)] = 0.07


class Goal(_Part):
    """One of: ``service_level`` within ``within_seconds``, ``mean_wait_seconds``, ``abandoned``."""

    service_level: Annotated[Share, Field(ge=0.01, le=0.999)] | None = None
    within_seconds: Annotated[Measure, Field(ge=1, le=3600)] = 30.0
    mean_wait_seconds: Annotated[Measure, Field(ge=0.1, le=3600)] | None = None
    abandoned: Annotated[Share, Field(ge=0.0001, le=0.99)] | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        given = (self.service_level, self.mean_wait_seconds, self.abandoned)
        if sum(each is not None for each in given) > 1:
            raise ValueError("give one of service_level, mean_wait_seconds and abandoned")
        return self

    def target(self) -> Target:
        """What the forecast staffs for; without a word, 80 % within 30 s."""
        if self.mean_wait_seconds is not None:
            return Target("wait", self.mean_wait_seconds)
        if self.abandoned is not None:
            return Target("abandoned", self.abandoned)
        return Target("answered", self.service_level or 0.8, self.within_seconds)


class Scenario(_Part):
    """Everything a forecast is made from. ``people``: to notify, by letter unless said otherwise.

    ``agents``: how many there are for callers, at every open hour (those for notice calls come on
    top); none: as many as the target takes.
    ``days``: how long to look ahead from the first notice.
    """

    people: Count
    letters: Letters = Letters()
    calls: NoticeCalls = NoticeCalls()
    hours: Hours = DEFAULT_HOURS
    languages: dict[LanguageCode, Share] = Field({"en": 1.0}, min_length=1, max_length=9)
    response: Response = Response()
    service: Service = Service()
    redials: Redials = Redials()
    call_backs: CallBacks = CallBacks()
    target: Goal = Goal()
    agents: Annotated[int, BeforeValidator(count), AfterValidator(_a_crew)] | None = None
    days: Annotated[int, BeforeValidator(count), Field(ge=1, le=LONGEST_DAYS)] | None = None

    @field_validator("people")
    @classmethod
    def _somebody(cls, people: int) -> int:
        if not people:
            raise ValueError("with nobody to notify there is nothing to plan")
        return people

    @field_validator("languages")
    @classmethod
    def _shares(cls, languages: dict[str, float]) -> dict[str, float]:
        return whole(languages, "the languages' shares")

    @model_validator(mode="after")
    def _together(self) -> Self:
        if self.calls.people > self.people:
            raise ValueError(
                f"calls.people is {self.calls.people:,}, more than the {self.people:,} people"
            )
        mailed = sum(self.letters.by_day.values())
        if mailed > self.people:
            raise ValueError(f"letters.by_day mails {mailed:,} letters to {self.people:,} people")
        return self
