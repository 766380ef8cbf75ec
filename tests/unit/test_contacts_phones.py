"""Telephone numbers: the fast way says exactly what phonenumbers says."""

from __future__ import annotations

import random
import re

import phonenumbers
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from phonenumbers import PhoneMetadata, PhoneNumberFormat, PhoneNumberType

from incident.contacts import phones
from incident.contacts.phones import BadPhone, to_e164

AREA_CODES = sorted(
    area
    for area in (f"{number:03d}" for number in range(200, 1000))
    if phonenumbers.is_valid_number(phonenumbers.parse(f"+1{area}2345678"))
)

REFUSED = {
    PhoneNumberType.PREMIUM_RATE,
    PhoneNumberType.SHARED_COST,
    PhoneNumberType.PERSONAL_NUMBER,
}


def leading_digits(region: str) -> str | None:
    metadata = PhoneMetadata.metadata_for_region(region)
    assert metadata is not None
    lead: str | None = metadata.leading_digits
    return lead


def by_the_library(raw: str) -> str | None:
    try:
        number = phonenumbers.parse(raw, "US")
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_valid_number(number) or number.extension or len(raw) > phones.MAX_PHONE:
        return None
    if phonenumbers.number_type(number) in REFUSED:
        return None
    if phonenumbers.region_code_for_number(number) == "001" and number.country_code != 800:
        return None
    return phonenumbers.format_number(number, PhoneNumberFormat.E164)


def ours(raw: str) -> str | None:
    try:
        return to_e164(raw)
    except BadPhone:
        return None


@pytest.mark.parametrize(
    "raw",
    [
        "900 222 0123",
        "+1 500 222 0123",
        "+44 909 879 0123",
        "+44 70 1234 5678",
        "+870 773 111 632",
        "+881 612 345 678",
        "+979 123 456 789",
    ],
)
def test_a_number_that_costs_whoever_calls_it_is_refused(raw: str) -> None:
    assert phonenumbers.is_valid_number(phonenumbers.parse(raw, "US"))
    with pytest.raises(BadPhone, match="never called"):
        to_e164(raw)


@pytest.mark.parametrize("raw", ["+880 2 7111234", "+886 2 2345 6789", "+971 2 234 5678"])
def test_countries_whose_codes_are_near_stay(raw: str) -> None:
    assert to_e164(raw) == "+" + re.sub(r"\D", "", raw)


@given(st.text("0123456789 +-.()", min_size=6, max_size=20))
@example("12125550123")
@example("+1 (212) 555-0123")
@example("2125550123+")
@example("(+1) 212 555 0123")
@example("+11 212 555 0123")
@example("1 1 212 555 0123")
def test_any_writing_of_digits_gives_what_the_library_gives(raw: str) -> None:
    assert ours(raw) == by_the_library(raw)


@given(
    st.sampled_from(
        ["{}{}{}", "({}) {}-{}", "{}-{}-{}", "1-{}-{}-{}", "+1 {} {} {}", "+1{}.{}.{}"]
    ),
    st.one_of(st.sampled_from(AREA_CODES), st.integers(0, 999).map("{:03d}".format)),
    st.integers(0, 999).map("{:03d}".format),
    st.integers(0, 9999).map("{:04d}".format),
)
@settings(max_examples=1000)
def test_north_american_numbers_give_what_the_library_gives(
    form: str, area: str, exchange: str, line: str
) -> None:
    raw = form.format(area, exchange, line)
    assert ours(raw) == by_the_library(raw)


def test_each_area_code_agrees_with_the_library_throughout() -> None:
    drawn = random.Random(1)
    for area in range(1000):
        for _ in range(6):
            raw = f"+1{area:03d}{drawn.randrange(10**7):07d}"
            assert ours(raw) == by_the_library(raw), area


def test_islands_whose_ranges_are_short_agree_in_each_block() -> None:
    regions = phonenumbers.COUNTRY_CODE_TO_REGION_CODE[1]
    leads = " ".join(leading_digits(region) or "" for region in regions)
    areas = {*re.findall(r"\d{3}", leads), "809", "829", "849"}
    assert len(areas) > 20
    for area in sorted(areas):
        for block in range(200, 1000, 3):
            raw = f"{area}{block}{block % 10}123"
            assert ours(raw) == by_the_library(raw), (area, block)


def test_no_region_looks_at_more_leading_digits_than_we_do() -> None:
    for region in phonenumbers.COUNTRY_CODE_TO_REGION_CODE[1]:
        lead = leading_digits(region)
        if lead is not None:
            plain = re.sub(r"\[[^]]*\]", "0", lead)
            assert re.fullmatch(r"[\d|]+", plain), f"{region}: a new kind of pattern, {lead}"
            assert max(len(part) for part in plain.split("|")) <= phones._LEADING


@given(st.text(max_size=30))
def test_any_text_gives_what_the_library_gives(raw: str) -> None:
    assert ours(raw) == by_the_library(raw)


@pytest.mark.parametrize(
    ("raw", "e164"),
    [
        ("(202) 555-0143", "+12025550143"),
        ("202.555.0143", "+12025550143"),
        ("1 202 555 0143", "+12025550143"),
        ("+1-800-555-0199", "+18005550199"),
        ("２０２５５５０１４３", "+12025550143"),
        ("+44 20 7946 0018", "+442079460018"),
        ("tel:+1-202-555-0143", "+12025550143"),
    ],
)
def test_usual_writings(raw: str, e164: str) -> None:
    assert to_e164(raw) == e164


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        ("202 055 0143", "valid"),
        ("911", "valid"),
        ("202-555-014", "valid"),
        ("unknown", "not a telephone number"),
        ("202-555-0143 ext. 12", "extension"),
        ("2" * 400, "longer"),
    ],
)
def test_a_refusal_says_why_and_not_which_number(raw: str, reason: str) -> None:
    with pytest.raises(BadPhone, match=reason) as caught:
        to_e164(raw)
    assert raw not in str(caught.value)
