"""Personal data at rest: who may read what, and with which key.

Three layers of keys. The *master key* is a file of the home. Each incident has a random *data
key*, stored wrapped (encrypted) by the master key, so that an incident's data can be destroyed
by destroying 32 bytes. From a data key three sub-keys are derived (HKDF-SHA256, RFC 5869): one
encrypts (AES-256-GCM, random 96-bit nonces, NIST SP 800-38D), one makes look-up hashes
(HMAC-SHA256 cut to 16 bytes), one is an X25519 key pair (RFC 7748) whose public half lets the
emergency path seal what only the hotline can open.

Every sealed value begins with a format byte, and its purpose is authenticated with it: a
ciphertext moved to another purpose or another incident does not open.
"""

from __future__ import annotations

import hmac
import os
import secrets
import sqlite3
import stat
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from incident.home import Home

KEY_BYTES = 32
LOOKUP_BYTES = 16
_NONCE_BYTES = 12
_TAG_BYTES = 16
_FORMAT = b"\x01"

_WRAP = b"breachline/incident-key"
_HOME = b"breachline/home-secret"
_TEXT = b"breachline/text"
_LOOKUP = b"breachline/lookup"
_SEAL = b"breachline/sealed"


class PrivacyError(Exception):
    """Personal data could not be sealed or opened."""


class KeyMissing(PrivacyError):
    """The home has no master key; without it nothing sealed can be read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        super().__init__(f"{path} is missing; restore it from the backup of this home")


class KeyLost(KeyMissing):
    """The master key is gone, but its home has been in use: ``data`` is still there. A new key
    would open nothing of it, so none is made."""

    def __init__(self, path: Path, data: Path) -> None:
        super().__init__(path)
        self.data = data
        self.args = (
            f"{path} is missing, but {data} was made with it and cannot be read with another "
            "key; restore the key from the backup of this home, or move the data away to "
            "begin anew",
        )


class KeyUnsafe(PrivacyError):
    """The master key or its folder can be read by others, or is not a key at all."""

    def __init__(self, path: Path, reason: str) -> None:
        self.path = path
        self.reason = reason
        super().__init__(f"{path} {reason}")


class NotOurs(PrivacyError):
    """A sealed value was made with another key, for another purpose, or was changed."""

    def __init__(self, what: str) -> None:
        self.what = what
        super().__init__(
            f"{what} does not open with this key: it was damaged, or sealed in another home "
            "(restore the database together with its secrets/master.key)"
        )


class IncidentKey:
    """One incident's keys, derived from its data key. ``public_key``: 32 bytes, X25519."""

    def __init__(self, data_key: bytes) -> None:
        if len(data_key) != KEY_BYTES:
            raise NotOurs("the incident's data key")
        self._cipher = AESGCM(_derive(data_key, _TEXT))
        self._lookup = _derive(data_key, _LOOKUP)
        self._private = X25519PrivateKey.from_private_bytes(_derive(data_key, _SEAL))
        self.public_key = self._private.public_key().public_bytes_raw()

    def encrypt(self, text: str) -> bytes:
        """Seal a text (a phone number, a name); equal texts give different results."""
        return _encrypt(self._cipher, text.encode(), _TEXT)

    def encrypt_many(self, texts: Sequence[str]) -> list[bytes]:
        """``encrypt`` of each text; faster for an import's thousands."""
        encrypt = self._cipher.encrypt
        nonces = os.urandom(_NONCE_BYTES * len(texts))
        sealed = []
        for start, text in zip(range(0, len(nonces), _NONCE_BYTES), texts, strict=True):
            nonce = nonces[start : start + _NONCE_BYTES]
            sealed.append(_FORMAT + nonce + encrypt(nonce, text.encode(), _TEXT))
        return sealed

    def decrypt(self, sealed: bytes) -> str:
        """Open what ``encrypt`` sealed. Raises NotOurs."""
        return _decrypt(self._cipher, sealed, _TEXT, "a sealed text").decode()

    def lookup_hash(self, e164: str) -> bytes:
        """A number's keyed hash: equal numbers of this incident give equal hashes."""
        return hmac.digest(self._lookup, e164.encode(), "sha256")[:LOOKUP_BYTES]

    def open_sealed(self, sealed: bytes) -> bytes:
        """Open what ``seal_for`` sealed for this incident's public key. Raises NotOurs."""
        what = "a sealed message"
        ephemeral, box = sealed[1 : 1 + KEY_BYTES], sealed[1 + KEY_BYTES :]
        if sealed[:1] != _FORMAT or len(ephemeral) != KEY_BYTES:
            raise NotOurs(what)
        try:
            shared = self._private.exchange(X25519PublicKey.from_public_bytes(ephemeral))
        except ValueError as error:
            raise NotOurs(what) from error
        cipher = AESGCM(_agreed(shared, ephemeral, self.public_key))
        return _decrypt(cipher, box, _SEAL, what)


class Keyring:
    """The home's master key, and what it wraps."""

    def __init__(self, master_key: bytes) -> None:
        self._wrap = AESGCM(_derive(master_key, _WRAP))
        self._home = AESGCM(_derive(master_key, _HOME))

    @classmethod
    def open(cls, home: Home, *, create: bool = True) -> Keyring:
        """Read the home's master key; with ``create``, make it where there is none yet.

        Raises KeyMissing (KeyLost where the home already holds data of a key), and KeyUnsafe
        when file or folder are open to others.
        """
        path = home.secrets / "master.key"
        if create and not path.exists():
            data = _made_with_a_key(home)
            # Asked again: another process may have made key and data since.
            if data is not None and not path.exists():
                raise KeyLost(path, data)
            _create(path)
        return cls(_read(path))

    def new_incident_key(self) -> bytes:
        """A new incident's random data key, wrapped for the store."""
        return _encrypt(self._wrap, secrets.token_bytes(KEY_BYTES), _WRAP)

    def incident_key(self, wrapped: bytes) -> IncidentKey:
        """Raises NotOurs for a key that another home wrapped."""
        return IncidentKey(_decrypt(self._wrap, wrapped, _WRAP, "the incident's key"))

    def seal(self, data: bytes) -> bytes:
        """Seal a secret of the home (an agent's SIP password)."""
        return _encrypt(self._home, data, _HOME)

    def unseal(self, sealed: bytes) -> bytes:
        """Raises NotOurs."""
        return _decrypt(self._home, sealed, _HOME, "a secret of this home")


def seal_for(public_key: bytes, data: bytes) -> bytes:
    """Seal for the holder of an incident's key; needs no secret and cannot be opened again here.

    Raises PrivacyError for a public key that is none.
    """
    private = X25519PrivateKey.generate()
    ephemeral = private.public_key().public_bytes_raw()
    try:
        shared = private.exchange(X25519PublicKey.from_public_bytes(public_key))
    except ValueError as error:
        raise PrivacyError("the incident's public key is not an X25519 key") from error
    cipher = AESGCM(_agreed(shared, ephemeral, public_key))
    return _FORMAT + ephemeral + _encrypt(cipher, data, _SEAL)


def _derive(key: bytes, purpose: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=purpose).derive(key)


def _agreed(shared: bytes, ephemeral: bytes, public_key: bytes) -> bytes:
    # Both public keys go in, as in HPKE (RFC 9180): a message is bound to its recipient.
    salt = ephemeral + public_key
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=salt, info=_SEAL).derive(shared)


def _encrypt(cipher: AESGCM, data: bytes, purpose: bytes) -> bytes:
    nonce = os.urandom(_NONCE_BYTES)
    return _FORMAT + nonce + cipher.encrypt(nonce, data, purpose)


def _decrypt(cipher: AESGCM, sealed: bytes, purpose: bytes, what: str) -> bytes:
    if sealed[:1] != _FORMAT or len(sealed) < 1 + _NONCE_BYTES + _TAG_BYTES:
        raise NotOurs(what)
    nonce, box = sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
    try:
        return cipher.decrypt(nonce, box, purpose)
    except InvalidTag as error:
        raise NotOurs(what) from error


def _made_with_a_key(home: Home) -> Path | None:
    """What a home in use has, if it is in use: an incident or an agent in its database, an
    emergency pack (there is one wherever the database is), a sealed request."""
    if _holds_secrets(home.database_file):
        return home.database_file
    for folder in (home.emergency, home.callback_spool):
        if folder.is_dir() and any(folder.iterdir()):
            return folder
    return None


def _holds_secrets(database: Path) -> bool:
    if not database.is_file():
        return False
    try:
        with closing(
            sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True, timeout=30)
        ) as connection:
            there = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
            return any(
                connection.execute(f"SELECT 1 FROM {table} LIMIT 1").fetchone()  # noqa: S608
                for table in ("incidents", "agents")
                if table in there
            )
    except sqlite3.DatabaseError:
        return True  # nobody knows what is in it: the key of another home would not help it


def _create(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(KEY_BYTES))
            file.flush()
            os.fsync(file.fileno())
        # A link appears whole or not at all, and never replaces another process's key.
        path.hardlink_to(draft)
    except FileExistsError:
        return
    finally:
        draft.unlink()
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)  # the name, too, survives a power cut: data will need this key
    finally:
        os.close(folder)


def _read(path: Path) -> bytes:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise KeyMissing(path) from error
    with os.fdopen(descriptor, "rb") as file:
        _refuse_loose(path.parent, path.parent.stat(), "chmod 700")
        _refuse_loose(path, os.fstat(file.fileno()), "chmod 600")
        key = file.read(KEY_BYTES + 1)
    if len(key) != KEY_BYTES:
        raise KeyUnsafe(path, f"is not a master key: {KEY_BYTES} bytes are expected")
    return key


def _refuse_loose(path: Path, found: os.stat_result, remedy: str) -> None:
    mode = stat.S_IMODE(found.st_mode)
    if mode & 0o077:
        raise KeyUnsafe(path, f"is open to others (mode {mode:04o}); run: {remedy} {path}")
