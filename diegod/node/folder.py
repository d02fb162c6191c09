"""A role's data folder, held for as long as the process lives.

LMDB lets two processes open one folder without a word, and two voters with one disk would be the
end of every promise: the lock is taken before anything in the folder is read.
"""

import fcntl
import os
from dataclasses import dataclass
from pathlib import Path

from diegod.node.statuses import NOT_CURABLE, StartError

LOCK_FILE = ".lock"
_MODE = 0o700


@dataclass(frozen=True)
class HeldFolder:
    """Released when the process ends, however it ends."""

    path: Path
    descriptor: int

    def release(self) -> None:
        os.close(self.descriptor)


def hold(path: Path) -> HeldFolder:
    """Make the folder if need be, and keep every other process out of it."""
    descriptor = _open_lock(path)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(descriptor, 64, 0).decode(errors="replace").strip()
        os.close(descriptor)
        raise StartError(
            f"data folder {path} is in use by pid {holder or 'unknown'}. "
            "Stop that process, or give this one another folder."
        ) from None
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    return HeldFolder(path, descriptor)


def _open_lock(path: Path) -> int:
    """Beside the files of the role, never one of them: a store folder has to be empty at birth."""
    try:
        path.mkdir(mode=_MODE, parents=True, exist_ok=True)
        return os.open(path / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StartError(
            f"data folder {path} can't be used ({error.strerror}). "
            "Make it writable, or give another one.",
            NOT_CURABLE,
        ) from None
