"""Keys for what lies on disk: read from files, and used to close and open single values.

A master key (32 bytes, of a file of its own) never encrypts anything. Each opening of a store draws
a salt, makes a data key of master key and salt by HKDF, and numbers the values that it closes: the
number is the nonce of AES-256-GCM. So no pair of data key and nonce comes twice, whatever is lost
in a crash, copied with a store, or opened by two processes at once. A closed value is

    salt (16 bytes), number (8), ciphertext and tag (16 more than the payload)

and is bound to its place by GCM's associated data. Does not belong here: what a place is, and which
key a store needs (`raftbbs.store`).
"""

import base64
import binascii
import os
import re
import stat
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from types import MappingProxyType

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from diegod.security.errors import SecurityError

KEY_BYTES = 32
SALT_BYTES = 16
_NUMBER_BYTES = 8
_TAG_BYTES = 16
OVERHEAD_BYTES = SALT_BYTES + _NUMBER_BYTES + _TAG_BYTES

_NONCE_LEAD = bytes(12 - _NUMBER_BYTES)
_DATA_KEY = b"diegod at rest: data key"
_CHECK = b"diegod at rest: check value"
_CHECK_BYTES = 16
_DATA_KEYS_MAX = 1024  # derived keys that are remembered; a store has one an opening
_FILE_BYTES_MAX = 4096
_HEX = re.compile(rb"[0-9a-fA-F]{64}")
_HOW_TO_MAKE = "Make one: (umask 077; head -c 32 /dev/urandom | base64 > FILE)"


class NotOpened(Exception):  # noqa: N818 - a refusal, not a fault of ours
    """A value that its key does not open: changed, or moved from another place."""


class KeysUnusable(SecurityError):  # noqa: N818 - named for what is found
    """Key files that can't be used: one line a problem."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


@dataclass(frozen=True)
class MasterKey:
    """A key with the name that the settings give it."""

    name: str
    secret: bytes = field(repr=False)

    @property
    def check(self) -> str:
        """By which the key is known again. It tells nothing about the key."""
        return _derived(self.secret, None, _CHECK, _CHECK_BYTES).hex()


@dataclass(frozen=True)
class Keyring:
    """Every key at hand, and the name of the one to encrypt with; "": nothing is encrypted."""

    active: str = ""
    keys: Mapping[str, MasterKey] = field(default_factory=lambda: MappingProxyType({}))


NO_KEYS = Keyring()


def load_keyring(active: str, files: Mapping[str, Path]) -> Keyring:
    """The keys of these files, by name. Raises KeysUnusable with every problem at once."""
    keys: dict[str, MasterKey] = {}
    problems: list[str] = []
    for name, path in files.items():
        try:
            keys[name] = MasterKey(name, read_key(path))
        except SecurityError as error:
            problems.append(f'the encryption key "{name}": {error.message}')
    names: dict[bytes, str] = {}
    for name, key in keys.items():
        if (other := names.setdefault(key.secret, name)) != name:
            problems.append(
                f'the encryption keys "{other}" and "{name}" are one and the same. '
                f"A new name needs a new key. {_HOW_TO_MAKE}"
            )
    if active and active not in files:
        problems.append(f'the encryption key "{active}" is active, but has no file.')
    if problems:
        raise KeysUnusable(problems)
    return Keyring(active, MappingProxyType(keys))


def read_key(path: Path) -> bytes:
    """The key in a file: 64 hex digits, or base64 of 32 bytes; for nobody else to read."""
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            text = file.read(_FILE_BYTES_MAX).strip()
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise SecurityError(f"{path} can't be read ({why}). {_HOW_TO_MAKE}") from None
    if stat.S_IMODE(mode) & 0o027:
        raise SecurityError(
            f"{path} has mode {stat.S_IMODE(mode):04o}: others may read it, or its group may "
            f"write it. chmod 600 {path}"
        )
    secret = _decoded(text)
    if len(secret) != KEY_BYTES:
        raise SecurityError(
            f"{path} is neither base64 of 32 bytes nor 64 hex digits. {_HOW_TO_MAKE}"
        )
    return secret


class Sealer:
    """Closes values with one key, for one opening of a store. Any thread may use it."""

    def __init__(self, key: MasterKey) -> None:
        self._salt = os.urandom(SALT_BYTES)
        self._cipher = _cipher(key, self._salt)
        self._numbers = count(1)  # `next` on it is atomic

    def seal(self, place: bytes, payload: bytes) -> bytes:
        number = next(self._numbers).to_bytes(_NUMBER_BYTES, "big")
        sealed = self._cipher.encrypt(_NONCE_LEAD + number, payload, place)
        return self._salt + number + sealed


class Opener:
    """Opens what any sealer of one key has closed. Any thread may use it."""

    def __init__(self, key: MasterKey) -> None:
        self._key = key
        self._ciphers: dict[bytes, AESGCM] = {}
        self._deriving = threading.Lock()

    def open(self, place: bytes, sealed: bytes) -> bytes:
        """Raises NotOpened."""
        if len(sealed) < OVERHEAD_BYTES:
            raise NotOpened
        salt, number = sealed[:SALT_BYTES], sealed[SALT_BYTES : SALT_BYTES + _NUMBER_BYTES]
        cipher = self._ciphers.get(salt) or self._derive(salt)
        try:
            return cipher.decrypt(
                _NONCE_LEAD + number, sealed[SALT_BYTES + _NUMBER_BYTES :], place
            )
        except InvalidTag:
            raise NotOpened from None

    def _derive(self, salt: bytes) -> AESGCM:
        with self._deriving:
            while len(self._ciphers) >= _DATA_KEYS_MAX:
                del self._ciphers[next(iter(self._ciphers))]
            return self._ciphers.setdefault(salt, _cipher(self._key, salt))


def _cipher(key: MasterKey, salt: bytes) -> AESGCM:
    return AESGCM(_derived(key.secret, salt, _DATA_KEY, KEY_BYTES))


def _derived(secret: bytes, salt: bytes | None, purpose: bytes, length: int) -> bytes:
    return HKDF(SHA256(), length, salt, purpose).derive(secret)


def _decoded(text: bytes) -> bytes:
    if _HEX.fullmatch(text):
        return bytes.fromhex(text.decode())
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        return b""
