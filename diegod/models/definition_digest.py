"""The digest of a definition: a cell says by it what it runs, and the BBS whether it is wanted."""

import hashlib

from diegod.v1.definition_pb2 import LrpDefinition

_DIGEST_BYTES = 16


def digest_of(definition: LrpDefinition) -> bytes:
    """Of a definition that somebody has opened."""
    return digest_of_closed(definition.SerializeToString(deterministic=True))


def digest_of_closed(definition: bytes) -> bytes:
    """Of a definition as it is stored: serialised deterministically."""
    return hashlib.blake2b(definition, digest_size=_DIGEST_BYTES).digest()
