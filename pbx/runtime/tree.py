"""Where the programs come from: the private Debian tree, or an installed Asterisk."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from incident.settings import Settings
from pbx.runtime import build, installed
from pbx.runtime.errors import TreeError
from pbx.runtime.host import Host
from pbx.runtime.packages import Architecture, architecture, read_packages, tree_key

LOCK_TIMEOUT: Final = 1800.0
"""Seconds to wait for another builder of the same tree before giving up."""


@dataclass(frozen=True)
class Tree:
    """Programs and the data that they need.

    ``loader`` is put before a program's path: it makes a program of the tree run with the
    tree's own libraries whatever the host has. It is empty for an installed system.
    """

    root: Path
    loader: tuple[str, ...]
    search: tuple[Path, ...]
    share: Path
    modules: Path
    data: Path
    """Asterisk's ``astdatadir``: documentation, sounds, music on hold."""
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def sounds(self) -> Path:
        """Recorded core sounds, one folder a language (``en``, ``es``)."""
        return self.data / "sounds"

    @property
    def moh(self) -> Path:
        """Music on hold."""
        return self.data / "moh"

    def program(self, name: str) -> Path:
        """The file of a program. Raises TreeError where there is none."""
        for folder in self.search:
            file = folder / name
            if file.is_file() and os.access(file, os.X_OK):
                return file
        raise installed.missing(name, self.search, private=bool(self.loader))

    def command(self, program: str, *args: str) -> list[str]:
        """The argument list that runs ``program`` of this tree."""
        return [*self.loader, str(self.program(program)), *args]

    def env(self) -> dict[str, str]:
        """Variables to add to a program's environment."""
        return dict(self.environment)


def private_tree(root: Path, arch: Architecture) -> Tree:
    """The tree unpacked at ``root``."""
    libraries = root / "usr/lib" / arch.triplet
    # Some packages keep libraries of their own in a folder below (libpulsecommon, for one).
    # gconv is none of them: it holds converters that share names with real libraries.
    private = sorted({file.parent for file in libraries.glob("*/lib*.so*")} - {libraries / "gconv"})
    path = ":".join(str(folder) for folder in (libraries, *private))
    return Tree(
        root=root,
        loader=(str(root / arch.loader), "--library-path", path),
        search=(root / "usr/sbin", root / "usr/bin"),
        share=root / "usr/share",
        modules=libraries / "asterisk/modules",
        data=root / "usr/share/asterisk",
        environment={"ESPEAK_DATA_PATH": str(libraries)},
    )


def cache_dir() -> Path:
    """``$XDG_CACHE_HOME/breachline``, or ``~/.cache/breachline``."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    # The XDG base directory specification: a relative path is to be ignored.
    root = Path(base) if base.startswith("/") else Path.home() / ".cache"
    return root / "breachline"


@contextmanager
def _locked(file: Path, report: Callable[[str], None]) -> Iterator[int]:
    """Hold ``file`` locked; yields its descriptor. The kernel lets go of it when all holders die.

    The builder's commands inherit the descriptor: if we are killed, the next builder waits
    until they have ended too.
    """
    with file.open("w") as handle:
        deadline = time.monotonic() + LOCK_TIMEOUT
        told = False
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if not told:
                    report("another process is building the runtime; waiting for it")
                    told = True
                if time.monotonic() > deadline:
                    raise TreeError(
                        f"waited {LOCK_TIMEOUT:.0f} s for the lock {file}",
                        "another process still holds it",
                        "find it with 'fuser' on that file; stop it if it hangs",
                    ) from error
                time.sleep(0.2)
        yield handle.fileno()


def ensure_tree(settings: Settings, report: Callable[[str], None]) -> Tree:
    """The programs that the settings ask for; builds the private tree if it is not there yet.

    Takes milliseconds when the tree is there, else about half a minute and 750 MB of disk.
    ``report`` gets one line of progress at a time. Two builders wait for one another. A tree
    appears under its name only when it is complete. Raises TreeError.
    """
    if settings.asterisk.root is not None:
        return _installed_tree(settings.asterisk.root)
    arch, packages = _supported(), read_packages()
    cache = cache_dir()
    final = _place(arch, packages)
    if not final.is_dir():
        try:
            cache.mkdir(parents=True, exist_ok=True)
            with _locked(cache / f"{final.name}.lock", report) as lock:
                if not final.is_dir():
                    host = Host(keep_open=(lock,))
                    build.build_tree(final, packages, arch, report, private_tree, host=host)
        except OSError as error:
            raise TreeError(
                f"prepared the cache folder {cache}",
                str(error),
                "set XDG_CACHE_HOME to a folder that you may write to",
            ) from error
    return private_tree(final, arch)


def find_tree(settings: Settings) -> Tree | None:
    """The programs that the settings ask for, or None while the private tree is not built.

    Raises TreeError where there can be none.
    """
    if settings.asterisk.root is not None:
        return _installed_tree(settings.asterisk.root)
    arch = _supported()
    final = _place(arch, read_packages())
    return private_tree(final, arch) if final.is_dir() else None


def _supported() -> Architecture:
    arch = architecture()
    if arch is None:
        raise TreeError(
            "looked for a Debian tree for this machine",
            f"{os.uname().machine} is not one that it is built for",
            'install Asterisk 20 or newer and set [asterisk] root = "/" in breachline.toml',
        )
    return arch


def _place(arch: Architecture, packages: tuple[str, ...]) -> Path:
    return cache_dir() / f"tree-{tree_key(packages, arch.machine)}"


def _installed_tree(root: Path) -> Tree:
    found = installed.find(root)
    tree = Tree(
        root=root,
        loader=(),
        search=found.search,
        share=found.share,
        modules=found.modules,
        data=found.data,
    )
    installed.require_version(tree.command("asterisk", "-V"))
    return tree
