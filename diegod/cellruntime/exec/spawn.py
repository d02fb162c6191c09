"""Starts one process, in two steps: fork it, write down who it is, then let its program begin.

Between the two steps the child waits at a gate. If the supervisor dies there, the gate falls shut
and the child ends without having run anything: there is never a program that nobody knows of.
Only for a process without threads (the supervisor is one): a fork copies no others.
"""

import errno
import os
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from diegod.cellruntime.exec.records import UserIds


class CannotRunError(Exception):
    """The program could not be run; the message is for a person."""


@dataclass(frozen=True)
class Program:
    argv: Sequence[str]
    env: Mapping[str, str]
    cwd: str
    user: UserIds | None


@dataclass
class Forked:
    """A child that waits at its gate."""

    pid: int
    program: Program
    gate: int
    refusal: int

    def release(self) -> None:
        """Let the program begin. Raises CannotRunError if it can't; the child has then ended."""
        with suppress(BrokenPipeError):  # killed while it waited; its end is seen as any other's
            os.write(self.gate, b"g")
        told = b"".join(iter(lambda: os.read(self.refusal, 4096), b""))
        self._close()
        if told:
            os.waitpid(self.pid, 0)
            raise CannotRunError(_explain(self.program, told.decode()))

    def abandon(self) -> None:
        """Let the gate fall shut: the child ends without having run anything."""
        self._close()
        os.waitpid(self.pid, 0)

    def _close(self) -> None:
        os.close(self.gate)
        os.close(self.refusal)


def fork(program: Program, stdout: int, stderr: int) -> Forked:
    """A child in a session of its own, which waits. Its output goes to the two descriptors."""
    gate_read, gate = os.pipe()
    refusal, refusal_write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(gate)
        _become(program, gate_read, refusal_write, stdout, stderr)
    os.close(gate_read)
    os.close(refusal_write)
    return Forked(pid, program, gate, refusal)


def _become(program: Program, gate: int, refusal: int, stdout: int, stderr: int) -> None:
    """The child's side; never returns. All descriptors but 0–2 close themselves at exec."""
    step = "start"
    try:
        os.setsid()
        _reset_signals()
        null = os.open(os.devnull, os.O_RDONLY)
        for source, target in ((null, 0), (stdout, 1), (stderr, 2)):
            os.dup2(source, target)
        if os.read(gate, 1) != b"g":
            os._exit(1)
        step = "directory"
        os.chdir(program.cwd)
        step = "user"
        _switch_user(program.user)
        step = "run"
        os.execvpe(program.argv[0], list(program.argv), program.env)  # noqa: S606 (no shell is meant)
    except OSError as error:
        os.write(refusal, f"{step}:{error.errno}".encode())
    except (ValueError, OverflowError):  # a NUL byte, a number that is no user's
        os.write(refusal, f"{step}:{errno.EINVAL}".encode())
    finally:
        os._exit(127)


def _reset_signals() -> None:
    """Back to what programs expect: Python ignores SIGPIPE, and ignored signals are inherited."""
    signal.set_wakeup_fd(-1)
    for number in signal.valid_signals():
        if number not in (signal.SIGKILL, signal.SIGSTOP):
            try:
                signal.signal(number, signal.SIG_DFL)
            except (OSError, ValueError):
                continue  # one that the C library keeps for itself
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    os.umask(0o022)


def _switch_user(user: UserIds | None) -> None:
    if user is not None:
        os.setgroups(list(user.groups))
        os.setgid(user.gid)
        os.setuid(user.uid)


def _explain(program: Program, told: str) -> str:
    step, number = told.split(":")
    why = os.strerror(int(number))
    name = program.argv[0]
    if step == "directory":
        return f"can't run {name}: working directory {program.cwd}: {why}"
    if step == "user":
        return f"can't run {name}: can't become its user: {why}"
    if int(number) == errno.ENOENT and "/" not in name:
        return f"can't run {name}: no such program in PATH ({program.env.get('PATH', '')})"
    return f"can't run {name}: {why}"
