"""The process that is the parent of all plain processes of one cell: how it comes and goes.

    python -m diegod.cellruntime.exec.supervisor --socket PATH --directory CELL_FOLDER

The command returns once a supervisor serves; the supervisor itself lives on in the background, in
a session of its own, whatever becomes of the agent. It ends when it has had no container and no
client for a while, and after a sweep. What it does is in `supervision`. Standard library only, so
that it starts fast and stays small.
"""

import argparse
import ctypes
import fcntl
import os
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

from diegod.cellruntime.exec.supervision import Supervisor
from diegod.world.clock import SystemClock

IDLE_S = 30.0
_PR_SET_CHILD_SUBREAPER = 36


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="diegod exec supervisor")
    parser.add_argument("--socket", type=Path, required=True)
    parser.add_argument("--directory", type=Path, required=True)
    parser.add_argument("--idle-s", type=float, default=IDLE_S)
    options = parser.parse_args(arguments)
    lock = _lock(options.directory / "supervisor.lock")
    if lock is None:
        return 0  # another one serves, or is about to
    listener = _listen(options.socket)
    if os.fork() > 0:
        return 0
    _leave_terminal(options.directory)
    _adopt_orphans()
    os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)  # for people
    try:
        Supervisor(options.directory, listener, SystemClock(), options.idle_s).serve()
    finally:
        options.socket.unlink(missing_ok=True)
    return 0


def _lock(path: Path) -> int | None:
    """Held for the life of the process: one supervisor a cell."""
    lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    return lock


def _listen(path: Path) -> socket.socket:
    path.unlink(missing_ok=True)  # of a supervisor that was killed: we hold its lock
    listener = socket.socket(socket.AF_UNIX)
    before = os.umask(0o177)
    try:
        listener.bind(str(path))
    finally:
        os.umask(before)
    listener.listen(64)
    return listener


def _leave_terminal(folder: Path) -> None:
    """What is printed from here on is about our own mistakes, and goes to a file."""
    os.setsid()
    os.chdir(folder)
    null = os.open(os.devnull, os.O_RDONLY)
    log = os.open("supervisor.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    for source, target in ((null, 0), (log, 1), (log, 2)):
        os.dup2(source, target)


def _adopt_orphans() -> None:
    """Become the parent of what our programs leave behind, so that it can be found and reaped."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
