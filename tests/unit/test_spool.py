"""Spooled call-back requests: sealed, whole, and never lost to one damaged file."""

from __future__ import annotations

import json
import logging
import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from incident.privacy import IncidentKey, seal_for
from pbx.spool import (
    CallbackRequest,
    SpoolDamaged,
    SpoolNotOurs,
    list_spooled,
    read_spooled,
    remove_spooled,
    source_key,
    write_spooled,
)

KEY = IncidentKey(b"k" * 32)
KEYS = {"northwind": KEY}
REQUEST = CallbackRequest("northwind", "es", "+18005550123", 1795465328.5, "1795465326.65")


def put(folder: Path, request: CallbackRequest = REQUEST, incident: str = "northwind") -> Path:
    key = write_spooled(folder, incident, seal_for(KEY.public_key, request.to_bytes()))
    return folder / f"{key}.sealed"


def test_what_was_written_is_read(tmp_path: Path) -> None:
    path = put(tmp_path / "callbacks")
    assert list_spooled(tmp_path / "callbacks") == (path,)
    assert read_spooled(path, KEYS) == REQUEST
    assert source_key(path) == path.stem
    assert b"5550123" not in path.read_bytes()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_what_is_said_of_a_place_is_read(tmp_path: Path) -> None:
    request = replace(REQUEST, token="a" * 32, rank=1.5, not_before=2.5, relay=True)
    assert read_spooled(put(tmp_path, request), KEYS) == request


def test_a_request_of_before_says_less(tmp_path: Path) -> None:
    fields = json.loads(REQUEST.to_bytes())
    for name in ("token", "rank", "not_before", "relay"):
        del fields[name]
    write_spooled(
        tmp_path, "northwind", seal_for(KEY.public_key, json.dumps(fields).encode()), "a" * 32
    )
    assert read_spooled(list_spooled(tmp_path)[0], KEYS) == REQUEST


def test_removing_twice_is_fine(tmp_path: Path) -> None:
    path = put(tmp_path)
    remove_spooled(path)
    remove_spooled(path)
    assert list_spooled(tmp_path) == ()


def test_no_folder_is_no_requests(tmp_path: Path) -> None:
    assert list_spooled(tmp_path / "none") == ()


def test_oldest_first_and_drafts_are_not_listed(tmp_path: Path) -> None:
    paths = [put(tmp_path) for _ in range(3)]
    for age, path in enumerate(paths):
        os.utime(path, (1000 - age, 1000 - age))
    (tmp_path / ".x.sealed.1.tmp").write_bytes(b"half")
    assert list_spooled(tmp_path) == tuple(reversed(paths))


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: b"\xff" * 100,
        lambda content: content[:-1],
        lambda content: content[:-1] + bytes([content[-1] ^ 1]),
        lambda content: content.replace(b"callback 1", b"callback 9"),
        lambda content: b"breachline-callback 1 ../../etc\n" + content.partition(b"\n")[2],
        lambda content: content + b"x" * 20000,
    ],
)
def test_damaged_files_are_moved_aside_with_a_warning(
    tmp_path: Path,
    damage: object,
    caplog: pytest.LogCaptureFixture,
) -> None:
    path = put(tmp_path)
    assert callable(damage)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(SpoolDamaged) as caught:
        read_spooled(path, KEYS)
    assert caught.value.path == tmp_path / "bad" / path.name
    assert caught.value.path.exists()
    assert list_spooled(tmp_path) == ()
    (record,) = caplog.records
    assert record.levelno == logging.WARNING


@pytest.mark.parametrize(
    "content",
    [
        b"[]",
        b"{}",
        b"not json",
        CallbackRequest("northwind", "en", "5550123", 1.0, "x").to_bytes(),
        CallbackRequest("other", "en", "+18005550123", 1.0, "x").to_bytes(),
    ],
)
def test_sealed_nonsense_is_moved_aside(tmp_path: Path, content: bytes) -> None:
    write_spooled(tmp_path, "northwind", seal_for(KEY.public_key, content))
    with pytest.raises(SpoolDamaged):
        read_spooled(list_spooled(tmp_path)[0], KEYS)
    assert list_spooled(tmp_path) == ()


def test_a_request_of_an_incident_without_key_stays(tmp_path: Path) -> None:
    path = put(tmp_path, incident="later")
    with pytest.raises(SpoolNotOurs) as caught:
        read_spooled(path, KEYS)
    assert caught.value.incident == "later"
    assert list_spooled(tmp_path) == (path,)


def test_an_incident_id_cannot_break_the_heading(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="incident"):
        write_spooled(tmp_path, "a\nb", b"x")


def test_a_write_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="space"):
        put(tmp_path)
    assert list(tmp_path.iterdir()) == []
