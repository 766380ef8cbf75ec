"""Command lines, against a model of how Asterisk takes a line apart."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pbx.agi import InvalidArgument
from pbx.agi.quoting import MAX_LINE, command_line, escape_digits, quote, variable_name


def asterisk_words(line: str) -> list[str]:
    """What Asterisk's AGI reader makes of a line: backslash frees the next character, quotes
    switch, spaces outside them part."""
    words: list[str] = []
    quoted = escaped = False
    between = True
    for char in line:
        if char == '"' and not escaped:
            quoted = not quoted
            if quoted and between:
                words.append("")
                between = False
        elif char in " \t" and not quoted and not escaped:
            between = True
        elif char == "\\" and not escaped:
            escaped = True
            continue
        else:
            if between:
                words.append("")
                between = False
            words[-1] += char
        escaped = False
    return words


@given(st.lists(st.text(max_size=60), max_size=6))
def test_whatever_the_values_one_line_goes_out_and_comes_back_whole(values: list[str]) -> None:
    try:
        line = command_line("SET VARIABLE", *values)
    except InvalidArgument:
        return
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert not set(line[:-1]) & {*range(32), 127}
    assert len(line) <= MAX_LINE
    assert asterisk_words(line[:-1].decode()) == ["SET", "VARIABLE", *values]


@given(st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")), max_size=200))
def test_printable_text_is_never_refused(value: str) -> None:
    assert asterisk_words(quote(value)) == [value]


@pytest.mark.parametrize(
    "value", ["a\nHANGUP", "a\rHANGUP", "a\0b", "\x1b[2J", "tab\there", "\x7f", "\x85", "\u2028"]
)
def test_control_characters_are_refused(value: str) -> None:
    with pytest.raises(InvalidArgument):
        command_line("SET VARIABLE", "X", value)


def test_text_that_is_no_text_is_refused() -> None:
    with pytest.raises(InvalidArgument):
        command_line("SET VARIABLE", "X", "\udc80")


def test_a_line_that_asterisk_would_read_in_two_pieces_is_refused() -> None:
    longest = MAX_LINE - len(b"SET VARIABLE X \n")
    assert len(command_line("SET VARIABLE", "X", "y" * longest)) == MAX_LINE
    with pytest.raises(InvalidArgument):
        command_line("SET VARIABLE", "X", "y" * (longest + 1))


def test_empty_and_number_arguments() -> None:
    assert command_line("STREAM FILE", "/p/a b", "") == b'STREAM FILE "/p/a b" ""\n'
    assert command_line("GET DATA", "/p/a-b.c", 5000, 3) == b"GET DATA /p/a-b.c 5000 3\n"


def test_escape_digits_are_keys() -> None:
    assert escape_digits("0123456789*#") == "0123456789*#"
    with pytest.raises(InvalidArgument):
        escape_digits("1 2")


@pytest.mark.parametrize("name", ["BL_NEXT", "__BL_CALL", "CALLERID(num)", "CDR(user field)"])
def test_variable_names(name: str) -> None:
    assert variable_name(name) == name


@pytest.mark.parametrize("name", ["", "1A", "A B", "A}", "${A}", "A(${B})", "SHELL(a;b)", "A)"])
def test_what_is_no_variable_name(name: str) -> None:
    with pytest.raises(InvalidArgument):
        variable_name(name)
