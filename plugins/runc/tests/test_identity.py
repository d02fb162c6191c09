"""Who a program runs as."""

import pytest
from diegod.contracts.backend import BackendError

from diegod_runc.identity import Identity, identify

PASSWD = """\
root:x:0:0:root:/root:/bin/sh
broken:x:zero:0
web:x:33:34:web:/www:/bin/false
1000:x:7:7:a number for a name:/:/bin/false
"""
GROUP = "root:x:0:\nadmin:x:4:root,web\nweb:x:34:web\nwheel:x:10:nobody,web\n"


@pytest.mark.parametrize(
    ("user", "identity"),
    [
        ("", Identity(0, 0, (4,), "/root")),
        ("root", Identity(0, 0, (4,), "/root")),
        ("web", Identity(33, 34, (4, 10), "/www")),
        ("33", Identity(33, 34, (4, 10), "/www")),
        ("33:0", Identity(33, 0)),
        ("1234", Identity(1234, 0)),
        ("1000", Identity(1000, 0)),
        ("1234:1235", Identity(1234, 1235)),
    ],
)
def test_known(user: str, identity: Identity) -> None:
    assert identify(user, PASSWD, GROUP) == identity


def test_root_needs_no_passwd() -> None:
    assert identify("", "", "") == Identity(0, 0, (), "/root")


@pytest.mark.parametrize(
    "user", ["nobody", "broken", "web:web", "1:", ":1", "-1", "4294967296:0", "4294967296", "x:1"]
)
def test_refused(user: str) -> None:
    with pytest.raises(BackendError, match=user):
        identify(user, PASSWD, GROUP)
