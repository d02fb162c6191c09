"""The envelope of every stored value: format, key label, and what proves the payload whole.

    plain       format (1 byte), label 0, CRC-32 of the place and the payload (4), payload

The place is the table and the key that the value belongs to. It is part of the checksum, so that a
value that turns up somewhere else, or whose key was damaged, is not taken for right. Label 0 means:
not encrypted; another label names the key. Whoever reads and writes rows never sees an envelope:
the transactions of `environment` close and open them. Does not belong here: what a payload means.
"""

import struct
import zlib
from typing import Protocol

FORMAT = 2
PLAIN = 0
_HEADER = struct.Struct(">BBI")


class EnvelopeError(ValueError):
    """A stored value that is damaged, or that this version or this member's keys can't read."""


class Envelope(Protocol):
    """How the values of one store are closed and opened."""

    def wrap(self, place: bytes, payload: bytes) -> bytes:
        """The payload as it is stored."""

    def unwrap(self, place: bytes, stored: bytes) -> bytes:
        """The payload of a stored value. Raises EnvelopeError."""


class PlainEnvelope:
    """Not encrypted, but checked."""

    def wrap(self, place: bytes, payload: bytes) -> bytes:
        return _HEADER.pack(FORMAT, PLAIN, zlib.crc32(payload, zlib.crc32(place))) + payload

    def unwrap(self, place: bytes, stored: bytes) -> bytes:
        payload = stored[_HEADER.size :]
        if stored[: _HEADER.size] != _HEADER.pack(
            FORMAT, PLAIN, zlib.crc32(payload, zlib.crc32(place))
        ):
            raise EnvelopeError(complaint(place, stored))
        return payload


PLAIN_ENVELOPE = PlainEnvelope()


def complaint(place: bytes, stored: bytes) -> str:
    """What is wrong with a stored value, for an operator."""
    where = place.split(b"\0", 1)[0].decode(errors="replace")
    if len(stored) < _HEADER.size:
        return f"a value in {where} has {len(stored)} bytes, too few: the store is damaged"
    if stored[0] != FORMAT:
        return (
            f"a value in {where} has format {stored[0]}, this version reads format {FORMAT}: "
            "the store is damaged or was written by a later version of diegod"
        )
    if stored[1] != PLAIN:
        return f"a value in {where} is encrypted with key {stored[1]}, which is not at hand"
    return f"a value in {where} has a wrong checksum: the store is damaged"
