"""Failpoints: which values there are, and that a process ends itself at the right time."""

import os
import signal
import subprocess
import sys

import pytest

from diegod.raftbbs import failpoints

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
