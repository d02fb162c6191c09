"""Processes of this machine, seen through /proc."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from diegod_runc.procfs import Process, at_work_on, descendants, find, start_time

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="there is no /proc")


@pytest.fixture
def sleeper(tmp_path: Path) -> Iterator["subprocess.Popen[bytes]"]:
    child = subprocess.Popen(["sleep", "60"], cwd=tmp_path)
    yield child
    child.kill()
    child.wait()


def test_a_process_is_itself(sleeper: "subprocess.Popen[bytes]") -> None:
    process = find(sleeper.pid)
    assert process is not None
    assert process.alive()
    assert process.name() == "sleep"


def test_a_pid_that_was_used_again_is_another_process(sleeper: "subprocess.Popen[bytes]") -> None:
    started = start_time(sleeper.pid)
    assert started is not None
    earlier = Process(sleeper.pid, started - 1)
    assert not earlier.alive()
    earlier.signal(signal.SIGKILL)
    assert sleeper.poll() is None


async def test_gone(sleeper: "subprocess.Popen[bytes]") -> None:
    process = find(sleeper.pid)
    assert process is not None
    waiting = asyncio.ensure_future(process.gone())
    await asyncio.sleep(0.05)
    assert not waiting.done()
    process.signal(signal.SIGTERM)
    await asyncio.wait_for(waiting, 5)
    assert not process.alive()  # although nobody has reaped it yet
    await process.gone()


def test_found_by_folder(sleeper: "subprocess.Popen[bytes]", tmp_path: Path) -> None:
    assert [process.pid for process in at_work_on(tmp_path)] == [sleeper.pid]
    assert at_work_on(tmp_path / "other") == []
    assert at_work_on(tmp_path.parent) == []


def test_found_by_argument(tmp_path: Path) -> None:
    """An argument that only begins with the folder doesn't count."""
    script = "echo ready; read -r end"
    for argument, found in ((tmp_path, True), (f"{tmp_path}-2", False)):
        child = subprocess.Popen(
            ["sh", "-c", script, argument], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        assert (child.pid in [process.pid for process in at_work_on(tmp_path)]) == found
        child.communicate(b"\n")


def test_descendants(sleeper: "subprocess.Popen[bytes]") -> None:
    assert sleeper.pid in [process.pid for process in descendants(os.getpid())]
    assert descendants(sleeper.pid) == []
