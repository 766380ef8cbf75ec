"""Against abuse of what strangers may ask for: calls to any number, or none to somebody's.

Whoever calls may leave a number. Without bounds, one caller could have many strangers called, or
their notices stopped; and numbers of some countries pay whoever owns them for every call that they
get (international revenue share fraud).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import phonenumbers

from incident.settings import CallbackSettings

HOUR: Final = 3600.0
DAY: Final = 24 * HOUR


@dataclass(frozen=True, slots=True)
class BookingLimits:
    """As ``[callbacks]`` of breachline.toml has them (``CallbackSettings``)."""

    regions: frozenset[str]
    others_a_day: int
    number_a_day: int
    unknown_an_hour: int

    @classmethod
    def of(cls, settings: CallbackSettings) -> BookingLimits:
        return cls(
            regions=frozenset(settings.regions),
            others_a_day=settings.others_a_day,
            number_a_day=settings.number_a_day,
            unknown_an_hour=settings.unknown_an_hour,
        )

    def reaches(self, e164: str) -> bool:
        """Whether a stranger may have this number called: by where it is."""
        number = phonenumbers.parse(e164)
        return phonenumbers.region_code_for_number(number) in self.regions
