"""Who a program runs as: `user` of a spec, and the root file system's passwd and group. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass

from diegod.contracts.backend import BackendError

_ID_MAX = 2**31 - 1


@dataclass(frozen=True)
class Identity:
    uid: int
    gid: int
    groups: tuple[int, ...] = ()  # besides gid
    home: str = "/"


@dataclass(frozen=True)
class _Entry:
    name: str
    uid: int
    gid: int
    home: str


def identify(user: str, passwd: str, group: str) -> Identity:
    """`user` is NAME, UID, UID:GID, or "" for root; BackendError when nobody is called that.

    An explicit UID:GID means just these two. A UID that passwd doesn't know has group 0.
    """
    name, colon, gid = user.partition(":")
    if colon:
        return Identity(_number(name, user), _number(gid, user))
    entry = _lookup(name or "0", passwd)
    if entry is None and name.isdigit():
        return Identity(_number(name, user), 0)
    if entry is None and not name:
        return Identity(0, 0, home="/root")
    if entry is None:
        raise BackendError(f"there is no user {user!r} in the root file system's /etc/passwd")
    return Identity(entry.uid, entry.gid, _groups(entry, group), entry.home or "/")


def _number(text: str, user: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > _ID_MAX:
        raise BackendError(f"user {user!r} is neither NAME nor UID nor UID:GID")
    return int(text)


def _lookup(name_or_uid: str, passwd: str) -> _Entry | None:
    numeric = name_or_uid.isdigit()
    for entry in _entries(passwd):
        if (str(entry.uid) if numeric else entry.name) == name_or_uid:
            return entry
    return None


def _entries(passwd: str) -> Iterator[_Entry]:
    """Whatever is not a complete line of numbers where numbers belong is no user."""
    for line in passwd.splitlines():
        parts = line.split(":")
        if len(parts) >= 6 and parts[2].isdigit() and parts[3].isdigit():
            yield _Entry(parts[0], int(parts[2]), int(parts[3]), parts[5])


def _groups(entry: _Entry, group: str) -> tuple[int, ...]:
    found = []
    for line in group.splitlines():
        parts = line.split(":")
        if len(parts) >= 4 and parts[2].isdigit() and entry.name in parts[3].split(","):
            found.append(int(parts[2]))
    return tuple(gid for gid in found if gid != entry.gid)
