"""The package list (``packages.txt``) and the key of the tree that it makes."""

from __future__ import annotations

import hashlib
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Final

SUITE: Final = "forky"
"""The Debian suite that has Asterisk 22."""

RECIPE: Final = "1"
"""Raise when the way a tree is built changes, so that trees built the old way are not used."""

LIST_FILE: Final = Path(__file__).with_name("packages.txt")


@dataclass(frozen=True, slots=True)
class Architecture:
    """A machine type that the tree can be built for. ``loader`` is relative to the tree."""

    machine: str
    triplet: str
    loader: str


ARCHITECTURES: Final = {
    "x86_64": Architecture("x86_64", "x86_64-linux-gnu", "usr/lib64/ld-linux-x86-64.so.2"),
    "aarch64": Architecture("aarch64", "aarch64-linux-gnu", "usr/lib/ld-linux-aarch64.so.1"),
}


def architecture(machine: str | None = None) -> Architecture | None:
    """This machine's architecture (or that of ``machine``); None where no tree can be built."""
    return ARCHITECTURES.get(machine or platform.machine())


def parse_packages(text: str) -> dict[str, tuple[str, ...]]:
    """Group -> packages. Raises ValueError naming a line that is not ``group package``."""
    groups: dict[str, tuple[str, ...]] = {}
    for number, raw in enumerate(text.splitlines(), start=1):
        words = raw.partition("#")[0].split()
        if not words:
            continue
        if len(words) != 2:
            raise ValueError(f"line {number} of the package list is not 'group package': {raw!r}")
        group, package = words
        groups[group] = (*groups.get(group, ()), package)
    return groups


def read_packages(file: Path = LIST_FILE) -> tuple[str, ...]:
    """Every package of the list, in its order."""
    groups = parse_packages(file.read_text(encoding="utf-8"))
    return tuple(package for group in groups.values() for package in group)


def tree_key(packages: tuple[str, ...], machine: str, recipe: str = RECIPE) -> str:
    """16 hex digits that name one tree; independent of the packages' order."""
    text = "\n".join((recipe, SUITE, machine, *sorted(packages)))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
