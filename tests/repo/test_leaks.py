"""The run's own leak check: it sees each kind of thing that could be left, and nothing else."""

import os
import subprocess
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from tests import leaks

#: Another test of this file may run at the same time, in the other worker.
RUN = f"a-test-{os.getpid()}"


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    environment = {leaks.RUN_VARIABLE: RUN, "PYTEST_CURRENT_TEST": "tests/some.py::test"}
    process = subprocess.Popen(["sleep", "60"], env=environment)
    while not Path(f"/proc/{process.pid}/cmdline").read_bytes():  # it is still becoming `sleep`
        time.sleep(0.001)
    yield process
    process.kill()
    process.wait()


def test_a_process_of_the_run_is_seen_with_its_test(sleeper: subprocess.Popen[bytes]) -> None:
    line = f"process {sleeper.pid}: sleep 60 (started by tests/some.py::test)"
    assert list(leaks.processes(RUN)) == [line]


def test_a_process_of_another_run_is_not_seen(sleeper: subprocess.Popen[bytes]) -> None:
    assert not _names(sleeper, leaks.processes("another"))


def test_what_was_there_before_is_no_leak(
    sleeper: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leaks, "SETTLE_S", 0.2)
    before = leaks.snapshot(RUN)
    assert not _names(sleeper, leaks.left_behind(RUN, before))
    assert _names(sleeper, leaks.left_behind(RUN, frozenset()))


def test_what_is_just_ending_gets_a_moment(sleeper: subprocess.Popen[bytes]) -> None:
    before = leaks.snapshot(RUN) - set(leaks.processes(RUN))
    sleeper.kill()
    sleeper.wait()
    assert not _names(sleeper, leaks.left_behind(RUN, before))


def _names(process: subprocess.Popen[bytes], lines: Iterable[str]) -> bool:
    return any(line.startswith(f"process {process.pid}:") for line in lines)


def test_beside_another_run_only_processes_are_judged(
    sleeper: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leaks, "SETTLE_S", 0.2)
    monkeypatch.setattr(leaks, "links", lambda: iter(["link dg01234567"]))
    assert _names(sleeper, leaks.others("mine"))
    assert leaks.left_behind("mine", frozenset()) == []
    assert _names(sleeper, leaks.left_behind(RUN, frozenset()))


@pytest.mark.root
def test_mounts_and_links_of_ours_are_seen(tmp_path: Path) -> None:
    """In a mount and network namespace of their own, so that the machine stays as it is."""
    place = tmp_path / "diegod-mount"
    place.mkdir()
    script = f"""
        mount -t tmpfs none {place} && mount -t sysfs none /sys
        ip link add dg01234567 type bridge && ip link add other type bridge
        nft add table ip diegod_01234567
        {{ cat /proc/self/mountinfo; ls /sys/class/net; nft list tables; }} >/dev/null
        exec python3 -c 'from tests import leaks
for line in (*leaks.mounts(), *leaks.links(), *leaks.tables()): print(line)'
    """
    root = Path(__file__).parents[2]
    command = ["unshare", "--mount", "--net", "sh", "-euc", script]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert f"mount {place}" in lines
    assert [line for line in lines if not line.startswith("mount")] == [
        "link dg01234567",
        "nft table ip diegod_01234567",
    ]


@pytest.mark.root
def test_a_cgroup_of_ours_and_a_process_in_it_are_seen() -> None:
    tree = Path("/sys/fs/cgroup")
    version_1 = tree / "pids"
    group = (version_1 if version_1.is_dir() else tree) / "diegod-leak-test"
    group.mkdir()
    process = subprocess.Popen(["sleep", "60"], env={})
    try:
        (group / "cgroup.procs").write_text(str(process.pid))
        assert f"cgroup {group}" in leaks.cgroups()
        assert _names(process, leaks.contained())
    finally:
        process.kill()
        process.wait()
        group.rmdir()
    assert f"cgroup {group}" not in leaks.cgroups()
