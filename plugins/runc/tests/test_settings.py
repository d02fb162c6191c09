"""Settings: what is read, and what is said about a wrong one."""

from dataclasses import fields
from ipaddress import IPv4Network
from pathlib import Path

import pytest
from diegod.contracts.backend import BackendError

from diegod_runc.settings import SCHEMA, Settings


def test_defaults() -> None:
    assert Settings.parse({}) == Settings()


def test_everything_set() -> None:
    given = {
        "preloaded": {"busybox": "/srv/busybox"},
        "run_dir": "/run/other",
        "subnet": "10.9.0.0/24",
        "spare_networks": 0,
        "deny": [],
        "host_access": True,
        "nofile": 100,
    }
    assert Settings.parse(given) == Settings(
        {"busybox": Path("/srv/busybox")},
        Path("/run/other"),
        IPv4Network("10.9.0.0/24"),
        0,
        (),
        True,
        100,
    )


@pytest.mark.parametrize("auto", ["auto", "", None])
def test_auto_subnet(auto: object) -> None:
    assert Settings.parse({"subnet": auto}).subnet is None


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("preloaded", ["/srv"]),
        ("preloaded", {"busybox": "srv"}),
        ("run_dir", "run"),
        ("subnet", "10.0.0.1/23"),
        ("subnet", "10.0.0.0/30"),
        ("spare_networks", -1),
        ("spare_networks", True),
        ("deny", "10.0.0.0/8"),
        ("deny", ["everything"]),
        ("host_access", "yes"),
        ("nofile", "many"),
    ],
)
def test_wrong_value_is_named(key: str, value: object) -> None:
    with pytest.raises(BackendError, match=key):
        Settings.parse({key: value})


def test_unknown_setting_gets_a_hint() -> None:
    with pytest.raises(BackendError, match="did you mean subnet"):
        Settings.parse({"subnets": "auto"})


def test_schema_describes_every_setting() -> None:
    properties = SCHEMA["properties"]
    assert isinstance(properties, dict)
    assert list(properties) == [field.name for field in fields(Settings)]
