"""Records survive, are private, and a pid in them is believed only with its birth."""

import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from diegod.cellruntime.exec.records import (
    ContainerFiles,
    Launch,
    ProcessRecord,
    UserIds,
    container_files,
    handles,
)

LAUNCH = Launch(["/bin/sh", "-c", "ünï"], {"A": "b\nc"}, "/tmp", "/log", UserIds(1, 2, [2, 3]))


@pytest.fixture
def files(tmp_path: Path) -> ContainerFiles:
    return ContainerFiles(tmp_path)


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process
        process.kill()


@pytest.mark.parametrize("launch", [LAUNCH, replace(LAUNCH, user=None)])
def test_what_is_written_is_read(files: ContainerFiles, launch: Launch) -> None:
    files.write_launch(launch)
    files.write_process(ProcessRecord(7, "123", "boot"))
    files.write_exit(137)
    again = ContainerFiles(files.container)
    assert again.launch == launch
    assert again.process == ProcessRecord(7, "123", "boot")
    assert again.exit_status == 137


def test_nothing_is_there_before_it_is_written(files: ContainerFiles) -> None:
    assert (files.launch, files.process, files.exit_status) == (None, None, None)
    files.forbid_start()
    files.forget_process()
    files.remove()


def test_secrets_of_the_environment_are_private(files: ContainerFiles) -> None:
    files.write_launch(LAUNCH)
    folder = files.container / "exec"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert [entry.name for entry in folder.iterdir()] == ["launch.json"]
    assert (folder / "launch.json").stat().st_mode & 0o777 == 0o600


def test_remove_leaves_the_log(files: ContainerFiles) -> None:
    files.write_launch(LAUNCH)
    (files.container / "work").mkdir()
    (files.container / "work/data").write_text("x")
    (files.container / "container.log").write_text("y")
    files.remove()
    assert [entry.name for entry in files.container.iterdir()] == ["container.log"]


def test_a_living_process_is_known_again(child: subprocess.Popen[bytes]) -> None:
    record = ProcessRecord.of(child.pid)
    assert record.runs()
    assert not record.is_somebody_else()
    child.kill()
    child.wait()
    assert not record.runs()
    assert not record.is_somebody_else()  # nobody has the pid


def test_another_birth_is_another_process(child: subprocess.Popen[bytes]) -> None:
    record = ProcessRecord.of(child.pid)
    for other in (replace(record, started="1"), replace(record, boot_id="another")):
        assert not other.runs()
        assert other.is_somebody_else()


def test_a_process_without_a_birth_is_nobody() -> None:
    """One that was gone before its start time could be read."""
    with subprocess.Popen(["true"]) as gone:
        gone.wait()
    record = ProcessRecord.of(gone.pid)
    assert record.started == ""
    assert not record.runs()


def test_handles_are_links_also_to_folders_that_are_gone(tmp_path: Path) -> None:
    assert handles(tmp_path) == []
    (tmp_path / "containers").mkdir()
    for name in ("t-b-1", "t-a-1"):
        os.symlink(tmp_path / "gone" / name, tmp_path / "containers" / name)
    assert handles(tmp_path) == ["t-a-1", "t-b-1"]
    assert container_files(tmp_path, "t-a-1").process is None
