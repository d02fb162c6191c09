"""Finding a file by a path of the container's, symbolic links and all, and never leaving its root.

Links mean in here what they mean to the program: an absolute one begins at the container's root,
and `..` of the root is the root. Each component is opened by itself and never followed by the
kernel, so that a program that exchanges folders and links meanwhile gains nothing. (openat2 could
do it in one call where the kernel is 5.6 or newer; this does it on every one.)
"""

import errno
import os
import stat
from pathlib import Path

_AT_HAND = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC  # neither reads nor waits nor wakes a device
_LINKS_MAX = 40
_NOT_THERE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG)


def read_beginning(root: Path, path: str, bytes_max: int) -> bytes | None:
    """The first bytes of a regular file. None: there is none of that name. OSError: unreadable."""
    try:
        found = _find(root, path)
    except OSError as error:
        if error.errno in _NOT_THERE:
            return None
        raise
    try:
        if not stat.S_ISREG(os.fstat(found).st_mode):
            return None
        with open(f"/proc/self/fd/{found}", "rb") as file:  # this very file, whatever its name is
            return file.read(bytes_max)
    finally:
        os.close(found)


def _find(root: Path, path: str) -> int:
    """A descriptor of what the path names, which can be looked at, and not read."""
    walk = _Walk(root)
    try:
        return walk.to(path)
    finally:
        walk.close()


class _Walk:
    def __init__(self, root: Path) -> None:
        #: The folders from the root to where the walk is.
        self._way = [os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)]

    def to(self, path: str) -> int:
        links = 0
        parts = _parts(path)
        while parts:
            name = parts.pop(0)
            if name == "..":
                self._up()
                continue
            found = os.open(name, _AT_HAND, dir_fd=self._way[-1])
            kind = stat.S_IFMT(os.fstat(found).st_mode)
            if kind == stat.S_IFLNK:
                links += 1
                parts = [*self._follow(found, links), *parts]
            elif not parts:
                return found
            else:
                self._way.append(found)  # if it is no folder, the next component says so
        return os.dup(self._way[-1])

    def _follow(self, link: int, links: int) -> list[str]:
        """What is to be walked in the place of a link."""
        try:
            if links > _LINKS_MAX:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
            target = os.readlink("", dir_fd=link)
        finally:
            os.close(link)
        if target.startswith("/"):
            while len(self._way) > 1:
                self._up()
        return _parts(target)

    def _up(self) -> None:
        if len(self._way) > 1:
            os.close(self._way.pop())

    def close(self) -> None:
        for descriptor in self._way:
            os.close(descriptor)
        self._way.clear()


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part not in ("", ".")]
