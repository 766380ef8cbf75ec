"""Asterisk's answers, whole and in every odd form."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pbx.agi import AgiProtocolError
from pbx.agi.reply import Reply, ReplyReader


def read(*lines: bytes, limit: int = 65536) -> Reply:
    reader = ReplyReader(limit)
    for line in lines[:-1]:
        assert reader.feed(line) is None
        assert reader.partial
    reply = reader.feed(lines[-1])
    assert reply is not None
    assert not reader.partial
    return reply


@pytest.mark.parametrize(
    ("line", "result", "data", "endpos"),
    [
        (b"200 result=0", "0", None, None),
        (b"200 result=-1", "-1", None, None),
        (b"200 result=49 endpos=12345", "49", None, 12345),
        (b"200 result=0 endpos=0", "0", None, 0),
        (b"200 result=12 (timeout)", "12", "timeout", None),
        (b"200 result= (timeout)", "", "timeout", None),
        (b"200 result=", "", None, None),
        (b"200 result=1 (plain)", "1", "plain", None),
        (b"200 result=1 ()", "1", "", None),
        (b"200 result=1 (value with (parens))", "1", "value with (parens)", None),
        (b"200 result=1 (hangup)", "1", "hangup", None),
        (b"200 result=1 (x) endpos=5)", "1", "x) endpos=5", None),
        (b"200 result=49 (dtmf) endpos=800", "49", "dtmf", 800),
        (b"200 result=1 (caf\xe9)", "1", "café", None),
    ],
)
def test_results(line: bytes, result: str, data: str | None, endpos: int | None) -> None:
    reply = read(line)
    assert (reply.code, reply.result, reply.data, reply.endpos) == (200, result, data, endpos)


def test_a_value_of_several_lines_is_one_reply() -> None:
    assert read(b"200 result=1 (one", b"HANGUP", b"200 result=0", b"two)").data == (
        "one\nHANGUP\n200 result=0\ntwo"
    )


def test_usage_runs_to_its_end() -> None:
    reply = read(b"520-Invalid command syntax.", b"Usage: x", b"", b"520 End of proper usage.")
    assert reply.code == 520
    assert reply.text.startswith("Invalid command syntax.")
    assert read(b"520 Invalid command syntax.  Proper usage not available.").code == 520


@pytest.mark.parametrize("line", [b"", b"hello", b"200 nothing", b"99 x", b"HANGUP", b"2000 x"])
def test_what_is_no_reply(line: bytes) -> None:
    with pytest.raises(AgiProtocolError):
        ReplyReader(1000).feed(line)


def test_a_reply_has_a_bound() -> None:
    reader = ReplyReader(1000)
    reader.feed(b"520-Invalid")
    with pytest.raises(AgiProtocolError):
        for _ in range(100):
            reader.feed(b"usage and usage and")


@given(st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"]), max_size=200))
def test_any_value_comes_back(value: str) -> None:
    assert read(f"200 result=1 ({value})".encode()).data == value


@given(st.lists(st.binary(max_size=60), max_size=20))
def test_any_lines_are_replies_or_protocol_errors(lines: list[bytes]) -> None:
    reader = ReplyReader(500)
    for line in lines:
        try:
            reply = reader.feed(line.replace(b"\n", b""))
        except AgiProtocolError:
            return
        assert reply is None or 100 <= reply.code < 600


def test_a_result_that_is_no_number() -> None:
    with pytest.raises(AgiProtocolError):
        _ = read(b"200 result=abc").number
