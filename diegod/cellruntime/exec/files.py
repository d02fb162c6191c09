"""Reading a file that a program has left, for it and with no more rights than it has.

A plain process has the host's own file system, so its paths are the host's. A name that is a
symbolic link is not followed, and where the program runs as another user than the agent, only
that user's own files are read: else a link on the way, or a hard link, would show the program
what only the agent may see.
"""

import os
import stat
from pathlib import Path

from diegod.cellruntime.exec.records import UserIds

_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def read_beginning(path: Path, bytes_max: int, user: UserIds | None) -> bytes | None:
    """None: it is not a regular file that this user may show. OSError: it could not be read."""
    try:
        if not _may_be_shown(path.lstat(), user):  # before it is opened: that may wake a device
            return None
        descriptor = os.open(path, _OPEN)
    except (FileNotFoundError, NotADirectoryError):
        return None
    with os.fdopen(descriptor, "rb") as file:
        if not _may_be_shown(os.fstat(file.fileno()), user):  # it may be another one by now
            return None
        return file.read(bytes_max)


def _may_be_shown(found: os.stat_result, user: UserIds | None) -> bool:
    return stat.S_ISREG(found.st_mode) and (user is None or found.st_uid == user.uid)
