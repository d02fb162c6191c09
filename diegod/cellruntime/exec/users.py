"""Which user of this host a container's `user` means, and whether we may become it."""

import os
import pwd

from diegod.cellruntime.exec.records import UserIds
from diegod.contracts.backend import BackendError


def resolve_user(user: str) -> UserIds | None:
    """NAME or UID[:GID]; None means: stay who we are. Raises BackendError for what can't be."""
    if not user:
        return None
    ids = _by_number(user) if user[0].isdigit() else _by_name(user)
    if os.geteuid() == 0:
        return ids
    if ids.uid != os.geteuid():
        raise BackendError(
            f"user {user}: only a cell that runs as root may start programs as another user"
        )
    return None


def _by_name(name: str) -> UserIds:
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        raise BackendError(f"user {name}: this host has no such user") from None
    return UserIds(entry.pw_uid, entry.pw_gid, os.getgrouplist(name, entry.pw_gid))


def _by_number(user: str) -> UserIds:
    uid, _, gid = user.partition(":")
    try:
        group = int(gid) if gid else _primary_group(int(uid))
        return UserIds(int(uid), group, [group])
    except (ValueError, OverflowError):
        raise BackendError(f"user {user}: expected NAME or UID[:GID]") from None


def _primary_group(uid: int) -> int:
    """A user without an entry gets a group of its own number, never root's."""
    try:
        return pwd.getpwuid(uid).pw_gid
    except KeyError:
        return uid
