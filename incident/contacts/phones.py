"""Telephone numbers to E.164, exactly as phonenumbers does it, and fast for North America.

``phonenumbers`` takes some 30 µs a number. A North American number written in one of the usual
ways needs no parser, and whether it is valid is decided by the library's own patterns, joined
into one expression for each set of regions that the library would ask (``_valid_nanp``). Every
other number goes through the library itself; a property test holds that both give the same.
"""

from __future__ import annotations

import functools
import re

import phonenumbers
from phonenumbers import PhoneMetadata, PhoneNumberDesc, PhoneNumberFormat, PhoneNumberType

DEFAULT_REGION = "US"
MAX_PHONE = 40
_PUNCTUATION = str.maketrans("", "", " -.()")
_COUNTRY = 1
_NATIONAL_DIGITS = 10
_LEADING = 4
"""No region's "leading digits" pattern looks further than this; a test holds it."""

_REFUSED_TYPES = frozenset(
    {
        PhoneNumberType.PREMIUM_RATE,
        PhoneNumberType.SHARED_COST,
        PhoneNumberType.PERSONAL_NUMBER,
    }
)
_REFUSED_CODES = re.compile(r"87[0-9]|88[1238]|808|979")
"""Satellites, international networks, shared cost and premium rate (ITU-T E.164's list)."""
_EXPENSIVE = "is a premium-rate, shared-cost, personal or satellite number, which is never called"


class BadPhone(ValueError):
    """Not a number that can be dialled; the message says why and never holds the number."""


def to_e164(raw: str) -> str:
    """A number as written, to E.164; numbers without country are North American.

    Raises BadPhone, also for valid numbers that cost whoever calls them: a stranger may leave
    one as the number to be called back.
    """
    digits = raw.translate(_PUNCTUATION)
    length = len(digits)
    if length == 12 and digits.startswith("+1"):
        digits = digits[2:]
    elif length == 11 and digits[0] == "1":
        digits = digits[1:]
    elif length != _NATIONAL_DIGITS:
        return _parsed(raw)
    if digits.isdecimal() and digits.isascii() and digits[0] not in "01":
        if found := _valid_nanp(digits[:_LEADING]).fullmatch(digits):
            if found.lastindex is not None:
                raise BadPhone(_EXPENSIVE)
            return "+1" + digits
        raise BadPhone("is not a valid telephone number")
    return _parsed(raw)


def _parsed(raw: str) -> str:
    if len(raw) > MAX_PHONE:
        raise BadPhone(f"is longer than {MAX_PHONE} characters")
    try:
        number = phonenumbers.parse(raw, DEFAULT_REGION)
    except phonenumbers.NumberParseException as error:
        raise BadPhone("is not a telephone number") from error
    if not phonenumbers.is_valid_number(number):
        raise BadPhone("is not a valid telephone number")
    if number.extension:
        raise BadPhone("has an extension, which cannot be dialled")
    if (
        _REFUSED_CODES.fullmatch(str(number.country_code))
        or phonenumbers.number_type(number) in _REFUSED_TYPES
    ):
        raise BadPhone(_EXPENSIVE)
    return phonenumbers.format_number(number, PhoneNumberFormat.E164)


@functools.cache
def _valid_nanp(leading: str) -> re.Pattern[str]:
    """What a valid number with these leading digits looks like; one that is never called
    matches in a group.

    The library asks the regions of country code 1 in order. One without "leading digits" has
    the number when one of its types matches; the first whose leading digits match decides.
    """
    asked = []
    for region in phonenumbers.COUNTRY_CODE_TO_REGION_CODE[_COUNTRY]:
        lead = _leading_digits(region)
        if lead is None:
            asked.append(region)
        elif re.match(lead, leading):
            asked.append(region)
            break
    return _any_type(tuple(asked))


def _metadata(region: str) -> PhoneMetadata:
    metadata = PhoneMetadata.metadata_for_region(region)
    if metadata is None:
        raise LookupError(f"phonenumbers knows no metadata of region {region}")
    return metadata


def _leading_digits(region: str) -> str | None:
    lead = _metadata(region).leading_digits
    return None if lead is None else f"(?:{lead})"


@functools.cache
def _any_type(regions: tuple[str, ...]) -> re.Pattern[str]:
    branches = []
    for region in regions:
        metadata = _metadata(region)
        refused = _patterns(metadata.premium_rate, metadata.shared_cost, metadata.personal_number)
        others = _patterns(
            metadata.fixed_line,
            metadata.mobile,
            metadata.toll_free,
            metadata.voip,
            metadata.pager,
            metadata.uan,
            metadata.voicemail,
        )
        general = metadata.general_desc
        if general is None or general.national_number_pattern is None:
            raise LookupError(f"phonenumbers knows no numbers of region {region}")
        # In the library's order: the first region that knows the number says what it is.
        either = f"({refused})|{others}" if refused else others
        branches.append(f"(?=(?:{general.national_number_pattern})$)(?:{either})")
    return re.compile("|".join(f"(?:{branch})" for branch in branches), re.ASCII)


def _patterns(*kinds: PhoneNumberDesc | None) -> str:
    patterns = dict.fromkeys(
        kind.national_number_pattern
        for kind in kinds
        if kind is not None and kind.national_number_pattern
    )
    return "|".join(f"(?:{pattern})" for pattern in patterns)
