"""The three system calls that Python 3.11 does not have: mount, umount2, unshare."""

import ctypes
import errno
import os
from pathlib import Path

_CLONE_NEWNET = 0x40000000
_MS_BIND = 4096
_MNT_DETACH = 2
_UMOUNT_NOFOLLOW = 8

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mount.argtypes = (
    ctypes.c_char_p,
    ctypes.c_char_p,
    ctypes.c_char_p,
    ctypes.c_ulong,
    ctypes.c_char_p,
)
_libc.umount2.argtypes = (ctypes.c_char_p, ctypes.c_int)
_libc.unshare.argtypes = (ctypes.c_int,)


def _done(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)


def mount_overlay(target: Path, options: str) -> None:
    path = os.fsencode(target)
    _done(_libc.mount(b"overlay", path, b"overlay", 0, os.fsencode(options)), str(target))


def bind(source: Path, target: Path) -> None:
    result = _libc.mount(os.fsencode(source), os.fsencode(target), None, _MS_BIND, None)
    _done(result, str(target))


def unmount(target: Path) -> None:
    """Unmount all that is mounted at `target`, also when there is nothing, and at once."""
    while _libc.umount2(os.fsencode(target), _MNT_DETACH | _UMOUNT_NOFOLLOW) == 0:
        continue
    number = ctypes.get_errno()
    if number not in (errno.EINVAL, errno.ENOENT):  # not a mount point; not there
        raise OSError(number, os.strerror(number), str(target))


def unshare_network() -> None:
    """Move the calling thread, and only it, into a new network namespace. There is no way back."""
    _done(_libc.unshare(_CLONE_NEWNET), "unshare(CLONE_NEWNET)")
