"""``backup`` and ``restore``: everything of a home that cannot be made again, in one file.

The file holds the master key and the database: whoever has it can read personal data. It is
written with mode 0600; keep it where only the organisation's own people reach it.
"""

from __future__ import annotations

import contextlib
import gzip
import os
import sqlite3
import tarfile
import tempfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from console.door import DEFAULT_HOME, HomeOption, Refused, err, settings_of
from incident.home import Home

_SETTINGS = "breachline.toml"
_DATABASE = "breachline.db"
_FOLDERS = ("secrets", "plans", "studio", "spool")
_CHUNK = 1 << 20
_DAMAGED = (tarfile.TarError, zlib.error, EOFError, OSError, ValueError, OverflowError)
"""What reading an archive can raise, whatever it holds."""


def backup(
    file: Annotated[Path, typer.Argument(help="The .tar.gz file to write; must not exist.")],
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Write settings, keys, plans, recordings, spool and the SQLite database to one file.

    Safe while the system runs. A PostgreSQL database is backed up with pg_dump.
    """
    at, settings = settings_of(home)
    if not at.root.is_dir():
        raise Refused(f"{at.root} does not exist; name the home with --home")
    if settings.database.url:
        err.print("The database is PostgreSQL: back it up with pg_dump; the rest is written here.")
    count = write_backup(at, file, with_database=settings.database.url is None)
    err.print(f"{count} files written to {file}. It holds the master key: keep it safe.")


def write_backup(home: Home, file: Path, *, with_database: bool) -> int:
    """Write the archive; returns the number of files. Raises Refused if ``file`` exists."""
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise Refused(f"{file} exists already; choose another name") from error
    try:
        with os.fdopen(descriptor, "wb") as stream:
            return _write(home, stream, with_database=with_database)
    except BaseException:
        # Half a backup must not look like one.
        file.unlink(missing_ok=True)
        raise


def _write(home: Home, stream: BinaryIO, *, with_database: bool) -> int:
    count = 0
    with (
        # Links are followed: what they point at is wanted, and may not be there when restoring.
        tarfile.open(fileobj=stream, mode="w:gz", dereference=True) as archive,
        tempfile.TemporaryDirectory(dir=home.root) as scratch,
    ):
        for name in (_SETTINGS, *_FOLDERS):
            for path in sorted(_files(home.root / name)):
                # The hotline takes files out of the spool while this runs.
                with contextlib.suppress(FileNotFoundError):
                    archive.add(path, arcname=str(path.relative_to(home.root)))
                    count += 1
        if with_database and home.database_file.exists():
            copy = Path(scratch) / _DATABASE
            _copy_database(home.database_file, copy)
            archive.add(copy, arcname=_DATABASE)
            count += 1
    return count


def restore(
    file: Annotated[Path, typer.Argument(help="A file that backup wrote.", exists=True)],
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Bring a backup into a new home. Refuses a home that holds anything already."""
    at = Home.at(home)
    count = read_backup(at, file)
    err.print(f"{count} files restored into {at.root}. Next: breachline up --home {at.root}")


def read_backup(home: Home, file: Path) -> int:
    """Unpack into a new home, which appears at once and whole, readable by its owner alone.

    Returns the number of files. Raises Refused for a home in use, an archive of something else,
    or a damaged one; then nothing is written.
    """
    if home.root.is_dir() and any(home.root.iterdir()):
        inside = min(path.name for path in home.root.iterdir())
        raise Refused(f"{home.root} has {inside} already; restore into a new home")
    home.root.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=home.root.parent) as scratch:
        unpacked = Path(scratch) / "home"
        unpacked.mkdir()
        try:
            with gzip.open(file) as stream:
                # To its end first, where the checksum stands: tarfile does not read that far.
                while stream.read(_CHUNK):
                    pass
                stream.seek(0)
                with tarfile.open(fileobj=stream, mode="r:") as archive:
                    members = archive.getmembers()
                    _require_backup(file, members)
                    archive.extractall(unpacked, filter="data")
        except _DAMAGED as error:
            raise Refused(f"{file} cannot be read as a backup: {error}") from error
        for path in (unpacked, *unpacked.rglob("*")):
            path.chmod(0o700 if path.is_dir() else 0o600)
        try:
            unpacked.rename(home.root)
        except OSError as error:
            raise Refused(f"{home.root} cannot be made: {error.strerror}") from error
    return len(members)


def _require_backup(file: Path, members: Sequence[tarfile.TarInfo]) -> None:
    """Raises Refused unless there are plain files only, under names that backup writes."""
    if not members:
        raise Refused(f"{file} is not a backup: it holds nothing")
    for member in members:
        folder, *below = member.name.split("/")
        whole = not below and folder in (_SETTINGS, _DATABASE)
        within = below and folder in _FOLDERS and not {"", ".", ".."} & set(below)
        if not member.isfile() or not (whole or within):
            raise Refused(f"{file} is not a backup: it holds {member.name!r}")


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        return [each for each in path.rglob("*") if each.is_file()]
    return [path] if path.is_file() else []


def _copy_database(source: Path, target: Path) -> None:
    """SQLite's own online backup: consistent while others write."""
    origin, copy = sqlite3.connect(source), sqlite3.connect(target)
    try:
        origin.backup(copy)
    finally:
        copy.close()
        origin.close()
