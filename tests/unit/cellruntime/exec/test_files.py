"""A program's file is read with no more rights than the program has."""

import os
from pathlib import Path

import pytest

from diegod.cellruntime.exec.files import read_beginning
from diegod.cellruntime.exec.records import UserIds

ME = UserIds(os.getuid(), os.getgid(), [])
SOMEBODY = UserIds(os.getuid() + 1, os.getgid(), [])


def test_its_beginning(tmp_path: Path) -> None:
    (tmp_path / "result").write_bytes(b"abcdef")
    assert read_beginning(tmp_path / "result", 4, None) == b"abcd"
    assert read_beginning(tmp_path / "result", 40, ME) == b"abcdef"


@pytest.mark.parametrize("user", [None, ME])
def test_neither_link_nor_fifo_nor_folder_nor_nothing(tmp_path: Path, user: UserIds | None) -> None:
    (tmp_path / "secret").write_bytes(b"x")
    (tmp_path / "link").symlink_to(tmp_path / "secret")
    os.mkfifo(tmp_path / "fifo")
    for name in ("link", "fifo", ".", "none", "secret/below"):
        assert read_beginning(tmp_path / name, 10, user) is None, name


def test_another_users_file_is_not_shown_by_a_hard_link_or_a_link_on_the_way(
    tmp_path: Path,
) -> None:
    (tmp_path / "hidden").mkdir()
    (tmp_path / "hidden/secret").write_bytes(b"x")
    (tmp_path / "way").symlink_to(tmp_path / "hidden")
    os.link(tmp_path / "hidden/secret", tmp_path / "hard")
    for name in ("hard", "way/secret"):
        assert read_beginning(tmp_path / name, 10, SOMEBODY) is None
        assert read_beginning(tmp_path / name, 10, ME) == b"x"


def test_a_file_exchanged_between_looking_and_opening_is_looked_at_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, fifo = tmp_path / "result", tmp_path / "fifo"
    path.write_bytes(b"x")
    os.mkfifo(fifo)
    opened = os.open
    monkeypatch.setattr(os, "open", lambda _, flags: opened(fifo, flags))
    assert read_beginning(path, 10, None) is None
