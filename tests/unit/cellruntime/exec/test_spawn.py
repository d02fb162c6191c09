"""Two steps: nothing runs before the gate opens, and what can't run says why."""

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from diegod.cellruntime.exec.records import UserIds
from diegod.cellruntime.exec.spawn import CannotRunError, Program, fork

PATH = {"PATH": "/usr/bin:/bin"}


@pytest.fixture
def null() -> Iterator[int]:
    descriptor = os.open(os.devnull, os.O_WRONLY)
    yield descriptor
    os.close(descriptor)


def status_of(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_nothing_runs_before_the_gate_opens(tmp_path: Path, null: int) -> None:
    forked = fork(Program(["touch", "ran"], PATH, str(tmp_path), None), null, null)
    assert not (tmp_path / "ran").exists()
    forked.release()
    assert status_of(forked.pid) == 0
    assert (tmp_path / "ran").exists()


def test_nothing_runs_when_the_gate_falls_shut(tmp_path: Path, null: int) -> None:
    forked = fork(Program(["touch", "ran"], PATH, str(tmp_path), None), null, null)
    forked.abandon()
    assert not (tmp_path / "ran").exists()
    with pytest.raises(ChildProcessError):
        os.waitpid(forked.pid, 0)


def test_a_child_that_is_killed_while_it_waits_has_an_ordinary_end(null: int) -> None:
    forked = fork(Program(["true"], PATH, "/", None), null, null)
    os.kill(forked.pid, signal.SIGKILL)
    os.waitid(os.P_PID, forked.pid, os.WEXITED | os.WNOWAIT)
    forked.release()
    assert status_of(forked.pid) == -signal.SIGKILL


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        (
            Program(["no-such"], PATH, "/", None),
            "can't run no-such: no such program in PATH (/usr/bin:/bin)",
        ),
        (Program(["/no/such"], PATH, "/", None), "can't run /no/such: No such file or directory"),
        (Program(["/etc/passwd"], PATH, "/", None), "can't run /etc/passwd: Permission denied"),
        (
            Program(["true"], PATH, "/no/such", None),
            "can't run true: working directory /no/such: No such file or directory",
        ),
        (Program(["true", "a\0b"], PATH, "/", None), "can't run true: Invalid argument"),
    ],
)
def test_a_refusal_is_one_line_and_leaves_no_child(
    null: int, program: Program, reason: str
) -> None:
    forked = fork(program, null, null)
    with pytest.raises(CannotRunError) as refusal:
        forked.release()
    assert str(refusal.value) == reason
    with pytest.raises(ChildProcessError):
        os.waitpid(forked.pid, 0)


def test_a_user_that_cannot_be_is_refused(null: int) -> None:
    """Not even root becomes minus one."""
    nobody = UserIds(2**32 - 1, 2**32 - 1, [])
    forked = fork(Program(["true"], PATH, "/", nobody), null, null)
    with pytest.raises(CannotRunError, match="can't become its user"):
        forked.release()


def test_the_program_gets_a_session_and_default_signals(tmp_path: Path, null: int) -> None:
    """Python ignores SIGPIPE; `yes | head` would never end if that were inherited."""
    script = "(yes; echo $? >&2) 2>status | head -1; ps -o sid= -p $$ >sid"
    forked = fork(Program(["bash", "-c", script], PATH, str(tmp_path), None), null, null)
    forked.release()
    assert status_of(forked.pid) == 0
    assert (tmp_path / "status").read_text() == "141\n"
    assert int((tmp_path / "sid").read_text()) == forked.pid


def test_no_descriptor_of_ours_is_inherited(tmp_path: Path, null: int) -> None:
    program = Program(["sh", "-c", "ls -l /proc/self/fd >list"], PATH, str(tmp_path), None)
    with open(tmp_path / "ours", "w"):
        forked = fork(program, null, null)
        forked.release()
        status_of(forked.pid)
    inherited = (tmp_path / "list").read_text()
    assert "/list" in inherited
    assert "/ours" not in inherited
    assert not re.search(r" [3-9]\d* -> pipe:", inherited)  # the gate, the refusal
