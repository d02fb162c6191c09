"""The envelope of every stored value."""

import pytest

from diegod.raftbbs.store.envelope import EnvelopeError, unwrap, wrap


@pytest.mark.parametrize("payload", [b"", b"x", b"\x00" * 1000])
def test_what_is_wrapped_comes_out(payload: bytes) -> None:
    assert wrap(payload) == b"\x01\x00" + payload
    assert unwrap(wrap(payload)) == payload


@pytest.mark.parametrize(
    ("stored", "complaint"),
    [
        (b"", "too short: the store is damaged"),
        (b"\x01", "too short: the store is damaged"),
        (b"\x00\x00x", "has format 0, this version reads format 1"),
        (b"\x02\x00x", "was written by a later version"),
        (b"\x01\x07x", "encrypted with key 7, which this version can't use"),
    ],
)
def test_anything_else_is_refused(stored: bytes, complaint: str) -> None:
    with pytest.raises(EnvelopeError, match=complaint):
        unwrap(stored)
