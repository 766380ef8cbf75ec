"""The small values that a plan is made of: names, dates, telephone numbers, languages."""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated, Any, Final

import phonenumbers
from pydantic import AfterValidator, BeforeValidator, StringConstraints

_ISO_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}")
_EXCHANGE_976: Final = re.compile(r"\+1(?!8(?:00|33|44|55|66|77|88))\d{3}976\d{4}")
"""Sold by the call in every area code of North America (toll-free ones have no such exchange);
the library takes these for ordinary numbers."""
_SITE: Final = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,}(?:/[a-z0-9/-]*)?")


def _iso_date(value: Any) -> Any:
    if isinstance(value, date):
        return value
    if not isinstance(value, str) or not _ISO_DATE.fullmatch(value):
        raise ValueError(f"{value!r} is not a date; write year-month-day, for example 2026-09-03")
    try:
        return date.fromisoformat(value)
    except ValueError as error:
        raise ValueError(f"{value!r} is not a day of the calendar") from error


def check_e164(value: str) -> str:
    """``value`` when it is a telephone number in E.164 (+18005550199) that costs its callers no
    more than the call, else ValueError."""
    if not re.fullmatch(r"\+[1-9]\d{6,14}", value):
        raise ValueError(
            f"{value!r} is not in E.164 form: a plus sign, the country code and the number, "
            "digits only, for example +18005550199"
        )
    try:
        number = phonenumbers.parse(value)
    except phonenumbers.NumberParseException as error:
        raise ValueError(f"{value!r} has no known country code") from error
    if not phonenumbers.is_valid_number(number):
        raise ValueError(f"{value!r} is not a number that its country's plan allows")
    kind = phonenumbers.number_type(number)
    if kind == phonenumbers.PhoneNumberType.PREMIUM_RATE or _EXCHANGE_976.fullmatch(value):
        raise ValueError(
            f"{value!r} is a premium rate number: whoever calls it pays for more than the call; "
            "use a toll-free or an ordinary number"
        )
    return value


def check_site(value: str) -> str:
    """``value`` when it is a web site as people say it (``example.com``), else ValueError."""
    if not _SITE.fullmatch(value):
        raise ValueError(f"{value!r} is not a web site; write it without https:// in small letters")
    return value


def _keyed(value: str) -> str:
    if not re.fullmatch(r"[0-9]", value):
        raise ValueError(f"{value!r} is not a key from 0 to 9 (* repeats and # goes back, always)")
    return value


def _filled(value: str) -> str:
    if not value.strip():
        raise ValueError("the text is empty")
    return value


IsoDate = Annotated[date, BeforeValidator(_iso_date)]
E164 = Annotated[str, AfterValidator(check_e164)]
Site = Annotated[str, AfterValidator(check_site)]
Key = Annotated[str, AfterValidator(_keyed)]
Filled = Annotated[str, AfterValidator(_filled)]
Slug = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,31}$")]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,40}$")]
"""Of a menu, an answer, a data type."""
TextName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*(\.[a-z0-9_]+)*$")]
LanguageCode = Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}$")]
Localised = dict[LanguageCode, Filled]
"""Language to text."""
