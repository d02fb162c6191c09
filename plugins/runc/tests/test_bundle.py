"""config.json, compared with a reviewed file; and what single fields of a spec change in it."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from diegod.contracts.backend import ContainerSpec, Limits

from diegod_runc.bundle import (
    CAPABILITIES,
    Host,
    Place,
    config,
    cpu_shares,
    exec_process,
    resources,
)
from diegod_runc.identity import Identity

MakeSpec = Callable[..., ContainerSpec]

GOLDEN = Path(__file__).parent / "golden"
ROOT = Identity(0, 0, (), "/root")
PLACE = Place(Path("/data/l-web-0/bundle/rootfs"), Path("/run/netns/2"), "/diegod/abcd/l-web-0")
VERSION_1 = Host(cgroup_version=1, swap_limit=True, nofile=1024)
VERSION_2 = replace(VERSION_1, cgroup_version=2)

DOCKERS_DEFAULT = {
    *("CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FSETID", "CAP_FOWNER", "CAP_MKNOD", "CAP_NET_RAW"),
    *("CAP_SETGID", "CAP_SETUID", "CAP_SETFCAP", "CAP_SETPCAP", "CAP_NET_BIND_SERVICE"),
    *("CAP_SYS_CHROOT", "CAP_KILL", "CAP_AUDIT_WRITE"),
}


@pytest.mark.parametrize(("host", "name"), [(VERSION_1, "cgroup1"), (VERSION_2, "cgroup2")])
def test_whole_configuration(host: Host, name: str, a_spec: MakeSpec) -> None:
    """A change of the golden files is a change of what containers may do: review it as such."""
    made = config(a_spec(Path("/data/l-web-0")), ROOT, PLACE, host)
    assert made == json.loads((GOLDEN / f"{name}.json").read_text())


def test_no_capability_that_docker_does_not_give() -> None:
    assert set(CAPABILITIES) < DOCKERS_DEFAULT


def test_user_and_groups(a_spec: MakeSpec) -> None:
    made = config(a_spec(Path("/data")), Identity(33, 34, (35, 36), "/www"), PLACE, VERSION_1)
    assert made["process"]["user"] == {"uid": 33, "gid": 34, "additionalGids": [35, 36]}
    assert "HOME=/www" in made["process"]["env"]


def test_the_spec_may_set_path_and_home(a_spec: MakeSpec) -> None:
    spec = a_spec(Path("/data"), env={"PATH": "/opt/bin", "HOME": "/opt"})
    assert config(spec, ROOT, PLACE, VERSION_1)["process"]["env"] == ["PATH=/opt/bin", "HOME=/opt"]


def test_memory_limit_is_also_the_limit_of_memory_and_swap() -> None:
    limits = Limits(memory_mb=32, cpu_weight=1, max_pids=5, disk_mb=1)
    assert resources(limits, VERSION_1)["memory"] == {"limit": 33554432, "swap": 33554432}
    without_swap = replace(VERSION_1, swap_limit=False)
    assert resources(limits, without_swap)["memory"] == {"limit": 33554432}


def test_zero_is_no_limit() -> None:
    made = resources(Limits(memory_mb=0, cpu_weight=100, max_pids=0, disk_mb=0), VERSION_1)
    assert sorted(made) == ["cpu", "devices"]


@pytest.mark.parametrize(("weight", "shares"), [(0, 2), (1, 10), (50, 512), (100, 1024)])
def test_cpu_shares(weight: int, shares: int) -> None:
    assert cpu_shares(weight) == shares


def test_another_process_is_as_the_main_one() -> None:
    main = {"args": ["main"], "env": ["A=1", "AB=2", "C=3"], "cwd": "/srv", "noNewPrivileges": True}
    made = exec_process(main, ["sh"], {"A": "other", "D": "4"})
    assert made == {**main, "args": ["sh"], "env": ["AB=2", "C=3", "A=other", "D=4"]}
