"""Filling templates and writing files: nothing can add a line, nothing is half-written."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pbx.render import TemplateError, fill
from pbx.render.template import link, write_if_changed


def test_places_are_filled_and_other_signs_left_alone() -> None:
    template = "bind = @BIND@:@PORT@ ; a@b.c @lower@ @@"
    filled = fill(template, {"BIND": "127.0.0.1", "PORT": "@BIND@"}, "x.conf")
    assert filled == "bind = 127.0.0.1:@BIND@ ; a@b.c @lower@ @@"


def test_an_unknown_place_is_refused_by_name() -> None:
    with pytest.raises(TemplateError, match=r"^x\.conf: no value for @BIDN@$"):
        fill("bind = @BIDN@", {"BIND": "127.0.0.1"}, "x.conf")


@given(st.text(), st.sampled_from([*map(chr, range(32)), "\x7f"]), st.text())
def test_a_control_character_is_refused(before: str, control: str, after: str) -> None:
    with pytest.raises(TemplateError, match="@BIND@ holds a control character"):
        fill("bind = @BIND@", {"BIND": before + control + after}, "x.conf")


def test_a_file_is_written_once_for_its_owner_alone(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "pjsip.conf"
    assert write_if_changed(file, "password = ñ\n") is True
    first = file.stat()
    assert stat.S_IMODE(first.st_mode) == 0o600
    assert write_if_changed(file, "password = ñ\n") is False
    assert file.stat().st_ino == first.st_ino
    assert write_if_changed(file, "other\n") is True
    assert file.read_text() == "other\n"
    # Replaced, not written over: whoever has the old one open reads it to its end.
    assert file.stat().st_ino != first.st_ino
    assert [path.name for path in file.parent.iterdir()] == ["pjsip.conf"]


def test_a_loose_mode_is_mended_and_a_damaged_file_replaced(tmp_path: Path) -> None:
    file = tmp_path / "a.conf"
    file.write_bytes(b"\xff\xfe")
    assert write_if_changed(file, "x") is True
    file.chmod(0o644)
    (tmp_path / "a.conf.new").write_text("left by a writer that was killed")
    assert write_if_changed(file, "x") is True
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert file.read_text() == "x"


def test_what_cannot_be_written_leaves_the_old_file(tmp_path: Path) -> None:
    file = tmp_path / "a.conf"
    write_if_changed(file, "old")
    (tmp_path / "a.conf.new").mkdir()
    with pytest.raises(IsADirectoryError):
        write_if_changed(file, "new")
    assert file.read_text() == "old"


def test_a_link_follows_its_target(tmp_path: Path) -> None:
    at = tmp_path / "moh"
    link(at, tmp_path / "one")
    before = at.lstat().st_ino
    link(at, tmp_path / "one")
    assert at.lstat().st_ino == before
    link(at, tmp_path / "two")
    assert at.readlink() == tmp_path / "two"
