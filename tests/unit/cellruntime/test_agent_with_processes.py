"""The agent with real processes, real files and real threads: the exec backend on this machine."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TypeVar

import pytest

from diegod.cellruntime.agent import Agent
from diegod.cellruntime.checks.tcp import make_tcp_check
from diegod.cellruntime.directories import FileDirectories
from diegod.cellruntime.exec.backend import ExecBackend
from diegod.cellruntime.records import FileRecords
from diegod.cellruntime.service import LogService
from diegod.contracts.backend import Owner
from diegod.internal.v1.command_pb2 import Command, Outcome
from diegod.security.identity import Principal, Role
from diegod.v1.definition_pb2 import Action, LrpDefinition, RunAction, TaskDefinition
from diegod.v1.record_pb2 import ActualLrp, Cell, Task
from diegod.v1.stream_pb2 import LogChunk, ReadLogsRequest
from diegod.world import RandomIds, SystemClock
from tests.unit.cellruntime.board import Board
from tests.unit.cellruntime.worlds import CAPACITY, ME, BoardBbs, Points

T = TypeVar("T")

pytestmark = pytest.mark.skipif(os.name != "posix", reason="the exec backend needs a Unix")


async def in_thread(function: Callable[[], T]) -> T:
    return await asyncio.to_thread(function)


class Host:
    def __init__(self, data: Path) -> None:
        self.data = data
        self.board = Board()
        self.owner = Owner(f"test-{data.name}", ME)
        self.directories = FileDirectories(data, in_thread)

    def live(self) -> None:
        self.backend = ExecBackend(self.owner, self.data / "exec", {})
        self.agent = Agent(
            Cell(cell_id=ME, address="127.0.0.1:1801", capacity=CAPACITY),
            self.owner,
            BoardBbs(self.board, Points()),
            self.backend,
            {"tcp": make_tcp_check},
            FileRecords(self.data / "records", in_thread),
            SystemClock(),
            RandomIds(),
            self.directories,
            range(62000, 62010),
        )
        self.logs = LogService(ME, self.agent, self.directories, in_thread)
        self._running = asyncio.create_task(self.agent.run())

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not holds():
                if self._running.done():
                    self._running.result()
                await asyncio.sleep(0.02)

    async def output(self, task_guid: str, stream: LogChunk.Stream.ValueType) -> bytes:
        caller = Principal("prod", Role.BBS, "bbs-1")
        request = ReadLogsRequest(task_guid=task_guid, follow=True, streams=[stream])
        replies = self.logs.read(request, caller)
        chunks = [chunk async for reply in replies for chunk in reply.chunks]
        return b"".join(chunk.data for chunk in chunks if chunk.stream == stream)


@pytest.fixture
async def host(tmp_path: Path) -> AsyncIterator[Host]:
    host = Host(tmp_path)
    host.live()
    await host.until(lambda: host.agent.status().registered)
    yield host
    await host.agent.remove_all()


def shell(script: str) -> Action:
    return Action(run=RunAction(path="sh", args=["-c", script]))


async def test_a_task_s_end_and_output_are_as_they_were(host: Host) -> None:
    script = "seq 1000; echo oh >&2; printf '%s' $DIEGOD_TASK_GUID; exit 3"
    definition = TaskDefinition(task_guid="job", rootfs="preloaded:busybox", action=shell(script))
    host.board.desire_task(definition)
    host.board.place_task("job", ME)
    await host.until(lambda: host.board.rows["task", "job"].state == Task.COMPLETED)
    row = host.board.rows["task", "job"]
    assert (row.exit_status, row.failure_reason) == (3, "exited with status 3")
    lines = b"".join(b"%d\n" % n for n in range(1, 1001))
    assert await host.output("job", LogChunk.STDOUT) == lines + b"job"
    assert await host.output("job", LogChunk.STDERR) == b"oh\n"
    await host.until(lambda: not host.agent.machine.containers)
    assert await host.output("job", LogChunk.STDOUT) == lines + b"job"
    assert list((host.data / "records").iterdir()) == []
    assert list((host.data / "containers").iterdir()) == []


async def test_an_instance_is_the_same_process_under_the_next_agent(host: Host) -> None:
    action = shell("exec sleep 60")
    host.board.desire_lrp(LrpDefinition(process_guid="web", rootfs="dir:/", action=action))
    guid = host.board.create_instance("web", 0)
    host.board.place_instance(guid, ME)
    await host.until(lambda: host.board.rows["actual_lrp", guid].state == ActualLrp.RUNNING)
    before = await host.backend.inspect(f"l-{guid}")
    await host.agent.stop()
    host.live()
    await host.until(lambda: host.agent.status().incarnation == 2)
    await host.until(lambda: "running" in [c.state for c in host.agent.status().containers])
    after = await host.backend.inspect(f"l-{guid}")
    assert before is not None
    assert after is not None
    assert before.pid == after.pid > 0
    host.board.retire_instance(guid)
    await host.until(lambda: ("actual_lrp", guid) not in host.board.rows)
    assert await host.backend.inspect(f"l-{guid}") is None


async def test_the_result_of_a_task_and_the_story_of_its_container(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Command] = []
    real = host.board.apply

    def apply(by: str, command: Command) -> Outcome:
        told.append(command)
        return real(by, command)

    monkeypatch.setattr(host.board, "apply", apply)
    definition = TaskDefinition(
        task_guid="job",
        rootfs="preloaded:busybox",
        action=shell(f"echo 42 > {host.data}/result"),
        result_file=f"{host.data}/result",
    )
    host.board.desire_task(definition)
    host.board.place_task("job", ME)
    await host.until(lambda: host.board.rows["task", "job"].state == Task.COMPLETED)
    (report,) = [c.complete_task for c in told if c.HasField("complete_task")]
    assert (report.failed, report.result) == (False, "42\n")
    await host.until(lambda: not host.agent.machine.containers)
    await host.agent.stop()  # what is still to be written is
    story = (await host.output("job", LogChunk.CELL)).decode().splitlines()
    assert story[:4] == ["preparing root file system and network", "prepared", "granted", "created"]
    assert story[4].startswith("started at 127.0.0.1")
    assert story[-2:] == ["exited with status 0", "destroyed"]
