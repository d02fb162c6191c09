"""Files of a root file system: no symbolic link leads out."""

import os
from pathlib import Path

import pytest

from diegod_runc.beneath import read_text, replace_text


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "secret").write_text("the host's")
    folder = tmp_path / "root"
    (folder / "etc").mkdir(parents=True)
    (folder / "etc/passwd").write_text("the container's")
    return folder


def test_plain_file(root: Path) -> None:
    assert read_text(root, "etc/passwd") == read_text(root, "/etc/passwd") == "the container's"


def test_link_at_the_end_is_not_followed(root: Path) -> None:
    (root / "etc/link").symlink_to(root.parent / "secret")
    assert read_text(root, "etc/link") == ""
    with pytest.raises(OSError, match="symbolic link"):
        replace_text(root, "etc/link", "overwritten")
    assert (root.parent / "secret").read_text() == "the host's"


def test_link_on_the_way_is_not_followed(root: Path) -> None:
    (root / "out").symlink_to("..")
    assert read_text(root, "out/secret") == ""
    with pytest.raises(OSError, match=r"Not a directory|symbolic link"):
        replace_text(root, "out/secret", "overwritten")


def test_neither_folder_nor_fifo_nor_absence_hangs_or_fails(root: Path) -> None:
    os.mkfifo(root / "etc/fifo")
    assert [read_text(root, name) for name in ("etc", "etc/fifo", "etc/none", "no/file")] == [
        ""
    ] * 4


def test_replace(root: Path) -> None:
    replace_text(root, "etc/passwd", "x")
    assert (root / "etc/passwd").read_text() == "x"
    with pytest.raises(FileNotFoundError):
        replace_text(root, "etc/new", "x")
