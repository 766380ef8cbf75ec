"""An Asterisk that is already there: where its things are, and whether it is new enough."""

from __future__ import annotations

from pathlib import Path

import pytest

from incident.settings import AsteriskSettings, Settings
from pbx.runtime import installed
from pbx.runtime.errors import TreeError
from pbx.runtime.tree import ensure_tree


def system(root: Path, version: str, modules: str = "usr/lib/x86_64-linux-gnu") -> None:
    (root / modules / "asterisk/modules").mkdir(parents=True)
    (root / "usr/share/asterisk/sounds").mkdir(parents=True)
    program = root / "usr/sbin/asterisk"
    program.parent.mkdir(parents=True, exist_ok=True)
    program.write_text(f"#!/bin/sh\necho '{version}'\n")
    program.chmod(0o755)


def settings(root: Path) -> Settings:
    return Settings(asterisk=AsteriskSettings(root=root))


@pytest.mark.parametrize(
    ("printed", "major"),
    [
        ("Asterisk 22.10.1+dfsg+~cs6.17.60671434-1", 22),
        ("Asterisk certified/20.7-cert3", 20),
        ("Asterisk certified-18.9-cert1", 18),
        ("Asterisk GIT-master-abc", None),
        ("", None),
    ],
)
def test_version(printed: str, major: int | None) -> None:
    assert installed.parse_version(printed) == major


@pytest.mark.parametrize("modules", ["usr/lib/x86_64-linux-gnu", "usr/lib", "usr/lib64"])
def test_installed_asterisk_runs_without_a_loader(tmp_path: Path, modules: str) -> None:
    system(tmp_path, "Asterisk 20.1.0", modules)
    tree = ensure_tree(settings(tmp_path), lambda _line: None)
    assert tree.command("asterisk", "-V") == [str(tmp_path / "usr/sbin/asterisk"), "-V"]
    assert tree.modules == tmp_path / modules / "asterisk/modules"
    assert tree.sounds == tmp_path / "usr/share/asterisk/sounds"
    assert tree.env() == {}


def test_other_programs_are_found_on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    system(tmp_path / "root", "Asterisk 22.0.0")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/mosquitto").touch(mode=0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin")
    tree = ensure_tree(settings(tmp_path / "root"), lambda _line: None)
    assert tree.command("mosquitto") == [str(tmp_path / "bin/mosquitto")]
    with pytest.raises(TreeError, match="apt install prometheus"):
        tree.command("promtool")


def test_old_asterisk_is_refused_with_its_version(tmp_path: Path) -> None:
    system(tmp_path, "Asterisk 18.10.0~dfsg")
    with pytest.raises(TreeError, match="Asterisk 18; 20 is the oldest") as caught:
        ensure_tree(settings(tmp_path), lambda _line: None)
    assert "private tree" in caught.value.remedy


def test_unreadable_version_is_shown(tmp_path: Path) -> None:
    system(tmp_path, "error while loading shared libraries")
    with pytest.raises(TreeError, match="error while loading shared libraries"):
        ensure_tree(settings(tmp_path), lambda _line: None)


def test_no_asterisk_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(TreeError, match="no asterisk/modules folder") as caught:
        ensure_tree(settings(tmp_path), lambda _line: None)
    assert "apt install asterisk" in caught.value.remedy
