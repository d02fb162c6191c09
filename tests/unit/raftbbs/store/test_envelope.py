"""The envelope of every stored value."""

import pytest

from diegod.raftbbs.store.envelope import PLAIN_ENVELOPE, EnvelopeError

PLACE = b"task\x00key"
wrap, unwrap = PLAIN_ENVELOPE.wrap, PLAIN_ENVELOPE.unwrap


@pytest.mark.parametrize("payload", [b"", b"x", b"\x00" * 1000])
def test_what_is_wrapped_comes_out(payload: bytes) -> None:
    stored = wrap(PLACE, payload)
    assert stored[:2] == b"\x02\x00"
    assert unwrap(PLACE, stored) == payload


@pytest.mark.parametrize(
    ("stored", "complaint"),
    [
        (b"", "a value in task has 0 bytes, too few: the store is damaged"),
        (b"\x02\x00xxx", "has 5 bytes, too few: the store is damaged"),
        (b"\x00\x00xxxxx", "has format 0, this version reads format 2"),
        (b"\x03\x00xxxxx", "was written by a later version"),
        (b"\x02\x07xxxxx", "encrypted with key 7, which is not at hand"),
        (b"\x02\x00xxxxx", "has a wrong checksum: the store is damaged"),
    ],
)
def test_anything_else_is_refused(stored: bytes, complaint: str) -> None:
    with pytest.raises(EnvelopeError, match=complaint):
        unwrap(PLACE, stored)


def test_every_flipped_bit_is_found() -> None:
    stored = wrap(PLACE, b"a payload")
    for bit in range(8 * len(stored)):
        flipped = bytearray(stored)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(EnvelopeError):
            unwrap(PLACE, bytes(flipped))


@pytest.mark.parametrize("elsewhere", [b"task\x00kez", b"tasl\x00key", b"task\x00"])
def test_a_value_belongs_to_its_place(elsewhere: bytes) -> None:
    with pytest.raises(EnvelopeError, match="wrong checksum"):
        unwrap(elsewhere, wrap(PLACE, b"a payload"))
