"""``backup`` and ``restore``: everything of a home that cannot be made again, in one file.

The file holds the master key and the database: whoever has it can read personal data. It is
written with mode 0600; keep it where only the organisation's own people reach it.
"""

from __future__ import annotations

import os
import sqlite3
import tarfile
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from console.door import DEFAULT_HOME, HomeOption, Refused, err, settings_of
from incident.home import Home

_KEPT = ("breachline.toml", "secrets", "plans", "studio", "spool")
_DATABASE = "breachline.db"


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
    count = 0
    with (
        os.fdopen(descriptor, "wb") as stream,
        tarfile.open(fileobj=stream, mode="w:gz") as archive,
        tempfile.TemporaryDirectory(dir=home.root) as scratch,
    ):
        for name in _KEPT:
            for path in sorted(_files(home.root / name)):
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
    """Bring a backup into a new home. Refuses a home that has a database already."""
    at = Home.at(home)
    count = read_backup(at, file)
    err.print(f"{count} files restored into {at.root}. Next: breachline up --home {at.root}")


def read_backup(home: Home, file: Path) -> int:
    """Unpack into an empty home; nothing is written unless the whole archive is sound.

    Raises Refused for a home in use, an archive of something else, or a damaged one.
    """
    for name in (_DATABASE, "secrets"):
        if (home.root / name).exists():
            raise Refused(f"{home.root} has {name} already; restore into a new home")
    home.root.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=home.root.parent) as scratch:
        try:
            with tarfile.open(file, mode="r:gz") as archive:
                names = [member.name for member in archive.getmembers()]
                strange = [n for n in names if n.split("/")[0] not in (*_KEPT, _DATABASE)]
                if strange or not names:
                    raise Refused(f"{file} is not a backup: it holds {strange[:1] or 'nothing'}")
                archive.extractall(scratch, filter="data")
        except (tarfile.TarError, EOFError, OSError) as error:
            raise Refused(f"{file} cannot be read as a backup: {error}") from error
        home.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        for entry in Path(scratch).iterdir():
            entry.rename(home.root / entry.name)
    secrets = home.root / "secrets"
    if secrets.is_dir():
        secrets.chmod(0o700)
        for path in secrets.iterdir():
            path.chmod(0o600)
    return len(names)


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
