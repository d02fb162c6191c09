"""Reading and writing files of a root file system that nobody vouches for.

Every component of a path is opened without following symbolic links, so `/etc -> /` in an
image, or `/etc/passwd -> /etc/shadow`, never leads out into the host's own files.
"""

import errno
import os
import stat
from pathlib import Path

_SIZE_MAX = 1 << 20
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # non-blocking: it may be a fifo


def _open(root: Path, path: str, flags: int) -> int:
    """A descriptor of a plain file; OSError for anything else, and for a link on the way."""
    *folders, name = path.strip("/").split("/")
    at = os.open(root, _FOLDER & ~os.O_NOFOLLOW)
    try:
        for folder in folders:
            deeper = os.open(folder, _FOLDER, dir_fd=at)
            os.close(at)
            at = deeper
        return _plain(os.open(name, flags | _FILE, dir_fd=at), path)
    finally:
        os.close(at)


def _plain(descriptor: int, path: str) -> int:
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    raise OSError(errno.EINVAL, "not a plain file", path)


def read_text(root: Path, path: str) -> str:
    """The text of a plain file, cut at 1 MiB; "" when there is no such plain file."""
    try:
        descriptor = _open(root, path, os.O_RDONLY)
    except OSError:
        return ""
    with os.fdopen(descriptor, "rb") as file:
        return file.read(_SIZE_MAX).decode(errors="replace")


def replace_text(root: Path, path: str, text: str) -> None:
    """Overwrite a plain file that is there."""
    with os.fdopen(_open(root, path, os.O_WRONLY), "w") as file:
        file.truncate()
        file.write(text)
