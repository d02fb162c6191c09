"""The envelope of every stored value: one byte of format, one byte of key label, the payload.

Label 0 means: not encrypted. The byte is there from the first release, so that encryption at rest
and the rotation of its keys need no new format. Does not belong here: what a payload means.
"""

FORMAT = 1
PLAIN = 0
_HEADER = bytes([FORMAT, PLAIN])


class EnvelopeError(ValueError):
    """A stored value that this version can't read."""


def wrap(payload: bytes) -> bytes:
    """The payload as it is stored."""
    return _HEADER + payload


def unwrap(stored: bytes) -> bytes:
    """The payload of a stored value."""
    if stored[:2] != _HEADER:
        raise EnvelopeError(_complaint(stored))
    return stored[2:]


def _complaint(stored: bytes) -> str:
    if len(stored) < len(_HEADER):
        return f"a stored value of {len(stored)} bytes is too short: the store is damaged"
    if stored[0] != FORMAT:
        return (
            f"a stored value has format {stored[0]}, this version reads format {FORMAT}: "
            "the store is damaged or was written by a later version of diegod"
        )
    return (
        f"a stored value is encrypted with key {stored[1]}, which this version can't use: "
        "run the version of diegod that wrote it"
    )
