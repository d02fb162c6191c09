"""Paths of a container's root: links are followed, and none leads out."""

import os
from pathlib import Path

import pytest

from diegod_runc.within import read_beginning


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "secret").write_text("the host's")
    folder = tmp_path / "root"
    (folder / "run/app").mkdir(parents=True)
    (folder / "var").mkdir()
    (folder / "var/run").symlink_to("/run")
    (folder / "run/app/result").write_text("the container's")
    return folder


def found(root: Path, path: str) -> bytes | None:
    before = os.listdir("/proc/self/fd")
    content = read_beginning(root, path, 100)
    assert os.listdir("/proc/self/fd") == before  # nothing stays open
    return content


@pytest.mark.parametrize(
    "path",
    [
        "/run/app/result",
        "run/app/result",
        "/var/run/app/result",
        "/../run/../../run/./app//result",
        "/var/../var/run/app/result",
    ],
)
def test_what_the_program_sees_there(root: Path, path: str) -> None:
    assert found(root, path) == b"the container's"


@pytest.mark.parametrize(
    "target",
    ["../secret", "../../../../../secret", "{root}/../secret", "{host}/secret", "/proc/self/cwd"],
)
def test_no_link_leads_out(root: Path, target: str) -> None:
    (root / "link").symlink_to(target.format(root=root, host=root.parent))
    (root / "folder").symlink_to(Path(target.format(root=root, host=root.parent)).parent)
    assert found(root, "/link") is None
    assert found(root, "/folder/secret") is None


def test_the_parent_of_a_linked_folder_is_the_folders_own(root: Path) -> None:
    (root / "deep").symlink_to("run/app")
    (root / "run/beside").write_text("beside")
    assert found(root, "/deep/../beside") == b"beside"


def test_what_is_no_regular_file(root: Path) -> None:
    os.mkfifo(root / "fifo")
    (root / "loop").symlink_to("loop")
    (root / "dangling").symlink_to("nowhere")
    for path in ("/fifo", "/loop", "/dangling", "/run", "/", "", "/run/app/result/x", "/none"):
        assert found(root, path) is None, path
    assert found(root, "/" + "x" * 300) is None


def test_no_more_than_was_asked_for(root: Path) -> None:
    assert read_beginning(root, "/run/app/result", 3) == b"the"
