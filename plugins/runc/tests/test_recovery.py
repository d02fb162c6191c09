"""What is found after deaths and losses, and that nothing at all is left after a sweep."""

import gc
import json
import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from diegod.contracts.backend import ContainerState, Exit
from diegod.testing.backend_bench import OWNER, WITNESS, Bench

from diegod_runc import procfs
from diegod_runc.names import Names
from diegod_runc.record import bundle_of

pytestmark = pytest.mark.root


def conmon_of(directory: Path) -> procfs.Process:
    process = procfs.find(int((bundle_of(directory) / "conmon.pid").read_text()))
    assert process is not None
    return process


def after_a_restart_of_the_machine(directory: Path) -> None:
    file = bundle_of(directory) / "container.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "boot_id": "an earlier one"}))


def traces(names: Names, tmp_path: Path) -> dict[str, list[str]]:
    """All of this host that a backend touches, as far as it is this test's."""
    tables = subprocess.run(["nft", "list", "tables"], capture_output=True, check=True, text=True)
    mounts = (line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines())
    ours = (str(tmp_path), str(names.run_dir))
    marks = Path("/run/diegod/ip_forward").glob(f"owner-{names.short}")
    return {
        "links": [name for name in os.listdir("/sys/class/net") if names.short in name],
        "tables": [line for line in tables.stdout.splitlines() if names.short in line],
        "cgroups": [path for path, _, _ in os.walk("/sys/fs/cgroup") if names.short in path],
        "mounts": [mount for mount in mounts if mount.startswith(ours)],
        "forwarding": [mark.name for mark in marks],
    }


def descriptors() -> int:
    gc.collect()  # sockets of the tests before this one
    return len(os.listdir("/proc/self/fd"))


async def test_nothing_is_left_after_a_sweep(bench: Bench, run_dir: Path, tmp_path: Path) -> None:
    names = Names.of(OWNER, run_dir)
    before, open_before = traces(names, tmp_path), descriptors()
    agent = await bench.agent()
    specs = [bench.spec(*WITNESS) for _ in range(3)]
    conmons = []
    for spec in specs[:2]:
        await bench.start(agent, spec)
        conmons.append(conmon_of(spec.directory))
    await agent.prepare(specs[2])
    during = traces(names, tmp_path)
    assert not any(before.values())
    assert all(during.values())
    await agent.sweep()
    await agent.close()
    assert traces(names, tmp_path) == before
    assert descriptors() <= open_before
    assert not any(conmon.alive() for conmon in conmons)
    for spec in specs:
        assert procfs.at_work_on(bundle_of(spec.directory)) == []
        assert {path.name for path in spec.directory.iterdir()} <= {"container.log"}
    assert list(run_dir.iterdir()) == []


async def test_program_and_conmon_killed_together_is_lost(bench: Bench) -> None:
    agent, spec = await bench.agent(), bench.spec(*WITNESS)
    pid = (await bench.start(agent, spec)).pid
    conmon_of(spec.directory).signal(signal.SIGKILL)
    os.kill(pid, signal.SIGKILL)
    assert (await bench.in_time(agent.wait(spec.handle))).state is ContainerState.LOST


async def test_program_without_conmon_runs_on(bench: Bench) -> None:
    agent, spec = await bench.agent(), bench.spec(*WITNESS)
    started = await bench.start(agent, spec)
    conmon_of(spec.directory).signal(signal.SIGKILL)
    assert await agent.inspect(spec.handle) == started
    await bench.in_time(agent.destroy(spec.handle))
    assert procfs.find(started.pid) is None


async def test_a_pid_of_an_earlier_boot_is_not_believed(bench: Bench) -> None:
    agent, spec = await bench.agent(), bench.spec(*WITNESS)
    await bench.start(agent, spec)
    after_a_restart_of_the_machine(spec.directory)
    status = await agent.inspect(spec.handle)
    assert status is not None
    assert (status.state, status.pid) == (ContainerState.LOST, 0)


async def test_an_exit_status_outlives_the_machine(bench: Bench) -> None:
    agent, spec = await bench.agent(), bench.spec("/bin/sh", "-c", "exit 5")
    await bench.run(agent, spec)
    after_a_restart_of_the_machine(spec.directory)
    status = await agent.inspect(spec.handle)
    assert status is not None
    assert status.exit == Exit(5)


async def test_prepared_before_a_restart_can_be_prepared_and_run_after(bench: Bench) -> None:
    agent, spec = await bench.agent(), bench.spec("/bin/sh", "-c", "exit 6")
    await agent.prepare(spec)
    after_a_restart_of_the_machine(spec.directory)
    subprocess.run(["umount", bundle_of(spec.directory) / "rootfs"], check=True)
    assert (await bench.run(await bench.agent(), spec)).exit == Exit(6)


async def test_container_whose_record_was_lost_is_found_and_destroyed(
    bench: Bench, tmp_path: Path
) -> None:
    spec = bench.spec(*WITNESS)
    started = await bench.start(await bench.agent(), spec)
    shutil.rmtree(tmp_path / "state" / OWNER.cell_id)
    heir = await bench.agent()
    assert list(await heir.handles()) == [spec.handle]
    await bench.in_time(heir.destroy(spec.handle))
    assert procfs.find(started.pid) is None
    assert list(await heir.handles()) == []
    assert str(spec.directory) not in Path("/proc/self/mountinfo").read_text()
