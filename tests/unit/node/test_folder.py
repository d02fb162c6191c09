"""A data folder has one holder, and whoever comes second is told who that is."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from diegod.node import folder
from diegod.node.folder import FolderInUse
from diegod.node.statuses import FAILED, NOT_CURABLE, StartError

HOLDER = "import sys; from diegod.node import folder; folder.hold({!r}); print(); sys.stdin.read()"


def test_a_held_folder_is_made_and_kept_to_its_owner(tmp_path: Path) -> None:
    held = folder.hold(tmp_path / "deep" / "data")
    assert held.path.stat().st_mode & 0o777 == 0o700
    assert (held.path / folder.LOCK_FILE).read_text() == f"{os.getpid()}\n"
    held.release()


def test_nobody_else_can_hold_it_until_it_is_released(tmp_path: Path) -> None:
    held = folder.hold(tmp_path)
    with pytest.raises(FolderInUse) as refused:
        folder.hold(tmp_path)
    assert (refused.value.pid, refused.value.status) == (os.getpid(), FAILED)
    assert re.fullmatch(
        rf"data folder {tmp_path} is in use by pid {os.getpid()} \(started \d\d:\d\d\)\. "
        r"Stop that process, or give this one another folder\.",
        refused.value.message,
    )
    held.release()
    folder.hold(tmp_path).release()


def test_the_moment_it_was_taken_is_told(tmp_path: Path) -> None:
    held = folder.hold(tmp_path)
    os.utime(tmp_path / folder.LOCK_FILE, (1_000_000, 1_000_000))
    with pytest.raises(FolderInUse) as refused:
        folder.hold(tmp_path)
    assert refused.value.since_s == 1_000_000
    held.release()


def test_a_process_that_is_killed_gives_it_back(tmp_path: Path) -> None:
    code = HOLDER.format(tmp_path).replace("PosixPath", "__import__('pathlib').Path")
    other = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(FolderInUse) as refused:
            folder.hold(tmp_path)
        assert refused.value.pid == other.pid
    finally:
        other.kill()
        other.communicate()
    folder.hold(tmp_path).release()


def test_a_holder_that_has_not_said_who_it_is_is_unknown(tmp_path: Path) -> None:
    held = folder.hold(tmp_path)
    os.ftruncate(held.descriptor, 0)
    with pytest.raises(FolderInUse, match="in use by pid unknown"):
        folder.hold(tmp_path)
    held.release()


def test_what_is_no_folder_can_not_be_held(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("mine\n")
    with pytest.raises(StartError, match=r"can't be used \(File exists\)\. Make it writable") as no:
        folder.hold(file)
    assert no.value.status == NOT_CURABLE
    assert file.read_text() == "mine\n"


def test_a_lock_that_can_not_be_written_is_refused_and_closed(tmp_path: Path) -> None:
    (tmp_path / folder.LOCK_FILE).symlink_to("/dev/full")
    before = sorted(os.listdir("/proc/self/fd"))
    with pytest.raises(StartError, match=r"can't be used \(.+\)\. .+, or give another one\."):
        folder.hold(tmp_path)
    assert sorted(os.listdir("/proc/self/fd")) == before
