"""Failpoints: which values there are, and that a process ends itself at the right time."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from diegod.node import bbs
from diegod.node.statuses import WRONG_USAGE, StartError
from diegod.raftbbs import failpoints
from diegod.raftbbs.store.environment import Environment

_PASSING = """
import os, sys
from diegod.raftbbs import failpoints
failpoints.arm(os.environ)
for number in range(1, 6):
    failpoints.passes("before_commit")
    failpoints.passes("after_commit")
    print(number, flush=True)
"""


def run(value: str) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, failpoints.VARIABLE: value}
    command = [sys.executable, "-c", _PASSING]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_the_process_kills_itself_the_nth_time_it_gets_there() -> None:
    done = run("after_commit:3")
    assert done.returncode == -signal.SIGKILL
    assert done.stdout.split() == ["1", "2"]
    assert done.stderr == "diegod: failpoint after_commit: this process ends here.\n"


def test_nothing_is_armed_without_a_value_or_by_another_step() -> None:
    assert run("").stdout.split() == ["1", "2", "3", "4", "5"]
    assert run("mid_install:1").returncode == 0


@pytest.mark.parametrize("value", ["after_commit", "after_commit:0", "after_commit:x", "never:1"])
def test_a_value_that_means_nothing_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match=r"NAME:N is meant, NAME one of before_commit, "):
        failpoints.parsed(value)


@pytest.mark.parametrize("step", failpoints.STEPS)
def test_every_step_can_be_armed(step: str) -> None:
    armed = failpoints.parsed(f"{step}:12")
    assert armed is not None
    assert (armed.step, armed.left) == (step, 12)


def test_a_commit_passes_the_step_before_it_and_the_step_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the one it can be read, before it not yet."""
    environment = Environment.open(tmp_path / "store", create=True)
    table = environment.table("rows")
    passed: list[tuple[str, bytes | None]] = []

    def note(step: str) -> None:
        with environment.begin_read() as reader:
            passed.append((step, reader.get(table, b"key")))

    with environment.begin_write() as transaction:
        transaction.put(table, b"key", b"value")
        # LMDB allows a thread one transaction: the others look from threads of their own.
        monkeypatch.setattr(failpoints, "passes", in_another_thread(note))
    environment.close()
    assert passed == [("before_commit", None), ("after_commit", b"value")]


def in_another_thread(note: Callable[[str], None]) -> Callable[[str], None]:
    def passes(step: str) -> None:
        thread = threading.Thread(target=note, args=(step,))
        thread.start()
        thread.join()

    return passes


def test_a_member_with_a_value_that_means_nothing_does_not_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(failpoints.VARIABLE, "never:1")
    with pytest.raises(StartError, match='DIEGOD_FAILPOINT is "never:1"') as raised:
        bbs._arm_failpoint()
    assert raised.value.status == WRONG_USAGE
