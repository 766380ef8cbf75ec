"""What the queue log says of call-backs, read on from where it was read before."""

from __future__ import annotations

from pathlib import Path

import pytest

from ivr import kept_log
from ivr.kept_log import KeptLogFile

TRY, OTHER = "a" * 32, "b" * 32
TOKEN = "0123456789abcdef" * 2


def line(at: float, name: str, event: str, data: str = "", agent: str = "NONE") -> str:
    return f"{at}|{name}|northwind-en|{agent}|{event}|{data}\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "queue_log"


def add(file: Path, *lines: str) -> None:
    with file.open("a", encoding="utf-8") as stream:
        stream.writelines(lines)


def test_no_log_says_nothing(file: Path) -> None:
    found = KeptLogFile(file).read()
    assert (found.since, found.tries, found.joined) == (None, {}, {})


def test_a_log_is_read_on_and_what_was_read_stays_known(file: Path) -> None:
    log = KeptLogFile(file)
    add(file, line(1, "NONE", "QUEUESTART"), line(2, TRY, "BLDIAL", TOKEN))
    first = log.read()
    assert (first.since, first.tries[TRY].dialled_at) == (1.0, 2.0)
    # What was read is not looked at again.
    content = bytearray(file.read_bytes())
    content[64 : len(content) - 1] = b"x" * (len(content) - 65)
    file.write_bytes(content)
    add(
        file,
        line(3, TRY, "BLANSWERED", TOKEN),
        line(3.5, TRY, "BLMET", TOKEN),
        line(4, TOKEN, "BLKEPTMACHINE"),
        line(5, TRY, "BLOVER", "ANSWER^16"),
        line(6, "node1-1.1", "BLJOINED", TOKEN, "agent-1001"),
        "nonsense\n",
        "x|y|z|BLOVER|BLOVER|BL\n",
    )
    found = log.read()
    facts = found.tries[TRY]
    assert (found.since, facts.dialled_at, facts.answered_at, facts.over_at) == (1, 2, 3, 5)
    assert facts.met_at == 3.5
    assert (facts.over, facts.machine) == (("ANSWER", "16"), True)
    joined = found.joined[TOKEN]
    assert (joined.call, joined.agent, joined.at) == ("node1-1.1", "1001", 6.0)


def test_a_line_that_is_being_written_is_read_once_it_is_whole(file: Path) -> None:
    log = KeptLogFile(file)
    whole = line(2, TRY, "BLOVER", "ANSWER^16")
    add(file, line(1, TRY, "BLDIAL", TOKEN), whole[:-4])
    assert log.read().tries[TRY].over is None
    add(file, whole[-4:])
    assert log.read().tries[TRY].over == ("ANSWER", "16")


def test_of_a_log_that_was_put_away_the_end_is_read_too(file: Path) -> None:
    log = KeptLogFile(file)
    add(file, line(1, TRY, "BLDIAL", TOKEN))
    log.read()
    old = file.with_name("queue_log.1")
    file.rename(old)
    add(old, line(2, TRY, "BLANSWERED", TOKEN))
    add(file, line(9, OTHER, "BLDIAL", TOKEN))
    found = log.read()
    assert found.since == 1.0
    assert (found.tries[TRY].answered_at, found.tries[OTHER].dialled_at) == (2.0, 9.0)
    add(file, line(10, OTHER, "BLANSWERED", TOKEN))
    assert log.read().tries[OTHER].answered_at == 10.0


@pytest.mark.parametrize("grown", [False, True])
def test_of_a_log_written_anew_nothing_is_known_from_before_it(file: Path, grown: bool) -> None:
    log = KeptLogFile(file)
    add(file, line(1, TRY, "BLDIAL", TOKEN), line(2, TRY, "BLANSWERED", TOKEN))
    log.read()
    file.write_text("")
    add(file, *[line(9, OTHER, "BLDIAL", TOKEN)] * (9 if grown else 1))
    found = log.read()
    assert found.since == 9.0
    assert (found.tries[TRY].answered_at, found.tries[OTHER].dialled_at) == (2.0, 9.0)


def test_a_log_that_is_gone_for_a_moment_is_read_when_it_is_back(file: Path) -> None:
    log = KeptLogFile(file)
    add(file, line(1, TRY, "BLDIAL", TOKEN))
    log.read()
    file.unlink()
    assert log.read().since is None
    add(file, line(9, OTHER, "BLDIAL", TOKEN))
    found = log.read()
    assert (found.since, set(found.tries)) == (9.0, {TRY, OTHER})


def test_a_long_log_is_read_from_a_whole_line_of_its_end(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [line(1, TRY, "BLDIAL", TOKEN), line(2, OTHER, "BLDIAL", TOKEN)]
    add(file, *lines)
    monkeypatch.setattr(kept_log, "TAIL_BYTES", len(lines[1]) + 5)
    found = KeptLogFile(file).read()
    assert (found.since, list(found.tries)) == (2.0, [OTHER])


def test_what_was_forgotten_is_as_if_it_had_been_before_the_log(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_log, "_REMEMBERED", 1)
    add(file, line(0, "NONE", "QUEUESTART"))
    add(file, line(1, TRY, "BLDIAL", TOKEN), line(3, OTHER, "BLDIAL", TOKEN))
    found = KeptLogFile(file).read()
    assert (found.since, list(found.tries)) == (1.0, [OTHER])
