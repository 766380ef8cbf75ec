"""Builds the private Debian tree: unpacked packages only, nothing installed on the host."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pbx.runtime import mmdebstrap
from pbx.runtime.errors import TreeError
from pbx.runtime.host import Host
from pbx.runtime.packages import Architecture

if TYPE_CHECKING:
    from pbx.runtime.tree import Tree

NEEDED_BYTES: Final = 2_000_000_000
"""Downloaded packages (220 MB) and the unpacked tree (750 MB), with room to spare."""

INFO_FILE: Final = "breachline-tree.json"

PROGRAMS: Final = {
    "asterisk": (("-V",), r"Asterisk 2\d\."),
    "mosquitto": (("-h",), r"mosquitto version"),
    "prometheus": (("--version",), r"prometheus, version"),
    "promtool": (("--version",), r"promtool, version"),
    "sipp": (("-v",), r"SIPp v"),
    "flite": (("--version",), r"version: flite"),
    "espeak-ng": (("--version",), r"eSpeak NG"),
    "sox": (("--version",), r"SoX"),
}
"""Program -> arguments that only make it say what it is, and what it then prints.

Judged by what is printed: several of them say their version with an exit code of failure.
"""

# Debian makes these names with update-alternatives, which unpacking does not run.
_LANGUAGES: Final = {"en": "en_US_*", "es": "es_MX_*"}


def build_tree(
    final: Path,
    packages: tuple[str, ...],
    arch: Architecture,
    report: Callable[[str], None],
    open_tree: Callable[[Path, Architecture], Tree],
    *,
    host: Host,
) -> None:
    """Build the tree and put it at ``final``, whole. The caller holds the builders' lock.

    Raises TreeError; then nothing is left at ``final``.
    """
    began = time.monotonic()

    def tell(text: str) -> None:
        report(f"[{time.monotonic() - began:3.0f} s] {text}")

    _remove_leftovers(final)
    _require_space(final.parent, host)
    partial = final.with_name(f"{final.name}.building-{os.getpid()}")
    try:
        tell("building the private runtime (Asterisk and what it needs; once)")
        mmdebstrap.unpack(partial, packages, tell, host)
        tell("linking libraries and sounds")
        _link_libraries(partial, arch, host)
        _link_languages(partial)
        _open_to_all(partial)
        tell("trying every program")
        versions = _try_programs(open_tree(partial, arch), host)
        info = {"packages": packages, "architecture": arch.machine, "programs": versions}
        (partial / INFO_FILE).write_text(json.dumps(info, indent=1) + "\n", encoding="utf-8")
        # A name that promises a whole tree must not appear before its contents are on disk.
        os.sync()
        partial.rename(final)
    except OSError as error:
        raise TreeError(
            f"build the runtime in {partial}", str(error), "see to the disk, then start again"
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    tell("the runtime is ready")


def _remove_leftovers(final: Path) -> None:
    """Take away what an interrupted build left: nobody else is at it while we hold the lock."""
    for folder in final.parent.glob(f"{final.name}.building-*"):
        shutil.rmtree(folder, ignore_errors=True)


def _require_space(folder: Path, host: Host) -> None:
    free = host.free_bytes(folder)
    if free < NEEDED_BYTES:
        raise TreeError(
            f"looked for {NEEDED_BYTES / 1e9:.0f} GB of free disk for the runtime in {folder}",
            f"there are {free / 1e9:.1f} GB",
            "free some, or set XDG_CACHE_HOME to a folder on a larger disk",
        )


def _link_libraries(tree: Path, arch: Architecture, host: Host) -> None:
    """Make the soname links that ldconfig would make when packages are installed."""
    program = host.which("ldconfig")
    if program is None:
        raise TreeError("looked for ldconfig", "it is not there", "apt install libc-bin")
    done = host.run([program, "-n", str(tree / "usr/lib" / arch.triplet)], timeout=120)
    if done.code != 0:
        raise TreeError("ran ldconfig on the tree", done.text, "report this with the text above")


def _link_languages(tree: Path) -> None:
    sounds = tree / "usr/share/asterisk/sounds"
    for language, pattern in _LANGUAGES.items():
        voices = sorted(sounds.glob(pattern))
        if not voices:
            raise TreeError(
                f"looked for the recorded sounds of language {language} in {sounds}",
                "there are none",
                "see that the package list still holds asterisk-core-sounds for it",
            )
        link = sounds / language
        if not link.exists():
            link.symlink_to(voices[0].name)


def _open_to_all(tree: Path) -> None:
    """Let every user read and run what is under usr; take away set-user-id bits, unused here."""
    tree.chmod(0o755)
    for folder, names, files in os.walk(tree / "usr"):
        for name in (*names, *files):
            path = Path(folder, name)
            mode = path.lstat().st_mode
            if stat.S_ISLNK(mode):
                continue
            wanted = (stat.S_IMODE(mode) | 0o444) & ~0o6000
            if stat.S_ISDIR(mode) or mode & 0o100:
                wanted |= 0o111
            if wanted != stat.S_IMODE(mode):
                path.chmod(wanted)


def _try_programs(tree: Tree, host: Host) -> dict[str, str]:
    """Run each program; return what it says of its version."""
    said = {}
    for name, (arguments, expected) in PROGRAMS.items():
        done = host.run(tree.command(name, *arguments), timeout=60, env=tree.env())
        line = next((text for text in done.lines if re.search(expected, text)), None)
        if line is None:
            raise TreeError(
                f"started {name} out of the new tree",
                f"exit code {done.code}, and it printed:\n{done.text}",
                "the packages in Debian's archive do not fit one another at this moment; "
                'try again later, or use an installed Asterisk ([asterisk] root = "/")',
            )
        said[name] = line.strip()
    return said
