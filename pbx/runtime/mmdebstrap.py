"""Unpacks Debian packages into a folder with mmdebstrap, as root or as an ordinary user."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from pbx.runtime.errors import TreeError
from pbx.runtime.host import Finished, Host
from pbx.runtime.packages import SUITE

MIRROR_VARIABLE: Final = "BREACHLINE_DEBIAN_MIRROR"
"""Environment: a Debian mirror to take in place of mmdebstrap's own default."""

KEYRING: Final = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
KEYRING_PACKAGE: Final = "debian-archive-keyring"
UNPACK_TIMEOUT: Final = 1500.0
APT_TIMEOUT: Final = 300.0

_USE_INSTALLED: Final = (
    'or install Asterisk 20 or newer and set [asterisk] root = "/" in breachline.toml, '
    "or use docker/"
)
_NO_KEY = re.compile(r"NO_PUBKEY|is not signed|public key is not available|GPG error")
_NO_ARCHIVE = re.compile(
    r"Could not resolve|Temporary failure|Failed to fetch|Could not connect|Unable to connect"
    r"|Connection (?:failed|refused|timed out)|Cannot initiate the connection|no longer has a Rel"
    r"|does not have a Release file"
)
_NO_DISK = re.compile(r"No space left on device|not have enough free space|Disk quota exceeded")


def unpack(target: Path, packages: Sequence[str], tell: Callable[[str], None], host: Host) -> None:
    """Unpack ``packages`` and all they depend on into the new folder ``target``.

    No maintainer script is run. Signatures are verified. Raises TreeError.
    """
    tools = target.parent / "tools"
    program = _program(tools, tell, host)
    options = [*_options(host), *_keyring(tools, tell, host)]
    modes = _modes(host)
    for position, mode in enumerate(modes):
        argv = [*program, f"--mode={mode}", *options, f"--include={','.join(packages)}", SUITE]
        argv.append(str(target))
        if mirror := os.environ.get(MIRROR_VARIABLE):
            argv.append(mirror)
        done = _run(argv, target, tell, host)
        if done.code == 0:
            return
        # What another mode cannot mend is said at once.
        last = position == len(modes) - 1
        if last or any(p.search(done.text) for p in (_NO_KEY, _NO_ARCHIVE, _NO_DISK)):
            raise explain(mode, done)
        tell(f"mode {mode} failed ({done.lines[-1] if done.lines else 'silently'}); trying another")
        shutil.rmtree(target, ignore_errors=True)


def _modes(host: Host) -> tuple[str, ...]:
    """Ways to unpack, best first.

    Root needs no help. For an ordinary user chrootless is enough, since no script is run: it
    needs neither user namespaces nor subordinate ids; fakechroot helps older mmdebstraps.
    """
    if host.is_root():
        return ("root",)
    if host.which("fakechroot") and host.which("fakeroot"):
        return ("chrootless", "fakechroot")
    return ("chrootless",)


def _options(host: Host) -> list[str]:
    # A mirror some days behind has an expired Release file; its signature still counts.
    options = ["--variant=extract", '--aptopt=Acquire::Check-Valid-Until "false"']
    options.append('--aptopt=Acquire::Retries "3"')
    # mmdebstrap does not read the host's apt configuration, which may be the only way out.
    if apt_config := host.which("apt-config"):
        for scheme in ("http", "https"):
            name = f"Acquire::{scheme}::Proxy"
            done = host.run([apt_config, "shell", "PROXY", name], timeout=20)
            found = re.search(r"^PROXY='([^']+)'", done.text, re.MULTILINE)
            if done.code == 0 and found:
                options.append(f'--aptopt={name} "{found.group(1)}"')
    return options


def _run(argv: list[str], target: Path, tell: Callable[[str], None], host: Host) -> Finished:
    archives = target / "var/cache/apt/archives"

    phase = "starting"

    def on_line(line: str) -> None:
        nonlocal phase
        if line.startswith("I: ") and not line.startswith(("I: skipping", "I: automatically")):
            phase = line.removeprefix("I: ").rstrip(".")
            tell(phase)

    def on_tick() -> None:
        size = sum(f.stat().st_size for f in archives.glob("**/*.deb") if f.is_file())
        downloading = phase.startswith("downloading")
        tell(f"{phase}: {size / 1e6:.0f} MB so far" if downloading else f"still {phase}")

    return host.run(argv, timeout=UNPACK_TIMEOUT, on_line=on_line, on_tick=on_tick)


def explain(mode: str, done: Finished) -> TreeError:
    """The error for a failed mmdebstrap, by what it printed."""
    tried = f"unpacked Debian {SUITE} packages with mmdebstrap (mode {mode})"
    text = "\n".join(done.lines[-12:]) or f"exit code {done.code}, nothing printed"
    if _NO_DISK.search(done.text):
        remedy = "free at least 2 GB, or set XDG_CACHE_HOME to a folder on a larger disk"
    elif _NO_KEY.search(done.text):
        remedy = f"install or update Debian's keys: apt install {KEYRING_PACKAGE}"
    elif _NO_ARCHIVE.search(done.text):
        remedy = (
            "Debian's archive could not be reached: see to the network or the proxy "
            f"(http_proxy), or name a mirror in {MIRROR_VARIABLE}; {_USE_INSTALLED}"
        )
    elif mode == "root":
        remedy = f"read the lines above; {_USE_INSTALLED}"
    else:
        remedy = (
            "run it once as root, or install fakechroot and fakeroot, or allow user "
            f"namespaces; {_USE_INSTALLED}"
        )
    return TreeError(tried, text, remedy)


def _program(tools: Path, tell: Callable[[str], None], host: Host) -> list[str]:
    """The command mmdebstrap; brought here if the host lacks it."""
    if found := host.which("mmdebstrap"):
        return [found]
    if host.which("apt-get") is None:
        raise TreeError(
            "looked for mmdebstrap, which unpacks the runtime",
            "it is not there, and neither is apt-get to bring it",
            f"on Debian or Ubuntu: apt install mmdebstrap; elsewhere {_USE_INSTALLED[3:]}",
        )
    if not host.is_root():
        tell("fetching mmdebstrap")
        folder = _fetch("mmdebstrap", tools, host)
        return ["perl", str(folder / "usr/bin/mmdebstrap")]
    tell("installing mmdebstrap (the only package that this host gets)")
    install = ["apt-get", "install", "--yes", "--no-install-recommends", "mmdebstrap"]
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    done = host.run(install, timeout=APT_TIMEOUT, env=quiet)
    if done.code != 0:
        host.run(["apt-get", "update"], timeout=APT_TIMEOUT, env=quiet)
        done = host.run(install, timeout=APT_TIMEOUT, env=quiet)
    found = host.which("mmdebstrap")
    if done.code != 0 or found is None:
        raise TreeError(
            "apt-get install mmdebstrap", done.text, f"install it by hand; {_USE_INSTALLED}"
        )
    return [found]


def _keyring(tools: Path, tell: Callable[[str], None], host: Host) -> list[str]:
    """Options that name Debian's keys where the host (Ubuntu) does not have them."""
    if host.exists(KEYRING) or host.exists(KEYRING.with_suffix(".pgp")):
        return []
    if host.which("apt-get") is None:
        raise TreeError(
            f"looked for Debian's keys at {KEYRING}",
            "they are not there, and without them nothing fetched could be trusted",
            f"install {KEYRING_PACKAGE}",
        )
    tell("fetching Debian's keys")
    folder = _fetch(KEYRING_PACKAGE, tools, host) / "usr/share/keyrings"
    for name in (KEYRING.name, KEYRING.with_suffix(".pgp").name):
        if host.exists(folder / name):
            return [f"--keyring={folder / name}"]
    raise TreeError(
        f"unpacked {KEYRING_PACKAGE} into {folder}",
        "it holds no archive key under the known names",
        f"apt install {KEYRING_PACKAGE}",
    )


def _fetch(package: str, tools: Path, host: Host) -> Path:
    """Download a package of the host's own distribution and unpack it beside the tree."""
    folder = tools / package
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.deb"):
        old.unlink()
    remedy = f"as root: apt install {package}; {_USE_INSTALLED}"
    done = host.run(["apt-get", "download", package], timeout=APT_TIMEOUT, cwd=folder)
    files = sorted(folder.glob("*.deb"))
    if done.code != 0 or not files:
        raise TreeError(f"apt-get download {package}", done.text, remedy)
    done = host.run(["dpkg-deb", "-x", str(files[0]), str(folder)], timeout=60)
    if done.code != 0:
        raise TreeError(f"unpacked {files[0].name}", done.text, remedy)
    return folder
