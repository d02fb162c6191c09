"""Encryption keys for tests, made of their names."""

import hashlib

from diegod.security.at_rest import Keyring, MasterKey


def ring(active: str, *others: str) -> Keyring:
    """A keyring with these keys at hand; "" as the active one encrypts nothing."""
    names = [name for name in (active, *others) if name]
    return Keyring(active, {name: key(name) for name in names})


def key(name: str, secret_of: str = "") -> MasterKey:
    """The key of this name; with the bytes of another one if that is said."""
    return MasterKey(name, hashlib.sha256((secret_of or name).encode()).digest())
