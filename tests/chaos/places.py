"""What one run has on the machine, how it is found again, and its removal.

Everything carries the id of its run: namespaces in their names, folders and mounts in their path,
processes in their environment. So whatever a run that was killed has left is removed by the next
one, and nothing else is touched. A run that is alive holds a lock in its folder.
"""

import fcntl
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

NAME = "diegod-chaos-"
#: In the environment of every process of a run; the value is the run's id.
RUN_VARIABLE = "DIEGOD_CHAOS_RUN"
NETNS_FOLDER = Path("/run/netns")
_GONE_S = 5.0


@dataclass(frozen=True)
class Places:
    """Where a run has its things."""

    run: str
    folder: Path
    lock: IO[str]

    @property
    def ca(self) -> Path:
        return self.folder / "ca"

    @property
    def user(self) -> Path:
        """The certificate of the clients."""
        return self.folder / "user"

    def of_member(self, member_id: str) -> Path:
        return self.folder / member_id

    def namespace(self, name: str) -> str:
        return namespace(self.run, name)


def namespace(run: str, name: str) -> str:
    return f"{NAME}{run}-{name}"


def begin() -> Places:
    """A folder of a new run, under a lock that ends with this process."""
    run = os.urandom(3).hex()
    folder = _root() / f"{NAME}{run}"
    folder.mkdir(mode=0o700)
    lock = (folder / "lock").open("w")
    fcntl.flock(lock, fcntl.LOCK_EX)
    return Places(run, folder, lock)


def remove_dead_runs() -> list[str]:
    """Remove what runs that are not alive any more have left; their ids."""
    dead = [run for run in _runs() if not _is_alive(run)]
    for run in dead:
        remove(run)
    return dead


def remove(run: str) -> None:
    """Everything of this run: processes first, since they hold the rest. Repeating is harmless."""
    _end_processes(run)
    folder = _root() / f"{NAME}{run}"
    for mount in mounts_below(folder):
        subprocess.run(["umount", "--lazy", str(mount)], check=True)
    for name in _namespaces(run):
        subprocess.run(["ip", "netns", "del", name], check=True)
    if folder.exists():
        shutil.rmtree(folder)


def traces(run: str) -> list[str]:
    """What there still is of a run, one readable line each."""
    folder = _root() / f"{NAME}{run}"
    return [
        *(f"process {pid}" for pid in processes(run)),
        *(f"mount {mount}" for mount in mounts_below(folder)),
        *(f"network namespace {name}" for name in _namespaces(run)),
        *([f"folder {folder}"] if folder.exists() else []),
    ]


def processes(run: str) -> list[int]:
    """What the run started, but for this process."""
    mark = f"{RUN_VARIABLE}={run}".encode()
    return [pid for pid, environment in _environments() if mark in environment]


def mounts_below(folder: Path) -> list[Path]:
    """The innermost first."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    mounts = [Path(line.split(" ")[4]) for line in lines]
    return [mount for mount in reversed(mounts) if mount.is_relative_to(folder)]


def _root() -> Path:
    return Path(tempfile.gettempdir())


def _runs() -> list[str]:
    """The ids of all runs that have left anything, of whichever clone."""
    named = [*_root().glob(f"{NAME}*"), *NETNS_FOLDER.glob(f"{NAME}*")]
    return sorted({path.name.removeprefix(NAME).partition("-")[0] for path in named})


def _is_alive(run: str) -> bool:
    try:
        with (_root() / f"{NAME}{run}" / "lock").open("r+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def _namespaces(run: str) -> list[str]:
    return sorted(path.name for path in NETNS_FOLDER.glob(f"{NAME}{run}-*"))


def _end_processes(run: str) -> None:
    give_up = time.monotonic() + _GONE_S
    while (pids := processes(run)) and time.monotonic() < give_up:
        for pid in pids:
            _kill(pid)
        time.sleep(0.05)


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _environments() -> Iterator[tuple[int, list[bytes]]]:
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            environment = (folder / "environ").read_bytes().split(b"\0")
        except OSError:
            continue  # gone, or a kernel thread's
        if int(folder.name) != os.getpid():
            yield int(folder.name), environment
