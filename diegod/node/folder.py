"""A role's data folder, held for as long as the process lives.

LMDB lets two processes open one folder without a word, and two voters with one disk would be the
end of every promise: the lock is taken before anything in the folder is read.
"""

import errno
import fcntl
import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from diegod.node.statuses import FAILED, NOT_CURABLE, StartError

LOCK_FILE = ".lock"
_MODE = 0o700
#: Gone as soon as somebody makes room, so a restart is worth while.
_FULL = (errno.ENOSPC, errno.EDQUOT)


class FolderInUse(StartError):  # noqa: N818 - a refusal in the words of the operator
    """Another process holds it: its pid (0 where that doesn't show yet), and since when it does."""

    def __init__(self, path: Path, pid: int, since_s: float) -> None:
        started = datetime.fromtimestamp(since_s).strftime("%H:%M")
        super().__init__(
            f"data folder {path} is in use by pid {pid or 'unknown'} (started {started}). "
            "Stop that process, or give this one another folder."
        )
        self.pid = pid
        self.since_s = since_s


@dataclass(frozen=True)
class HeldFolder:
    """Released when the process ends, however it ends."""

    path: Path
    descriptor: int

    def release(self) -> None:
        os.close(self.descriptor)


def hold(path: Path) -> HeldFolder:
    """Make the folder if need be, and keep every other process out of it."""
    descriptor = -1
    try:
        descriptor = _open_lock(path)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    except OSError as error:
        refusal = _refusal(path, descriptor, error)
        if descriptor >= 0:
            os.close(descriptor)
        raise refusal from None
    return HeldFolder(path, descriptor)


def _open_lock(path: Path) -> int:
    """Beside the files of the role, never one of them: a store folder has to be empty at birth."""
    path.mkdir(mode=_MODE, parents=True, exist_ok=True)
    return os.open(path / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _refusal(path: Path, descriptor: int, error: OSError) -> StartError:
    if isinstance(error, BlockingIOError):
        holder = os.pread(descriptor, 64, 0).decode(errors="replace").strip()
        since_s = os.fstat(descriptor).st_mtime
        return FolderInUse(path, int(holder) if holder.isdigit() else 0, since_s)
    is_full = error.errno in _FULL
    what_to_do = "Make room" if is_full else "Make it writable"
    return StartError(
        f"data folder {path} can't be used ({error.strerror}). {what_to_do}, or give another one.",
        FAILED if is_full else NOT_CURABLE,
    )
