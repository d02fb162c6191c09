"""The files of a TLS folder: secret where they must be, and made at most once."""

import os
import stat
from pathlib import Path

import pytest

from diegod.security.errors import SecurityError
from diegod.security.files import PUBLIC, SECRET, read_file, require_absent, write_new


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_a_secret_is_its_owners_alone_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        write_new(tmp_path / "tls" / "ca.key", b"key", SECRET)
        write_new(tmp_path / "tls" / "ca.crt", b"certificate", PUBLIC)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "tls" / "ca.key").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "tls" / "ca.crt").stat().st_mode) == 0o644 & ~umask
    assert stat.S_IMODE((tmp_path / "tls").stat().st_mode) & 0o077 == 0


def test_nothing_is_overwritten_not_even_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "user.key").write_bytes(b"precious")
    with pytest.raises(SecurityError, match=r"user\.key is already there \(it is never overwr"):
        write_new(tmp_path / "user.key", b"key", SECRET)
    (tmp_path / "link.key").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(SecurityError, match=r"link\.key can't be written \(file exists\)"):
        write_new(tmp_path / "link.key", b"key", SECRET)
    assert (tmp_path / "user.key").read_bytes() == b"precious"
    assert not (tmp_path / "elsewhere").exists()


def test_the_first_file_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "b").write_bytes(b"")
    with pytest.raises(SecurityError, match=f"^{tmp_path / 'b'} is already there"):
        require_absent([tmp_path / "a", tmp_path / "b"])


def test_what_can_not_be_read_says_why(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"content")
    assert read_file(tmp_path / "a", "your file", "Make one.") == b"content"
    with pytest.raises(SecurityError) as missing:
        read_file(tmp_path / "b", "your file", "Make one.")
    assert missing.value.message == (
        f"your file {tmp_path / 'b'} is missing (no such file or directory). Make one."
    )
    with pytest.raises(SecurityError, match=r"can't be read \(is a directory\)\. Check"):
        read_file(tmp_path, "your file", "Make one.")
