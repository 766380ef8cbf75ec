"""The launcher, with a Python and a pip that only note what they are asked to do."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

LAUNCHER = Path(__file__).resolve().parents[2] / "breachline"

# The base Python: makes a "venv" whose python is the second script.
BASE = """#!/bin/sh
case "$1 $2" in
    "-c "*) exit 0 ;;
    "-m venv") [ -e "{notes}/no-venv" ] && exit 1
        echo venv >>"{notes}/calls"; mkdir -p "$3/bin"; cp "{notes}/inner" "$3/bin/python" ;;
esac
"""
INNER = """#!/bin/sh
case "$1 $2 $3" in
    "-m pip"*)
        for last; do :; done
        echo "pip ${{last##*/}}" >>"{notes}/calls"
        if [ -e "{notes}/killed" ]; then rm "{notes}/killed"; kill -9 $PPID; fi
        if [ -e "{notes}/slow" ]; then echo >"{notes}/began"; read -r _ <"{notes}/slow"; fi
        [ ! -e "{notes}/no-index" ] ;;
    "-P -m console"*) shift 3
        echo "console path=$PYTHONPATH args=$#"; for word; do echo "<$word>"; done ;;
esac
"""


@dataclass(frozen=True)
class Checkout:
    """A copy of the launcher with requirements, in a folder whose name has a space."""

    root: Path
    notes: Path

    def command(self, *args: str, program: Path | None = None) -> list[str]:
        return [str(program or self.root / "breachline"), *args]

    def env(self, **changes: str) -> dict[str, str]:
        return {**os.environ, "BREACHLINE_PYTHON": str(self.notes / "base"), **changes}

    def run(self, *args: str, program: Path | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*args, program=program),
            env=self.env(),
            cwd="/",
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    def calls(self) -> list[str]:
        file = self.notes / "calls"
        return file.read_text().splitlines() if file.exists() else []


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    root, notes = tmp_path / "check out", tmp_path / "notes"
    (root / "requirements").mkdir(parents=True)
    notes.mkdir()
    shutil.copy(LAUNCHER, root / "breachline")
    (root / "requirements" / "runtime.txt").write_text("one==1 --hash=sha256:00\n")
    (root / "requirements" / "dev.txt").write_text("one==1 --hash=sha256:00\ntwo==2\n")
    for name, text in (("base", BASE), ("inner", INNER)):
        (notes / name).write_text(text.format(notes=notes))
        (notes / name).chmod(0o755)
    return Checkout(root, notes)


def test_first_start_prepares_and_the_second_only_runs(checkout: Checkout) -> None:
    first = checkout.run("demo", "--for", "two words")
    assert first.returncode == 0, first.stderr
    assert first.stdout.splitlines() == [
        f"console path={checkout.root} args=3",
        *("<demo>", "<--for>", "<two words>"),
    ]
    assert "installing 1 packages" in first.stderr
    second = checkout.run("demo")
    assert second.stderr == ""
    assert checkout.calls() == ["venv", "pip runtime.txt"]


def test_link_to_the_launcher_finds_the_checkout(checkout: Checkout, tmp_path: Path) -> None:
    link = tmp_path / "bin" / "hotline"
    link.parent.mkdir()
    link.symlink_to("../check out/breachline")
    done = checkout.run(program=link)
    assert done.stdout.splitlines() == [f"console path={checkout.root} args=0"]


@pytest.mark.parametrize("word", ["test", "check"])
def test_development_set_holds_the_runtime_set(checkout: Checkout, word: str) -> None:
    checkout.run("demo")
    checkout.run(word)
    checkout.run("demo")
    checkout.run(word)
    assert checkout.calls() == ["venv", "pip runtime.txt", "pip dev.txt"]


def test_changed_requirements_are_installed_into_the_same_environment(checkout: Checkout) -> None:
    checkout.run("demo")
    (checkout.root / "requirements" / "runtime.txt").write_text("one==2 --hash=sha256:00\n")
    checkout.run("demo")
    checkout.run("demo")
    assert checkout.calls() == ["venv", "pip runtime.txt", "pip runtime.txt"]


def test_interrupted_installation_is_done_anew(checkout: Checkout) -> None:
    (checkout.notes / "killed").touch()
    assert checkout.run("demo").returncode == -9
    (checkout.root / ".venv" / "half").touch()
    done = checkout.run("demo")
    assert done.returncode == 0
    assert checkout.calls() == ["venv", "pip runtime.txt", "venv", "pip runtime.txt"]
    assert not (checkout.root / ".venv" / "half").exists()


def test_another_python_behind_the_same_name_makes_a_new_environment(checkout: Checkout) -> None:
    checkout.run("demo")
    python = checkout.root / ".venv" / "bin" / "python"
    other = checkout.notes / "other-python"
    shutil.move(python, other)
    python.symlink_to(other)
    checkout.run("demo")
    assert checkout.calls() == ["venv", "pip runtime.txt"] * 2


def test_two_starts_at_once_install_once(checkout: Checkout) -> None:
    gate, began = checkout.notes / "slow", checkout.notes / "began"
    os.mkfifo(gate)
    os.mkfifo(began)

    def start() -> subprocess.Popen[str]:
        return subprocess.Popen(
            checkout.command("demo"),
            env=checkout.env(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    first = start()
    began.read_text()
    second = start()
    assert second.stderr is not None
    assert "waiting" in second.stderr.readline()
    gate.write_text("go on\n")
    assert first.communicate(timeout=30)[0].startswith("console")
    assert second.communicate(timeout=30)[0].startswith("console")
    assert checkout.calls() == ["venv", "pip runtime.txt"]


def test_no_python_says_what_to_install(checkout: Checkout) -> None:
    done = subprocess.run(
        checkout.command("demo"),
        env=checkout.env(BREACHLINE_PYTHON="no-such-python"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "Python 3.11 or newer is needed" in done.stderr
    assert "apt install python3 python3-venv" in done.stderr


def test_no_venv_module_says_what_to_install(checkout: Checkout) -> None:
    (checkout.notes / "no-venv").touch()
    done = checkout.run("demo")
    assert done.returncode == 1
    assert "apt install python3-venv" in done.stderr
    (checkout.notes / "no-venv").unlink()
    assert checkout.run("demo").returncode == 0


def test_no_package_index_says_so_and_runs_nothing(checkout: Checkout) -> None:
    (checkout.notes / "no-index").touch()
    done = checkout.run("demo")
    assert done.returncode == 1
    assert "PIP_INDEX_URL" in done.stderr
    assert done.stdout == ""
