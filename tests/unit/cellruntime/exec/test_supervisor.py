"""The supervisor as a process: how it comes, how it goes, and what is left when it is killed."""

import asyncio
import os
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from diegod.cellruntime.exec.backend import ExecBackend
from diegod.cellruntime.exec.processes import find, start_time
from diegod.cellruntime.exec.records import ContainerFiles
from diegod.cellruntime.exec.rendezvous import launch_supervisor, make_private, socket_path
from diegod.contracts.backend import ContainerSpec, ContainerState, Exit
from diegod.testing.backend_bench import OWNER, WITNESS, Bench, output

#: What the supervisor must do without: each costs start time and memory in every cell.
HEAVY = ("asyncio", "google", "grpc", "numpy", "pluggy", "structlog", "cryptography", "lmdb")


@pytest_asyncio.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    bench = Bench(
        lambda owner: ExecBackend(owner, tmp_path / "state", {}),
        tmp_path / "containers",
        "preloaded:busybox",
        patience_s=20,
    )
    try:
        yield bench
    finally:
        await bench.end()


def cell_folder(tmp_path: Path) -> Path:
    (folder,) = (tmp_path / "state").iterdir()
    return folder


def supervisor_pid(tmp_path: Path) -> int:
    return int((cell_folder(tmp_path) / "supervisor.lock").read_text())


async def kill_supervisor(bench: Bench, tmp_path: Path) -> None:
    pid = supervisor_pid(tmp_path)
    os.kill(pid, signal.SIGKILL)
    await bench.until(lambda: not lives(pid), "the supervisor is gone")


def lives(pid: int) -> bool:
    return start_time(pid) != ""


def launched(folder: Path, idle_s: float) -> tuple[int, Path]:
    """A supervisor with little patience: its pid and its socket."""
    near = socket_path(folder)
    make_private(folder)
    make_private(near.parent)
    subprocess.run(
        [
            *(sys.executable, "-m", "diegod.cellruntime.exec.supervisor"),
            *("--socket", str(near), "--directory", str(folder), "--idle-s", str(idle_s)),
        ],
        env={"PYTHONPATH": str(Path(__file__).parents[4])},
        check=True,
    )
    return int((folder / "supervisor.lock").read_text()), near


def files_of(spec: ContainerSpec) -> ContainerFiles:
    return ContainerFiles(spec.directory)


def test_it_imports_nothing_heavy() -> None:
    source = "import sys, diegod.cellruntime.exec.supervisor; print(*sorted(sys.modules))"
    environment = {"PYTHONPATH": str(Path(__file__).parents[4])}
    told = subprocess.run(
        [sys.executable, "-S", "-c", source], capture_output=True, env=environment, check=True
    )
    imported = told.stdout.decode().split()
    assert "diegod.cellruntime.exec.supervision" in imported
    assert [name for name in imported if name.startswith(HEAVY)] == []


async def test_it_is_detached_and_private(bench: Bench, tmp_path: Path) -> None:
    await bench.agent()
    pid = supervisor_pid(tmp_path)
    seen = find(pid)
    assert seen is not None
    assert (seen.session, seen.parent != os.getpid()) == (pid, True)
    folder = cell_folder(tmp_path)
    assert stat.S_IMODE(socket_path(folder).stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


async def test_there_is_only_one(bench: Bench, tmp_path: Path) -> None:
    await bench.agent()
    first = supervisor_pid(tmp_path)
    await asyncio.gather(*(launch_supervisor(cell_folder(tmp_path)) for _ in range(3)))
    await bench.agent()
    assert supervisor_pid(tmp_path) == first


async def test_sweep_ends_it_and_leaves_no_file(bench: Bench, tmp_path: Path) -> None:
    backend = await bench.agent()
    spec = bench.spec(*WITNESS)
    await bench.start(backend, spec)
    pid, near = supervisor_pid(tmp_path), socket_path(cell_folder(tmp_path))
    await backend.sweep()
    await bench.until(lambda: not lives(pid), "the supervisor is gone")
    assert list((tmp_path / "state").iterdir()) == []
    assert not near.exists()
    assert [entry.name for entry in spec.directory.iterdir()] == ["container.log"]


async def test_it_leaves_when_nobody_comes(bench: Bench, tmp_path: Path) -> None:
    pid, near = launched(tmp_path / "idle", idle_s=0.2)
    await bench.until(lambda: not lives(pid), "the supervisor left")
    assert not near.exists()


async def test_it_leaves_when_nobody_needs_it(bench: Bench, tmp_path: Path) -> None:
    """With a container or a client it stays, whatever its patience."""
    pid, near = launched(tmp_path / "idle", idle_s=0.4)
    _, writer = await asyncio.open_unix_connection(near)
    await asyncio.sleep(0.8)
    assert lives(pid)
    writer.close()
    await bench.until(lambda: not lives(pid), "the supervisor left")
    assert not near.exists()


async def test_killed_with_its_container_running(bench: Bench, tmp_path: Path) -> None:
    """The container lives on, is known by pid and birth, and can still be destroyed."""
    backend = await bench.agent()
    spec = bench.spec("/bin/sh", "-c", "sleep 60")
    started = await bench.start(backend, spec)
    await kill_supervisor(bench, tmp_path)
    heir = await bench.agent()
    assert await heir.inspect(spec.handle) == started
    result = await heir.exec(spec.handle, ("/bin/sh", "-c", "exit 3"), {}, 10)
    assert result.status == 3
    await bench.in_time(heir.destroy(spec.handle))
    assert not lives(started.pid)
    assert await heir.inspect(spec.handle) is None


async def test_killed_and_then_the_program_ends(bench: Bench, tmp_path: Path) -> None:
    """Nobody was there to take its status: it is lost, and says so to who waits."""
    backend = await bench.agent()
    spec = bench.spec("/bin/sh", "-c", "sleep 60")
    await bench.start(backend, spec)
    waiting = asyncio.ensure_future(backend.wait(spec.handle))
    await kill_supervisor(bench, tmp_path)
    await backend.signal(spec.handle, "KILL")
    ended = await bench.in_time(waiting)
    assert (ended.state, ended.exit) == (ContainerState.LOST, None)


async def test_an_exit_that_was_recorded_survives_it(bench: Bench, tmp_path: Path) -> None:
    backend = await bench.agent()
    spec = bench.spec("/bin/sh", "-c", "exit 8")
    await bench.run(backend, spec)
    await kill_supervisor(bench, tmp_path)
    status = await (await bench.agent()).inspect(spec.handle)
    assert status is not None
    assert status.exit == Exit(8)


async def test_a_pid_that_is_somebody_elses_now_is_not_killed(bench: Bench, tmp_path: Path) -> None:
    backend = await bench.agent()
    spec = bench.spec("/bin/sh", "-c", "sleep 60")
    started = await bench.start(backend, spec)
    await kill_supervisor(bench, tmp_path)
    record = files_of(spec).process
    assert record is not None
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as stranger:
        # Born at another time: all within one tick of the kernel's clock would look alike.
        files_of(spec).write_process(replace(record, pid=stranger.pid, started="1"))
        heir = await bench.agent()
        try:
            status = await heir.inspect(spec.handle)
            assert status is not None
            assert status.state is ContainerState.LOST
            await heir.signal(spec.handle, "KILL")
            await bench.in_time(heir.destroy(spec.handle))
            assert stranger.poll() is None
        finally:
            stranger.kill()
            os.kill(started.pid, signal.SIGKILL)


async def test_an_exec_ends_with_the_agent_that_asked(bench: Bench) -> None:
    backend = await bench.agent()
    spec = bench.spec(*WITNESS)
    await bench.start(backend, spec)
    script = "echo $$ >pid; exec sleep 60"
    asking = asyncio.ensure_future(backend.exec(spec.handle, ("/bin/sh", "-c", script), {}, 60))
    note = spec.directory / "work/pid"
    await bench.until(lambda: note.exists() and note.read_text() != "", "it runs")
    pid = int(note.read_text())
    await backend.close()
    await bench.until(lambda: not lives(pid), "it is gone")
    with pytest.raises(Exception, match="supervisor"):
        await asking
    assert b"started" in output(spec)


async def test_owner_of_a_container_is_not_asked_twice(bench: Bench, tmp_path: Path) -> None:
    """A supervisor that ends is replaced on the next request, for the same cell."""
    backend = await bench.agent(OWNER)
    await kill_supervisor(bench, tmp_path)
    ended = await bench.run(backend, bench.spec("/bin/sh", "-c", "exit 2"))
    assert ended.exit == Exit(2)


async def test_a_folder_that_vanished_does_not_keep_its_program(
    bench: Bench, tmp_path: Path
) -> None:
    """Somebody cleaned up by hand: the records are gone, the supervisor still knows its child."""
    backend = await bench.agent()
    spec = bench.spec("/bin/sh", "-c", "sleep 60")
    started = await bench.start(backend, spec)
    shutil.rmtree(spec.directory)
    await bench.in_time(backend.destroy(spec.handle))
    assert not lives(started.pid)
    assert list(await backend.handles()) == []
