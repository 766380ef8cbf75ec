"""Backup and restore: the same home comes back, and a hostile archive leaves nothing behind."""

from __future__ import annotations

import gzip
import io
import os
import sqlite3
import stat
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.backup import read_backup, write_backup
from console.door import Refused
from incident.home import Home

Member = tuple[tarfile.TarInfo, bytes]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home with everything that is kept, and some that is not."""
    home = Home.at(tmp_path / "home")
    for folder in (home.secrets, home.plans, home.studio / "n" / "en", home.callback_spool):
        folder.mkdir(parents=True)
    home.secrets.chmod(0o700)
    home.settings_file.write_text('bind = "127.0.0.9"\n')
    key = home.secrets / "master.key"
    key.write_bytes(b"k" * 32)
    key.chmod(0o600)
    (home.plans / "northwind.yaml").write_text("incident: northwind\n")
    (home.studio / "n" / "en" / "greeting.wav").write_bytes(b"RIFF")
    (home.callback_spool / "one.sealed").write_bytes(b"\x01")
    (home.root / "log").mkdir()
    (home.root / "log" / "hotline.log").write_text("not kept")
    with sqlite3.connect(home.database_file) as database:
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("CREATE TABLE t (x)")
        database.execute("INSERT INTO t VALUES (7)")
    database.close()
    return home


def contents(root: Path) -> dict[str, bytes]:
    files = (path for path in root.rglob("*") if path.is_file())
    return {str(path.relative_to(root)): path.read_bytes() for path in files}


def test_what_is_kept_comes_back_readable_by_its_owner_alone(home: Home, tmp_path: Path) -> None:
    before = {
        name: data
        for name, data in contents(home.root).items()
        if not name.startswith(("log/", "breachline.db"))
    }
    file = tmp_path / "b.tar.gz"
    # What an open connection has written but not yet moved into the file belongs to it too.
    writer = sqlite3.connect(home.database_file)
    writer.execute("INSERT INTO t VALUES (8)")
    writer.commit()
    try:
        assert write_backup(home, file, with_database=True) == 6
    finally:
        writer.close()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    back = Home.at(tmp_path / "deep" / "back")
    assert read_backup(back, file) == 6
    after = contents(back.root)
    database = after.pop("breachline.db")
    assert database.startswith(b"SQLite format 3")
    assert after == before
    copy = sqlite3.connect(back.database_file)
    try:
        assert copy.execute("SELECT x FROM t ORDER BY x").fetchall() == [(7,), (8,)]
    finally:
        copy.close()
    for path in (back.root, *back.root.rglob("*")):
        expected = 0o700 if path.is_dir() else 0o600
        assert stat.S_IMODE(path.stat().st_mode) == expected, path


def test_without_the_database_and_through_links(home: Home, tmp_path: Path) -> None:
    recording = tmp_path / "elsewhere.wav"
    recording.write_bytes(b"WAVE")
    (home.studio / "linked.wav").symlink_to(recording)
    os.link(home.studio / "n" / "en" / "greeting.wav", home.studio / "same.wav")
    file = tmp_path / "b.tar.gz"
    write_backup(home, file, with_database=False)
    recording.unlink()
    back = Home.at(tmp_path / "back")
    read_backup(back, file)
    assert not back.database_file.exists()
    assert (back.studio / "linked.wav").read_bytes() == b"WAVE"
    assert (back.studio / "same.wav").read_bytes() == b"RIFF"


def test_a_backup_never_replaces_a_file_nor_leaves_half_of_one(home: Home, tmp_path: Path) -> None:
    file = tmp_path / "b.tar.gz"
    file.write_text("mine")
    with pytest.raises(Refused, match="exists already"):
        write_backup(home, file, with_database=True)
    assert file.read_text() == "mine"
    home.database_file.write_bytes(b"no database at all" * 100)
    half = tmp_path / "half.tar.gz"
    with pytest.raises(sqlite3.DatabaseError):
        write_backup(home, half, with_database=True)
    assert not half.exists()


@pytest.mark.parametrize("name", ["breachline.db", "breachline.db-wal", "secrets", "x"])
def test_a_home_in_use_is_refused(home: Home, tmp_path: Path, name: str) -> None:
    file = tmp_path / "b.tar.gz"
    write_backup(home, file, with_database=True)
    used = Home.at(tmp_path / "used")
    used.root.mkdir()
    read_backup(used, file)  # an empty folder is a new home
    other = Home.at(tmp_path / "other")
    other.root.mkdir()
    (other.root / name).write_text("mine")
    with pytest.raises(Refused, match=f"has {name} already"):
        read_backup(other, file)
    assert contents(other.root) == {name: b"mine"}


def archive(file: Path, *members: Member) -> Path:
    with tarfile.open(file, "w:gz") as made:
        for info, data in members:
            info.size = len(data)
            made.addfile(info, io.BytesIO(data))
    return file


def plain(name: str, data: bytes = b"x") -> Member:
    return tarfile.TarInfo(name), data


def of_type(name: str, kind: bytes, target: str = "") -> Member:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info, b""


@pytest.mark.parametrize(
    "bad",
    [
        plain("../escaped"),
        plain("plans/../../escaped"),
        plain("plans/./x"),
        plain("/plans/x"),
        plain("/etc/escaped"),
        plain("./plans/x"),
        plain("log/x"),
        plain("breachline.toml/x"),
        plain("secrets"),
        plain("asterisk/etc/manager.conf"),
        of_type("secrets/link", tarfile.SYMTYPE, "/etc/passwd"),
        of_type("plans/link", tarfile.SYMTYPE, "../breachline.toml"),
        of_type("secrets", tarfile.SYMTYPE, "plans"),
        of_type("plans/hard", tarfile.LNKTYPE, "breachline.toml"),
        of_type("spool/device", tarfile.CHRTYPE),
        of_type("spool/pipe", tarfile.FIFOTYPE),
        of_type("plans/folder", tarfile.DIRTYPE),
    ],
    ids=lambda member: f"{member[0].type.decode()} {member[0].name}",
)
def test_a_hostile_archive_leaves_nothing_behind(tmp_path: Path, bad: Member) -> None:
    file = archive(tmp_path / "bad.tar.gz", plain("breachline.toml"), bad, plain("plans/last"))
    folder = tmp_path / "empty"
    folder.mkdir()
    with pytest.raises(Refused, match="is not a backup: it holds"):
        read_backup(Home.at(folder / "home"), file)
    assert list(folder.iterdir()) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.tar.gz", "empty"]


def truncated(data: bytes) -> bytes:
    return data[: len(data) // 2]


def flipped(data: bytes) -> bytes:
    middle = len(data) // 2
    return (
        data[:middle]
        + bytes(each ^ 0xFF for each in data[middle : middle + 8])
        + data[middle + 8 :]
    )


@pytest.mark.parametrize("spoil", [truncated, flipped, lambda _: b"", lambda _: b"no archive"])
def test_a_damaged_archive_leaves_nothing_behind(
    home: Home, tmp_path: Path, spoil: Callable[[bytes], bytes]
) -> None:
    (home.plans / "big.yaml").write_bytes(os.urandom(50_000))
    file = tmp_path / "b.tar.gz"
    write_backup(home, file, with_database=True)
    file.write_bytes(spoil(file.read_bytes()))
    folder = tmp_path / "empty"
    folder.mkdir()
    with pytest.raises(Refused, match="cannot be read as a backup"):
        read_backup(Home.at(folder / "home"), file)
    assert list(folder.iterdir()) == []


def test_an_empty_archive_is_no_backup(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="it holds nothing"):
        read_backup(Home.at(tmp_path / "home"), archive(tmp_path / "b.tar.gz"))


@given(st.data())
def test_whatever_an_archive_holds_only_refusals_come(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Bytes of the uncompressed archive are changed: gzip's own checks do not help here."""
    folder = tmp_path_factory.mktemp("fuzz")
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.PAX_FORMAT) as made:
        info = tarfile.TarInfo("plans/ñ" + "x" * 120)
        info.size = 3
        made.addfile(info, io.BytesIO(b"abc"))
    content = bytearray(raw.getvalue()[:2560])
    changes = st.tuples(st.integers(0, len(content) - 1), st.integers(0, 255))
    for at, value in data.draw(st.lists(changes, min_size=1, max_size=6)):
        content[at] = value
    file = folder / "b.tar.gz"
    file.write_bytes(gzip.compress(bytes(content)))
    try:
        read_backup(Home.at(folder / "home"), file)
    except Refused:
        assert [path.name for path in folder.iterdir()] == ["b.tar.gz"]
