"""Who may be called now. For now: one daily window per campaign, in one time zone.

``may_call`` is the one question; rules of places, consents and lists belong behind it.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from incident.store.attempts import Candidate

DEFAULT_HOURS = "11:00-21:00 America/New_York"
"""8:00 to 21:00 at the called party's place (47 CFR 64.1200(c)(1)) holds in all four continental
zones within this window, wherever a number is."""

_HOURS = re.compile(r"([0-2]\d:[0-5]\d)-([0-2]\d:[0-5]\d)\s+([A-Za-z0-9_+/-]+)")


class BadHours(ValueError):
    """Calling hours that cannot be used."""


@dataclass(frozen=True, slots=True)
class CallingHours:
    """Every day from ``start`` to ``end`` (not included; 24:00 is the day's end)."""

    timezone: str
    start: str
    end: str

    def __post_init__(self) -> None:
        if self.timezone != "UTC":
            try:
                ZoneInfo(self.timezone)
            except (
                KeyError,
                ValueError,
                OSError,
            ) as error:  # a name that is no zone's, or no file's
                raise BadHours(f"calling hours: no time zone {self.timezone!r}") from error
        start, end = _minutes(self.start), _minutes(self.end)
        if start >= end:
            raise BadHours(f"calling hours: {self.start} is not before {self.end}")

    @classmethod
    def parse(cls, text: str) -> CallingHours:
        """``"08:00-20:00 America/Chicago"``, or the JSON of ``to_json``. Raises BadHours."""
        if text.lstrip().startswith("{"):
            try:
                data = json.loads(text)
                return cls(str(data["timezone"]), str(data["start"]), str(data["end"]))
            except (json.JSONDecodeError, KeyError) as error:
                raise BadHours(f"calling hours: not readable: {error}") from error
        match = _HOURS.fullmatch(text.strip())
        if match is None:
            raise BadHours(f"calling hours: expected {DEFAULT_HOURS!r}, not {text!r}")
        return cls(match[3], match[1], match[2])

    def to_json(self) -> str:
        return json.dumps({"timezone": self.timezone, "start": self.start, "end": self.end})

    def __str__(self) -> str:
        return f"{self.start}-{self.end} {self.timezone}"

    def opens(self, now: float) -> float | None:
        """None while open, else when it opens next; Unix seconds."""
        zone = ZoneInfo(self.timezone) if self.timezone != "UTC" else UTC
        local = datetime.fromtimestamp(now, zone)
        minute = local.hour * 60 + local.minute
        if _minutes(self.start) <= minute < _minutes(self.end):
            return None
        day = local.date() + timedelta(days=1 if minute >= _minutes(self.end) else 0)
        opening = time(*divmod(_minutes(self.start), 60))
        return datetime.combine(day, opening, zone).timestamp()


def _minutes(clock: str) -> int:
    match = re.fullmatch(r"(\d\d):([0-5]\d)", clock)
    total = 60 * int(match[1]) + int(match[2]) if match else None
    if total is None or total > 24 * 60:
        raise BadHours(f"calling hours: {clock} is no time of day")
    return total


@dataclass(frozen=True, slots=True)
class Verdict:
    """``until``: when to ask again, Unix seconds (only where ``ok`` is false)."""

    ok: bool
    reason: str = ""
    until: float | None = None


@dataclass(frozen=True, slots=True)
class CampaignRules:
    """What a campaign allows, as far as eligibility knows it."""

    hours: CallingHours
    again: bool = False
    """See ``RetryRules.again``."""


def campaign_open(rules: CampaignRules, now: float) -> Verdict:
    """Whether anybody at all may be called now (``now``: Unix seconds)."""
    opening = rules.hours.opens(now)
    if opening is None:
        return Verdict(True)
    return Verdict(False, f"outside the calling hours {rules.hours}", opening)


def may_call(contact: Candidate, rules: CampaignRules, now: float) -> Verdict:
    """Whether this contact may be called now; a pure function of what is given.

    Nothing of a contact counts yet; laws of its place will.
    """
    del contact
    return campaign_open(rules, now)
