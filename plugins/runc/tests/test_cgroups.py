"""Control groups, in a folder that looks like them."""

from pathlib import Path

import pytest

from diegod_runc.cgroups import Cgroups


@pytest.fixture
def version_1(tmp_path: Path) -> Path:
    for controller in ("memory", "pids"):
        group = tmp_path / controller / "diegod/ab/h"
        group.mkdir(parents=True)
        (tmp_path / controller / "cgroup.procs").write_text("1\n")
        (group / "cgroup.procs").write_text("11\n12\n")
    (tmp_path / "cpu").symlink_to("memory")
    (tmp_path / "memory/memory.memsw.limit_in_bytes").touch()
    return tmp_path


def test_version_1(version_1: Path) -> None:
    found = Cgroups.detect(version_1)
    assert (found.version, found.swap_limit) == (1, True)
    assert [root.name for root in found.roots] == ["memory", "pids"]  # a link is no second root


def test_version_2(tmp_path: Path) -> None:
    (tmp_path / "cgroup.controllers").touch()
    assert Cgroups.detect(tmp_path) == Cgroups(2, (tmp_path,), True)


def test_everybody_once(version_1: Path) -> None:
    cgroups = Cgroups.detect(version_1)
    assert cgroups.pids("/diegod/ab/h") == [11, 12]
    assert cgroups.pids("/diegod/ab/none") == []
    assert cgroups.children("/diegod/ab") == ["h"]
    assert cgroups.children("/diegod/none") == []


def test_oom_kills(version_1: Path) -> None:
    cgroups = Cgroups.detect(version_1)
    assert cgroups.oom_kills("/diegod/ab/h") == 0
    control = version_1 / "memory/diegod/ab/h/memory.oom_control"
    control.write_text("oom_kill_disable 0\nunder_oom 0\noom_kill 2\n")
    assert cgroups.oom_kills("/diegod/ab/h") == 2


def test_oom_kills_of_version_2(tmp_path: Path) -> None:
    (tmp_path / "cgroup.controllers").touch()
    (tmp_path / "diegod/ab/h").mkdir(parents=True)
    (tmp_path / "diegod/ab/h/memory.events").write_text("low 0\noom 1\noom_kill 1\n")
    assert Cgroups.detect(tmp_path).oom_kills("/diegod/ab/h") == 1
