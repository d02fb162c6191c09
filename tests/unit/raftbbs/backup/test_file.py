"""The file of a backup: whole or refused, wherever it was damaged."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diegod.raftbbs.backup import file
from diegod.raftbbs.backup.copying import take
from diegod.raftbbs.backup.file import BackupRefused, Manifest
from diegod.raftbbs.store.environment import DATA_FILE
from tests.unit.raftbbs.backup.stores import BIRTH, COMMANDS, a_store

NOW = 1_900_000_000.25


@pytest.fixture(scope="module")
def backup(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("backup")
    path = folder / "one.backup"
    with a_store(folder / "store") as environment:
        manifest = take(environment, folder / "copy", NOW)
    with (folder / "copy" / DATA_FILE).open("rb") as data:
        file.write(path, file.pieces(manifest, data))
    return path


def _header_bytes(path: Path) -> int:
    return path.stat().st_size - file.read_manifest(path).size


def test_a_manifest_says_what_it_is_of(backup: Path) -> None:
    manifest = file.read_manifest(backup)
    assert (manifest.cluster_id, manifest.cluster_name) == (BIRTH.cluster_id, BIRTH.cluster_name)
    assert (manifest.member_id, manifest.epoch) == ("m1", 1)
    assert manifest.revision == len(COMMANDS)
    assert (manifest.applied_index, manifest.applied_term) == (len(COMMANDS) + 1, 4)
    assert manifest.taken_at_s == NOW
    assert manifest.counts["task"] == 3
    assert manifest.counts["actual_lrp"] == 2
    assert len(bytes.fromhex(manifest.state_hash)) == 32
    assert manifest.state_hash.strip("0")
    assert not manifest.key_names


def test_it_is_whole_and_only_its_owner_reads_it(backup: Path, tmp_path: Path) -> None:
    manifest = file.extract(backup, tmp_path)
    assert file.data_digest(tmp_path / DATA_FILE) == (manifest.size, manifest.digest)
    assert file.require_whole(backup) == manifest
    assert backup.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / DATA_FILE).stat().st_mode & 0o777 == 0o600


def _damaged(backup: Path, folder: Path, at: int) -> Path:
    content = bytearray(backup.read_bytes())
    content[at] ^= 0x20
    path = folder / "damaged.backup"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("part", ["header", "data"])
def test_every_byte_counts(backup: Path, tmp_path: Path, part: str) -> None:
    """Each byte of the lines before the data, and many of the data, its first and last too."""
    size, header = backup.stat().st_size, _header_bytes(backup)
    step = max(1, (size - header) // 400)
    places = range(header) if part == "header" else [*range(header, size, step), size - 1]
    for at in places:
        with pytest.raises(BackupRefused):
            file.require_whole(_damaged(backup, tmp_path, at))


@given(st.data())
def test_no_part_of_it_is_taken_for_the_whole(backup: Path, data: st.DataObject) -> None:
    content = backup.read_bytes()
    cut = data.draw(st.integers(0, len(content) - 1))
    path = backup.with_name("cut.backup")
    path.write_bytes(content[:cut])
    with pytest.raises(BackupRefused):
        file.read_manifest(path)


def test_what_follows_its_end_is_damage(backup: Path, tmp_path: Path) -> None:
    path = tmp_path / "longer.backup"
    path.write_bytes(backup.read_bytes() + b"x")
    with pytest.raises(BackupRefused, match="bytes of data should be in it"):
        file.read_manifest(path)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "is no backup of a BBS"),
        (b"hello, world\n", "is no backup of a BBS"),
        (b"diegod backup 2\n{}", "a format of a later version"),
        (b"diegod backup 1\n" + b"{" * 100, "its manifest has another digest"),
    ],
)
def test_another_file_is_told_apart(tmp_path: Path, content: bytes, why: str) -> None:
    path = tmp_path / "other"
    path.write_bytes(content)
    with pytest.raises(BackupRefused, match=why):
        file.read_manifest(path)


def _manifest(backup: Path) -> Manifest:
    return file.read_manifest(backup)


def test_no_backup_is_overwritten_and_nothing_is_left_aside(backup: Path, tmp_path: Path) -> None:
    path = tmp_path / "mine"
    path.write_text("precious")
    with pytest.raises(FileExistsError):
        file.write(path, [b"new"])
    assert path.read_text() == "precious"
    assert os.listdir(tmp_path) == ["mine"]


def test_a_write_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def pieces() -> Iterator[bytes]:
        yield b"half"
        raise OSError("no space left on device")

    with pytest.raises(OSError, match="no space"):
        file.write(tmp_path / "b", pieces())
    assert os.listdir(tmp_path) == []


def test_a_field_of_a_later_version_is_passed_over(backup: Path) -> None:
    from dataclasses import asdict

    record = asdict(_manifest(backup)) | {"a_later_field": 7}
    assert file._manifest(record) == _manifest(backup)
