"""Master keys from files, and single values closed and opened with them."""

import base64
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from diegod.security import at_rest
from diegod.security.at_rest import (
    KeysUnusable,
    MasterKey,
    NotOpened,
    Opener,
    Sealer,
    load_keyring,
    read_key,
)
from diegod.security.errors import SecurityError

SECRET = bytes(range(32))
KEY = MasterKey("2026-11", SECRET)
PLACE = b"task\x00key"


def key_file(path: Path, content: bytes | str, mode: int = 0o600) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    path.chmod(mode)
    return path


@pytest.mark.parametrize(
    "content",
    [SECRET.hex(), SECRET.hex().upper() + "\n", base64.b64encode(SECRET) + b"\n"],
)
@pytest.mark.parametrize("mode", [0o600, 0o400, 0o640])
def test_a_key_is_hexadecimal_or_base64(tmp_path: Path, content: bytes | str, mode: int) -> None:
    assert read_key(key_file(tmp_path / "key", content, mode)) == SECRET


@pytest.mark.parametrize(
    "content", ["", "abc", SECRET.hex()[:-2], SECRET.hex() + "00", SECRET, b"\xff" * 44, "=" * 44]
)
def test_nothing_else_is_a_key(tmp_path: Path, content: bytes | str) -> None:
    with pytest.raises(SecurityError, match=r"is neither base64 .* nor 64 hex digits\. Make one: "):
        read_key(key_file(tmp_path / "key", content))


@pytest.mark.parametrize("mode", [0o604, 0o620, 0o644, 0o601 | 0o004])
def test_a_key_that_others_may_read_is_none(tmp_path: Path, mode: int) -> None:
    with pytest.raises(SecurityError, match=rf"has mode {mode:04o}: .* chmod 600 "):
        read_key(key_file(tmp_path / "key", SECRET.hex(), mode))


def test_every_problem_is_said_at_once(tmp_path: Path) -> None:
    files = {
        "a": key_file(tmp_path / "a", SECRET.hex()),
        "b": key_file(tmp_path / "b", base64.b64encode(SECRET)),
        "c": tmp_path / "c",
        "d": key_file(tmp_path / "d", "short"),
    }
    with pytest.raises(KeysUnusable) as refused:
        load_keyring("e", files)
    missing, short, same, active = refused.value.problems
    assert missing.startswith(f'the encryption key "c": {tmp_path / "c"} can\'t be read (no such')
    assert short.startswith('the encryption key "d": ')
    assert same.startswith('the encryption keys "a" and "b" are one and the same.')
    assert active == 'the encryption key "e" is active, but has no file.'


def test_keys_are_known_by_name(tmp_path: Path) -> None:
    files = {
        "a": key_file(tmp_path / "a", SECRET.hex()),
        "b": key_file(tmp_path / "b", bytes(32).hex()),
    }
    keyring = load_keyring("b", files)
    assert keyring.active == "b"
    assert [key.secret for key in keyring.keys.values()] == [SECRET, bytes(32)]
    assert SECRET.hex() not in repr(keyring)
    assert repr(SECRET) not in repr(keyring)


def test_a_check_value_tells_keys_apart_whatever_they_are_called() -> None:
    assert KEY.check == MasterKey("other", SECRET).check
    assert KEY.check != MasterKey("2026-11", bytes(32)).check
    assert len(KEY.check) == 32


@pytest.mark.parametrize("payload", [b"", b"x", os.urandom(5000)])
def test_what_was_sealed_comes_out_of_any_opener_of_its_key(payload: bytes) -> None:
    sealed = Sealer(KEY).seal(PLACE, payload)
    assert len(sealed) == len(payload) + at_rest.OVERHEAD_BYTES
    assert Opener(KEY).open(PLACE, sealed) == payload
    assert payload not in sealed or len(payload) < 2


def test_every_flipped_bit_is_found() -> None:
    sealed = Sealer(KEY).seal(PLACE, b"a payload")
    opener = Opener(KEY)
    for bit in range(8 * len(sealed)):
        flipped = bytearray(sealed)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(NotOpened):
            opener.open(PLACE, bytes(flipped))


def test_every_value_that_is_cut_short_is_found() -> None:
    sealed = Sealer(KEY).seal(PLACE, b"a payload")
    opener = Opener(KEY)
    for length in range(len(sealed)):
        with pytest.raises(NotOpened):
            opener.open(PLACE, sealed[:length])


def test_it_opens_with_its_own_key_and_place_only() -> None:
    sealed = Sealer(KEY).seal(PLACE, b"a payload")
    with pytest.raises(NotOpened):
        Opener(MasterKey("2026-11", bytes(32))).open(PLACE, sealed)
    with pytest.raises(NotOpened):
        Opener(KEY).open(b"task\x00kez", sealed)


def test_derived_keys_are_remembered_but_not_without_bound(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    derived: list[bytes | None] = []
    derive: Callable[..., bytes] = at_rest._derived

    def counted(secret: bytes, salt: bytes | None, purpose: bytes, length: int) -> bytes:
        derived.append(salt)
        return derive(secret, salt, purpose, length)

    monkeypatch.setattr(at_rest, "_derived", counted)
    monkeypatch.setattr(at_rest, "_DATA_KEYS_MAX", 3)
    sealed = [Sealer(KEY).seal(PLACE, b"%d" % number) for number in range(4)]
    derived.clear()
    opener = Opener(KEY)
    for _ in range(10):
        opener.open(PLACE, sealed[0])
    assert len(derived) == 1
    assert [opener.open(PLACE, each) for each in sealed] == [b"0", b"1", b"2", b"3"]
    assert len(derived) == 4
    assert len(opener._ciphers) == 3
    assert opener.open(PLACE, sealed[0]) == b"0"  # forgotten, and derived again
    assert len(derived) == 5
