"""Keys and sealing: what opens what, and what is refused."""

from __future__ import annotations

import sqlite3
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from incident.home import Home
from incident.privacy import (
    IncidentKey,
    KeyLost,
    KeyMissing,
    Keyring,
    KeyUnsafe,
    NotOurs,
    PrivacyError,
    seal_for,
)

PHONE = "+12025550143"
KEY = IncidentKey(bytes(range(32)))
OTHER = IncidentKey(bytes(range(1, 33)))


@given(st.text())
def test_what_is_encrypted_is_read_again(text: str) -> None:
    sealed = KEY.encrypt(text)
    assert KEY.decrypt(sealed) == text
    assert len(sealed) == 1 + 12 + len(text.encode()) + 16


@given(st.lists(st.text(max_size=20), max_size=20))
def test_many_are_encrypted_like_one(texts: list[str]) -> None:
    sealed = KEY.encrypt_many(texts)
    assert [KEY.decrypt(value) for value in sealed] == texts
    assert len({value[1:13] for value in sealed}) == len(texts)


def test_a_number_is_not_in_its_ciphertext_and_never_sealed_alike() -> None:
    one, two = KEY.encrypt(PHONE), KEY.encrypt(PHONE)
    assert one != two
    assert PHONE.encode() not in one
    assert PHONE[1:].encode() not in one


@given(st.binary(max_size=200))
def test_sealed_messages_open_with_the_incidents_key_alone(data: bytes) -> None:
    sealed = seal_for(KEY.public_key, data)
    assert KEY.open_sealed(sealed) == data
    with pytest.raises(NotOurs):
        OTHER.open_sealed(sealed)


@pytest.mark.parametrize("open_it", [KEY.decrypt, KEY.open_sealed])
@given(garbage=st.binary(max_size=120))
def test_garbage_is_not_ours(open_it: Callable[[bytes], object], garbage: bytes) -> None:
    for value in (garbage, b"\x01" + garbage):
        with pytest.raises(NotOurs):
            open_it(value)


def test_every_changed_bit_is_noticed() -> None:
    for sealed, open_it in (
        (KEY.encrypt(PHONE), KEY.decrypt),
        (seal_for(KEY.public_key, b"secret"), KEY.open_sealed),
    ):
        opener: Callable[[bytes], object] = open_it
        for place in range(len(sealed)):
            changed = bytearray(sealed)
            changed[place] ^= 1
            with pytest.raises(NotOurs):
                opener(bytes(changed))


def test_another_incident_reads_and_finds_nothing() -> None:
    with pytest.raises(NotOurs):
        OTHER.decrypt(KEY.encrypt(PHONE))
    assert KEY.lookup_hash(PHONE) != OTHER.lookup_hash(PHONE)


def test_look_up_is_stable_short_and_tells_numbers_apart() -> None:
    again = IncidentKey(bytes(range(32)))
    assert KEY.lookup_hash(PHONE) == again.lookup_hash(PHONE)
    assert len(KEY.lookup_hash(PHONE)) == 16
    assert KEY.lookup_hash(PHONE) != KEY.lookup_hash("+12025550144")


def test_a_bad_public_key_is_refused() -> None:
    for bad in (b"", b"\0" * 31, b"\0" * 32):
        with pytest.raises(PrivacyError):
            seal_for(bad, b"x")


def test_purposes_do_not_mix(tmp_path: Path) -> None:
    keyring = Keyring.open(Home.at(tmp_path / "home"))
    wrapped, sealed = keyring.new_incident_key(), keyring.seal(b"password")
    assert keyring.unseal(sealed) == b"password"
    with pytest.raises(NotOurs):
        keyring.unseal(wrapped)
    with pytest.raises(NotOurs):
        keyring.incident_key(sealed)


def test_the_master_key_is_made_once_private_and_kept(tmp_path: Path) -> None:
    home = Home.at(tmp_path / "new" / "home")
    wrapped = Keyring.open(home).new_incident_key()
    path = home.secrets / "master.key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(home.secrets.stat().st_mode) == 0o700
    assert list(home.secrets.iterdir()) == [path]
    again = Keyring.open(home, create=False).incident_key(wrapped)
    assert again.public_key == Keyring.open(home).incident_key(wrapped).public_key


def test_processes_that_start_together_get_one_key(tmp_path: Path) -> None:
    home = Home.at(tmp_path / "home")
    with ThreadPoolExecutor(8) as pool:
        keyrings = list(pool.map(lambda _: Keyring.open(home), range(32)))
    sealed = keyrings[0].seal(b"x")
    assert [keyring.unseal(sealed) for keyring in keyrings] == [b"x"] * 32
    assert [path.name for path in home.secrets.iterdir()] == ["master.key"]


def test_another_homes_key_opens_nothing(tmp_path: Path) -> None:
    one, two = (Keyring.open(Home.at(tmp_path / name)) for name in ("one", "two"))
    with pytest.raises(NotOurs, match=r"master\.key"):
        two.incident_key(one.new_incident_key())
    with pytest.raises(NotOurs):
        two.unseal(one.seal(b"x"))


def test_a_missing_key_is_not_made_up(tmp_path: Path) -> None:
    home = Home.at(tmp_path)
    with pytest.raises(KeyMissing, match="backup"):
        Keyring.open(home, create=False)
    assert not home.secrets.exists()


@pytest.mark.parametrize("table", ["incidents", "agents"])
def test_a_lost_key_is_not_replaced(tmp_path: Path, table: str) -> None:
    home = Home.at(tmp_path)
    with closing(sqlite3.connect(home.database_file)) as database:
        database.execute(f"CREATE TABLE {table} (id)")
        database.commit()
        Keyring.open(home)  # a database that was just made has nothing yet
        (home.secrets / "master.key").unlink()
        database.execute(f"INSERT INTO {table} VALUES (1)")
        database.commit()
    with pytest.raises(KeyLost, match="backup"):
        Keyring.open(home)
    assert list(home.secrets.iterdir()) == []


def test_a_lost_key_is_not_replaced_where_the_database_is_elsewhere(tmp_path: Path) -> None:
    home = Home.at(tmp_path)
    home.emergency.mkdir()
    (home.emergency / "northwind.json").write_text("{}")
    with pytest.raises(KeyMissing, match="begin anew"):
        Keyring.open(home)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_a_key_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    home = Home.at(tmp_path)
    Keyring.open(home)
    path = home.secrets / "master.key"
    path.chmod(mode)
    with pytest.raises(KeyUnsafe, match="chmod 600"):
        Keyring.open(home)
    path.chmod(0o600)
    Keyring.open(home)


def test_a_folder_that_others_may_enter_is_refused(tmp_path: Path) -> None:
    home = Home.at(tmp_path)
    Keyring.open(home)
    home.secrets.chmod(0o750)
    with pytest.raises(KeyUnsafe, match="chmod 700"):
        Keyring.open(home)


@pytest.mark.parametrize("size", [0, 31, 33])
def test_a_file_that_is_no_key_is_refused(tmp_path: Path, size: int) -> None:
    home = Home.at(tmp_path)
    Keyring.open(home)
    (home.secrets / "master.key").write_bytes(b"k" * size)
    with pytest.raises(KeyUnsafe, match="32 bytes"):
        Keyring.open(home)
