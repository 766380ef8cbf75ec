"""An Asterisk that is installed already (``[asterisk] root``), and the programs beside it."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pbx.runtime.errors import TreeError

OLDEST: Final = 20
"""The oldest Asterisk whose PJSIP, queues and AMI events Breachline relies on."""

PACKAGE_OF: Final = {
    "asterisk": "asterisk",
    "mosquitto": "mosquitto",
    "prometheus": "prometheus",
    "promtool": "prometheus",
    "sipp": "sip-tester",
    "flite": "flite",
    "espeak-ng": "espeak-ng",
    "sox": "sox",
}

_PROGRAMS: Final = ("usr/sbin", "usr/bin", "usr/local/sbin", "usr/local/bin", "sbin", "bin")
_LIBRARIES: Final = ("usr/lib", "usr/lib64", "usr/local/lib", "lib", "lib64")
_DATA: Final = ("usr/share/asterisk", "var/lib/asterisk", "usr/local/share/asterisk")


@dataclass(frozen=True, slots=True)
class Installed:
    """Places of an installed Asterisk."""

    search: tuple[Path, ...]
    share: Path
    modules: Path
    data: Path


def missing(program: str, search: tuple[Path, ...], *, private: bool) -> TreeError:
    """The error for a program that is in none of the folders."""
    looked = ", ".join(str(folder) for folder in search) or "no folder"
    package = PACKAGE_OF.get(program)
    if private:
        remedy = "delete this tree; it is built again at the next start"
    elif package:
        remedy = (
            f"install it (Debian: apt install {package}), "
            "or take [asterisk] root out of breachline.toml to use the private tree"
        )
    else:
        remedy = "install it"
    return TreeError(f"looked for {program} in {looked}", "it is not there", remedy)


def find(root: Path, path: str | None = None) -> Installed:
    """Where an Asterisk under ``root`` keeps its things. Raises TreeError if it has no modules.

    Other programs may also be anywhere on ``path`` (default: ``$PATH``).
    """
    on_path = os.environ.get("PATH", "") if path is None else path
    search = [root / folder for folder in _PROGRAMS]
    search += [Path(folder) for folder in on_path.split(os.pathsep) if folder.startswith("/")]
    modules = [
        found
        for folder in _LIBRARIES
        for pattern in ("asterisk/modules", "*-linux-gnu/asterisk/modules")
        for found in sorted((root / folder).glob(pattern))
    ]
    if not modules:
        raise TreeError(
            f"looked for an installed Asterisk under {root} ([asterisk] root)",
            "there is no asterisk/modules folder",
            "install it (Debian testing, Ubuntu: apt install asterisk), or take [asterisk] root "
            "out of breachline.toml to use the private tree",
        )
    data = next((root / d for d in _DATA if (root / d / "sounds").is_dir()), root / _DATA[0])
    return Installed(tuple(dict.fromkeys(search)), data.parent, modules[0], data)


def parse_version(printed: str) -> int | None:
    """The major version in what ``asterisk -V`` prints, certified releases too."""
    match = re.search(r"Asterisk (?:certified[/-])?(\d+)\.", printed)
    return int(match.group(1)) if match else None


def require_version(argv: list[str]) -> int:
    """Run ``asterisk -V`` (given as ``argv``). Raises TreeError below version 20."""
    tried = f"asked {argv[0]} for its version"
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise TreeError(tried, str(error), "repair the installed Asterisk") from error
    printed = done.stdout + done.stderr
    version = parse_version(printed)
    if version is None:
        raise TreeError(tried, f"it printed {printed!r}", "repair the installed Asterisk")
    if version < OLDEST:
        raise TreeError(
            tried,
            f"it is Asterisk {version}; {OLDEST} is the oldest that works",
            "install a newer one, or take [asterisk] root out of breachline.toml to use the "
            "private tree",
        )
    return version
