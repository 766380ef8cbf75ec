"""The opening lines: what strangers can put into them, and what comes out."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pbx.agi import AgiRequest, BadRequest
from pbx.agi.request import clean, parse_request
from tests.scripted_agi import opening_lines


def parse(opening: bytes) -> AgiRequest:
    return parse_request(opening.splitlines()[:])


def test_what_asterisk_sends() -> None:
    request = parse(opening_lines("hotline?incident=nw&x=", args=("one two", "b")))
    assert request.script == "hotline"
    assert dict(request.query) == {"incident": "nw", "x": ""}
    assert request.args == ("one two", "b")
    assert request.channel == "PJSIP/carrier-probe-00000001"
    assert request.unique_id == "1795465328.79"
    assert request.caller_number == "+18005550123"
    assert request.caller_name == ""
    assert not request.caller_withheld
    assert request.dialled == "18005550199"
    assert (request.extension, request.context, request.language) == (
        "18005550199",
        "inbound",
        "en",
    )


@pytest.mark.parametrize("absent", ["unknown", "Anonymous", "", "restricted"])
def test_an_absent_number_is_empty(absent: str) -> None:
    assert parse(opening_lines(caller=absent)).caller_number == ""


def test_a_withheld_number_is_marked() -> None:
    opening = opening_lines().replace(b"agi_callingpres: 0", b"agi_callingpres: 35")
    assert parse(opening).caller_withheld
    unavailable = opening_lines().replace(b"agi_callingpres: 0", b"agi_callingpres: 67")
    assert not parse(unavailable).caller_withheld


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        ("José".encode(), "José"),
        ("José".encode("latin-1"), "José"),
        (b"\x1b[31mEve\x07  Mallory\x00", "[31mEve Mallory"),
        ("\u202eevil\u2066".encode(), "evil"),
        (b"x" * 500, "x" * 80),
        (b"\xff\xfe\x80", "ÿþ"),
    ],
)
def test_caller_names_become_printable_text(raw: bytes, name: str) -> None:
    opening = opening_lines(name="NAME").replace(b"NAME", raw)
    assert parse_request(opening.split(b"\n")).caller_name == name


@pytest.mark.parametrize("name", ["agi_arg_1", "agi_uniqueid", "agi_request"])
def test_a_request_that_says_a_name_twice_is_refused(name: str) -> None:
    forged = f"agi_callerid: 1\n{name}: other\n".encode()
    opening = opening_lines(args=("northwind",)).replace(b"agi_callerid: ", forged + b"x: ", 1)
    assert f"{name}: other".encode() in opening
    with pytest.raises(BadRequest):
        parse(opening)


def test_lines_that_are_not_agi_are_not_requests() -> None:
    with pytest.raises(BadRequest):
        parse_request([b"GET / HTTP/1.1", b"Host: agi_request"])
    with pytest.raises(BadRequest):
        parse_request([])


def test_a_query_of_very_many_fields_is_refused() -> None:
    with pytest.raises(BadRequest):
        parse(opening_lines("hotline?" + "&".join(f"a{n}=1" for n in range(200))))


@given(st.binary(max_size=400))
def test_any_bytes_are_a_request_or_a_bad_request(noise: bytes) -> None:
    lines = noise.split(b"\n")
    with suppress(BadRequest):
        parse_request(lines)
    request = parse_request([b"agi_network_script: hotline", *lines])
    assert request.script == "hotline"
    for text in (request.caller_name, request.caller_number, *request.args, *request.query):
        assert text == "" or text.isprintable()


@given(st.text(max_size=300), st.integers(1, 90))
def test_clean_text_is_printable_bounded_and_stays_as_it_is(text: str, limit: int) -> None:
    cleaned = clean(text, limit)
    assert len(cleaned) <= limit
    assert cleaned == "" or cleaned.isprintable()
    assert clean(cleaned, limit) == cleaned
