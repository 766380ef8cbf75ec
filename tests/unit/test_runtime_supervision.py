"""What the supervisor computes without processes: waits, records, words."""

from __future__ import annotations

from pathlib import Path

import pytest

from pbx.runtime.part import Backoff
from pbx.runtime.process import Record, describe_exit


def test_waits_double_from_a_fifth_of_a_second_to_ten() -> None:
    backoff = Backoff()
    waits = [backoff.after(0.0) for _ in range(9)]
    assert waits == [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0, 10.0, 10.0]


def test_part_that_never_comes_up_does_not_overflow() -> None:
    backoff = Backoff(deaths=5000)
    assert backoff.after(0.0) == 10.0


@pytest.mark.parametrize(("uptime", "wait"), [(29.9, 0.8), (30.0, 0.2)])
def test_half_a_minute_up_begins_anew(uptime: float, wait: float) -> None:
    backoff = Backoff()
    backoff.after(0.0)
    backoff.after(0.0)
    assert backoff.after(uptime) == wait
    assert backoff.deaths == (1 if wait == 0.2 else 3)


def test_record_survives_a_round_trip(tmp_path: Path) -> None:
    record = Record(42, 1234, "boot", ("asterisk", "-f"))
    record.write(tmp_path / "asterisk.json")
    assert Record.read(tmp_path / "asterisk.json") == record
    assert [file.name for file in tmp_path.iterdir()] == ["asterisk.json"]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": 1}', '{"pid": "x", "started": 1}'])
def test_what_is_no_record_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "one.json").write_text(text)
    assert Record.read(tmp_path / "one.json") is None


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (None, "ended"),
        (0, "ended with exit code 0"),
        (-9, "ended by SIGKILL"),
        (-250, "ended by signal 250"),
    ],
)
def test_exit_codes_in_words(code: int | None, words: str) -> None:
    assert describe_exit(code) == words
