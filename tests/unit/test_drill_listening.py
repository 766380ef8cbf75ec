"""What counts as silence on a line, and that only time without sound does."""

from __future__ import annotations

import pytest

from drill.listening import LOUD_SAMPLES, PCMA, PCMU, Ears, Gap, is_sound

PORT = 14000


def ears(*sounds: float, end: float, begin: float = 0.0) -> list[Gap]:
    book = Ears(2.0)
    book.begin(PORT, begin)
    for at in sounds:
        book.sound(PORT, at)
    return book.end(PORT, end)


def test_sound_every_second_is_no_silence() -> None:
    assert ears(1, 2, 3, 4, end=5) == []


def test_a_gap_in_the_middle_has_its_begin_and_its_length() -> None:
    assert ears(1, 2, 5.5, 6, end=7) == [Gap(2, 3.5)]


def test_nothing_after_the_answer_and_nothing_before_the_end_are_gaps_too() -> None:
    assert ears(3, end=10) == [Gap(0, 3), Gap(3, 7)]


def test_no_sound_at_all_is_one_gap_as_long_as_the_call() -> None:
    assert ears(end=4, begin=1) == [Gap(1, 3)]


def test_two_seconds_exactly_are_not_over_two_seconds() -> None:
    assert ears(2, 4, end=6) == []


def test_sound_from_before_the_answer_does_not_count() -> None:
    assert ears(1, end=13, begin=10) == [Gap(10, 3)]


def test_lines_that_nobody_listens_to_are_passed_over() -> None:
    book = Ears(2.0)
    book.sound(PORT, 1)
    assert book.end(PORT, 9) == []
    book.begin(PORT, 10)
    book.sound(PORT + 2, 11)
    assert book.end(PORT, 13) == [Gap(10, 3)]


def test_a_port_that_is_used_again_begins_anew() -> None:
    book = Ears(2.0)
    book.begin(PORT, 0)
    assert book.end(PORT, 5) == [Gap(0, 5)]
    book.begin(PORT, 20)
    assert book.end(PORT, 21) == []


def test_how_long_a_line_is_quiet() -> None:
    book = Ears(2.0)
    book.begin(PORT, 10)
    book.sound(PORT, 11)
    assert book.quiet(PORT, 11.5) == 0.5
    assert book.quiet(PORT + 2, 11.5) == 0


@pytest.mark.parametrize(
    ("kind", "silence"), [(PCMU, b"\xff"), (PCMU, b"\x7e"), (PCMA, b"\xd5"), (PCMA, b"\x54")]
)
def test_silence_and_the_faintest_noise_are_no_sound(kind: int, silence: bytes) -> None:
    assert not is_sound(kind, silence * 160)


@pytest.mark.parametrize(
    ("kind", "silence", "loud"), [(PCMU, b"\xff", b"\x90"), (PCMA, b"\xd5", b"\xaa")]
)
def test_a_few_loud_samples_make_a_sound(kind: int, silence: bytes, loud: bytes) -> None:
    assert is_sound(kind, loud * LOUD_SAMPLES + silence * 152)
    assert not is_sound(kind, loud * (LOUD_SAMPLES - 1) + silence * 153)
    assert not is_sound(kind, b"")
