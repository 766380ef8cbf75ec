"""The package list, the tree's key, and the commands that run out of a tree."""

from __future__ import annotations

from pathlib import Path

import pytest

from pbx.runtime.errors import TreeError
from pbx.runtime.packages import (
    ARCHITECTURES,
    architecture,
    parse_packages,
    read_packages,
    tree_key,
)
from pbx.runtime.tree import Tree, cache_dir, private_tree

X86 = ARCHITECTURES["x86_64"]


def make_program(file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch(mode=0o755)


def test_groups_keep_order_and_comments_are_dropped() -> None:
    text = "# all\nasterisk  asterisk # the PBX\n\nspeech flite\nasterisk asterisk-moh\n"
    assert parse_packages(text) == {"asterisk": ("asterisk", "asterisk-moh"), "speech": ("flite",)}


def test_malformed_line_is_named() -> None:
    with pytest.raises(ValueError, match=r"line 2.*asterisk"):
        parse_packages("speech flite\nasterisk\n")


def test_the_list_holds_what_the_parts_run() -> None:
    packages = read_packages()
    assert len(packages) == len(set(packages))
    assert {"asterisk", "mosquitto", "prometheus", "sip-tester", "flite", "espeak-ng"} <= set(
        packages
    )


def test_key_depends_on_packages_machine_and_recipe_but_not_on_order() -> None:
    key = tree_key(("a", "b"), "x86_64", "1")
    assert tree_key(("b", "a"), "x86_64", "1") == key
    others = {
        tree_key(("a", "b", "c"), "x86_64", "1"),
        tree_key(("a", "b"), "aarch64", "1"),
        tree_key(("a", "b"), "x86_64", "2"),
        key,
    }
    assert len(others) == 4


def test_unknown_machine_has_no_tree() -> None:
    assert architecture("s390x") is None


def test_program_runs_through_the_loader_with_private_libraries(tmp_path: Path) -> None:
    libraries = tmp_path / "usr/lib/x86_64-linux-gnu"
    for name in ("libc.so.6", "pulseaudio/libpulsecommon.so", "gconv/libCNS.so", "perl/Fcntl.pm"):
        (libraries / name).parent.mkdir(parents=True, exist_ok=True)
        (libraries / name).touch()
    make_program(tmp_path / "usr/sbin/asterisk")
    tree = private_tree(tmp_path, X86)
    assert tree.command("asterisk", "-V") == [
        str(tmp_path / "usr/lib64/ld-linux-x86-64.so.2"),
        "--library-path",
        f"{libraries}:{libraries}/pulseaudio",
        str(tmp_path / "usr/sbin/asterisk"),
        "-V",
    ]
    assert tree.sounds == tmp_path / "usr/share/asterisk/sounds"
    assert tree.modules == libraries / "asterisk/modules"


def test_environment_is_a_copy_and_leaves_the_library_path_alone(tmp_path: Path) -> None:
    """Children of Asterisk are programs of the host: they need the host's libraries."""
    tree = private_tree(tmp_path, X86)
    tree.env().clear()
    assert tree.env() == {"ESPEAK_DATA_PATH": str(tmp_path / "usr/lib/x86_64-linux-gnu")}


def test_missing_program_names_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(TreeError) as caught:
        private_tree(tmp_path, X86).command("asterisk")
    assert "delete this tree" in caught.value.remedy
    installed = Tree(tmp_path, (), (tmp_path / "bin",), tmp_path, tmp_path, tmp_path)
    with pytest.raises(TreeError, match="apt install sip-tester"):
        installed.command("sipp")


def test_a_file_that_cannot_be_run_is_no_program(tmp_path: Path) -> None:
    make_program(tmp_path / "bin/sox")
    (tmp_path / "sbin").mkdir()
    (tmp_path / "sbin/sox").touch(mode=0o644)
    tree = Tree(tmp_path, (), (tmp_path / "sbin", tmp_path / "bin"), tmp_path, tmp_path, tmp_path)
    assert tree.command("sox") == [str(tmp_path / "bin/sox")]


@pytest.mark.parametrize(
    ("variable", "expected"),
    [
        ("/elsewhere", "/elsewhere/breachline"),
        ("", "/home/op/.cache/breachline"),
        ("relative", "/home/op/.cache/breachline"),
    ],
)
def test_cache_folder(monkeypatch: pytest.MonkeyPatch, variable: str, expected: str) -> None:
    monkeypatch.setenv("HOME", "/home/op")
    monkeypatch.setenv("XDG_CACHE_HOME", variable)
    assert cache_dir() == Path(expected)
