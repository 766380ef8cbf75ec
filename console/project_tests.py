"""``breachline test`` and ``check``: what continuous integration runs, for developers."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import typer

PROJECT: Final = Path(__file__).resolve().parents[1]


IN_PARALLEL: Final = ("-n", "2", "--dist", "loadfile", "--no-loadscope-reorder")
"""Most tests wait for a telephone; two of them can. More would be late on two cores."""


def test(context: typer.Context) -> None:
    """Run every test, two at a time (or those that pytest's own arguments choose)."""
    argv = [sys.executable, "-m", "pytest", *(context.args or IN_PARALLEL)]
    done = subprocess.run(argv, cwd=PROJECT, env=_environment(), check=False)
    raise typer.Exit(code=done.returncode and 1)


def check() -> None:
    """Run ``scripts/check``: lint, types, layers, dialplan, prompts."""
    done = subprocess.run([str(PROJECT / "scripts/check")], cwd=PROJECT, check=False)
    raise typer.Exit(code=done.returncode and 1)


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(PROJECT)}
