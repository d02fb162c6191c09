"""NAME and UID[:GID], as root and as anybody."""

import os
import pwd

import pytest

from diegod.cellruntime.exec.records import UserIds
from diegod.cellruntime.exec.users import resolve_user
from diegod.contracts.backend import BackendError


@pytest.fixture
def as_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)


@pytest.fixture
def as_1000(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)


def test_nobody_named_means_ourselves() -> None:
    assert resolve_user("") is None


@pytest.mark.usefixtures("as_root")
@pytest.mark.parametrize(
    ("user", "ids"),
    [
        ("71234:5", UserIds(71234, 5, [5])),
        ("71234", UserIds(71234, 71234, [71234])),  # unknown: never root's group
        ("0", UserIds(0, 0, [0])),
    ],
)
def test_by_number(user: str, ids: UserIds) -> None:
    assert resolve_user(user) == ids


@pytest.mark.usefixtures("as_root")
def test_by_name_with_all_groups() -> None:
    ids = resolve_user("daemon")
    entry = pwd.getpwnam("daemon")
    assert ids is not None
    assert (ids.uid, ids.gid) == (entry.pw_uid, entry.pw_gid)
    assert entry.pw_gid in ids.groups


@pytest.mark.usefixtures("as_root")
@pytest.mark.parametrize("user", ["no-such-user", "12x", "12:x"])
def test_what_is_nobody_is_refused(user: str) -> None:
    with pytest.raises(BackendError, match=f"user {user}"):
        resolve_user(user)


@pytest.mark.usefixtures("as_1000")
def test_who_is_not_root_may_only_be_itself() -> None:
    assert resolve_user("1000") is None
    with pytest.raises(BackendError, match="only a cell that runs as root"):
        resolve_user("0")
