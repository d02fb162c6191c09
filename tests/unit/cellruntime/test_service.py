"""Whose output is read, and when a follower is done."""

from pathlib import Path

import pytest

from diegod.cellruntime.directories import FileDirectories
from diegod.cellruntime.service import LogService
from diegod.models.errors import DomainError, Reason
from diegod.security.identity import Principal, Role
from diegod.v1.stream_pb2 import LogChunk, ReadLogsRequest
from tests.unit.cellruntime.test_log_reader import cri
from tests.unit.cellruntime.test_records import at_once

CALLER = Principal("prod", Role.BBS, "bbs-1")


class Live:
    """Containers that may still write, each with what it does when it is waited for."""

    def __init__(self) -> None:
        self.steps: dict[str, list[bytes]] = {}
        self.files: FileDirectories | None = None

    def may_still_write(self, handle: str) -> bool:
        return bool(self.steps.get(handle))

    def handles_of_task(self, task_guid: str) -> list[str]:
        return [handle for handle in self.steps if handle.startswith(f"t-{task_guid}-")]

    async def await_change(self, timeout_s: float) -> None:
        assert self.files is not None
        for handle, steps in self.steps.items():
            if steps and (words := steps.pop(0)):
                with (await self.files.make(handle) / "container.log").open("ab") as log:
                    log.write(cri(("stdout", "F", words)))


class Cell:
    def __init__(self, data: Path) -> None:
        self.files = FileDirectories(data, at_once)
        self.live = Live()
        self.live.files = self.files
        self.service = LogService("cell-1", self.live, self.files, at_once)

    async def says(self, handle: str, words: bytes) -> None:
        (await self.files.make(handle) / "container.log").write_bytes(cri(("stdout", "F", words)))

    async def read(self, **request: object) -> bytes:
        replies = self.service.read(ReadLogsRequest(**request), CALLER)  # type: ignore[arg-type]
        return b"".join([chunk.data async for reply in replies for chunk in reply.chunks])


@pytest.fixture
def cell(tmp_path: Path) -> Cell:
    return Cell(tmp_path)


async def test_a_task_is_meant_in_its_latest_attempt(cell: Cell) -> None:
    for handle in ("t-job-9", "t-job-10", "t-job-x-99"):
        await cell.says(handle, handle.encode())
    assert await cell.read(task_guid="job") == b"t-job-10\n"
    await cell.files.discard("t-job-10")
    assert await cell.read(task_guid="job") == b"t-job-10\n"


async def test_following_ends_with_the_container(cell: Cell) -> None:
    cell.live.steps["l-i9"] = [b"", b"one", b"", b"two"]  # its log is not there yet
    assert await cell.read(instance_guid="i9", follow=True) == b"one\ntwo\n"


async def test_without_follow_what_is_there_is_all(cell: Cell) -> None:
    await cell.says("l-i9", b"one")
    cell.live.steps["l-i9"] = [b"two"]
    assert await cell.read(instance_guid="i9") == b"one\n"


async def test_a_container_that_says_nothing_and_ends_is_empty(cell: Cell) -> None:
    cell.live.steps["t-job-7"] = [b"", b""]
    assert await cell.read(task_guid="job", follow=True) == b""


@pytest.mark.parametrize("request_of", [{"task_guid": "nope"}, {"instance_guid": "nope"}])
async def test_what_never_was_here_is_not_found(cell: Cell, request_of: dict[str, str]) -> None:
    with pytest.raises(DomainError, match="cell-1 has no output of") as error:
        await cell.read(**request_of)
    assert error.value.reason is Reason.RESOURCE_NOT_FOUND


@pytest.mark.parametrize(
    "request_of",
    [{}, {"task_guid": "../x"}, {"task_guid": "*"}, {"instance_guid": "../../etc"}],
)
async def test_nothing_but_a_guid_gets_near_a_file_name(
    cell: Cell, request_of: dict[str, str]
) -> None:
    with pytest.raises(DomainError) as error:
        await cell.read(**request_of)
    assert error.value.reason is Reason.INVALID_REQUEST


async def test_the_cell_s_own_lines_come_when_they_are_asked_for(cell: Cell) -> None:
    await cell.says("t-job-7", b"out")
    await cell.files.tell("t-job-7", cri(("cell", "F", b"started, pid 7")))
    assert await cell.read(task_guid="job") == b"out\n"
    assert await cell.read(task_guid="job", streams=[LogChunk.CELL]) == b"started, pid 7\n"
    both = await cell.read(task_guid="job", streams=LogChunk.Stream.values())
    assert sorted(both.splitlines()) == [b"out", b"started, pid 7"]


async def test_what_never_came_to_run_has_a_story(cell: Cell) -> None:
    await cell.files.tell("t-job-7", cri(("cell", "F", b"destroying it: no such rootfs")))
    assert await cell.read(task_guid="job") == b""
    story = await cell.read(task_guid="job", streams=[LogChunk.CELL], follow=True)
    assert story == b"destroying it: no such rootfs\n"


def test_its_handler_is_in_the_table_of_methods(cell: Cell) -> None:
    from diegod.rpc.methods import served_by

    names = {method.name for method in served_by("cell")}
    assert set(cell.service.handlers()) == names
