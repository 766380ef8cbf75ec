"""Imports point down only, and the check that says so can fail."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
PACKAGES = ("console", "drill", "ivr", "dialer", "pbx", "incident")


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_the_project_keeps_its_layers() -> None:
    done = lint_imports(PROJECT)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("importer", "imported"),
    [
        ("incident", "pbx"),
        ("pbx", "ivr"),
        ("ivr", "dialer"),
        ("dialer", "ivr"),
        ("dialer", "console"),
        ("ivr", "drill"),
    ],
)
def test_an_import_upwards_is_found(tmp_path: Path, importer: str, imported: str) -> None:
    for package in PACKAGES:
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").touch()
        (tmp_path / package / "thing.py").touch()
    shutil.copy(PROJECT / "pyproject.toml", tmp_path)
    assert lint_imports(tmp_path).returncode == 0
    (tmp_path / importer / "thing.py").write_text(f"import {imported}.thing\n")
    done = lint_imports(tmp_path)
    assert done.returncode == 1
    assert f"{importer}.thing -> {imported}.thing" in done.stdout
