"""LogService on a member: the cell that has the output is asked, and its stream passed on."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from diegod.internal.v1.command_pb2 import ExpireCell, PlaceTask, StartTask
from diegod.models.errors import DomainError, Reason
from diegod.raftbbs.edge.logs import READ, LogRelay
from diegod.raftbbs.edge.tasks import TaskService
from diegod.rpc.methods import Method
from diegod.security.identity import Principal, Role
from diegod.v1.stream_pb2 import LogChunk, ReadLogsReply, ReadLogsRequest
from diegod.v1.task_pb2 import DesireTaskRequest
from tests.unit.raftbbs.bbs import (
    ANN,
    BRAIN,
    C1,
    CLUSTER,
    Bbs,
    a_task,
    collected,
    refusal_of_stream,
    running,
)


class ScriptedCell:
    """A dialer with one cell behind it, which says these lines and then, perhaps, fails."""

    def __init__(self, lines: list[bytes], fails: DomainError | None = None) -> None:
        self.lines, self.fails = lines, fails
        self.asked: list[tuple[str, str, Any]] = []
        self.said = 0

    async def stream(
        self, address: str, method: Method, request: Any, timeout_s: float | None
    ) -> AsyncIterator[Any]:
        self.asked.append((address, method.name, request))
        for line in self.lines:
            self.said += 1
            yield ReadLogsReply(chunks=[LogChunk(data=line)])
        if self.fails is not None:
            raise self.fails

    async def call(self, address: str, method: Method, request: Any, timeout_s: float) -> Any:
        raise AssertionError("output is a stream")

    async def duplex(
        self, address: str, method: Method, requests: AsyncIterator[Any], timeout_s: float | None
    ) -> AsyncIterator[Any]:
        raise AssertionError("output is one stream")
        yield

    async def close(self) -> None: ...


async def _started(bbs: Bbs) -> None:
    await bbs.with_brain()
    await bbs.with_cell(C1, address="c1:1801")
    task = (await TaskService(bbs.access).desire(DesireTaskRequest(definition=a_task()), ANN)).task
    place = PlaceTask(
        task_guid="t1", row_revision=task.provenance.revision, cell_id="c1", cell_incarnation=1
    )
    attempt = (await bbs.done(BRAIN, place_task=place)).task.attempt
    await bbs.done(C1, start_task=StartTask(task_guid="t1", attempt=attempt))


REQUEST = ReadLogsRequest(
    task_guid="t1", follow=True, tail_lines=3, streams=[LogChunk.STDERR, LogChunk.CELL]
)


async def test_the_cells_output_is_passed_on_as_it_is_asked_for(tmp_path: Path) -> None:
    async with running(tmp_path / "m1") as bbs:
        await _started(bbs)
        cell = ScriptedCell([b"one", b"two"])
        replies = LogRelay(bbs.access, cell).read(REQUEST, ANN)
        assert (await anext(replies)).chunks[0].data == b"one"
        assert cell.said == 1
        assert (await anext(replies)).chunks[0].data == b"two"
        assert await collected(replies) == []
        assert cell.asked == [("c1:1801", READ, REQUEST)]


async def test_what_the_cell_refuses_is_passed_on_too(tmp_path: Path) -> None:
    async with running(tmp_path / "m1") as bbs:
        await _started(bbs)
        gone = DomainError(Reason.RESOURCE_NOT_FOUND, "its output was removed")
        replies = LogRelay(bbs.access, ScriptedCell([b"one"], gone)).read(REQUEST, ANN)
        assert await refusal_of_stream(replies) is Reason.RESOURCE_NOT_FOUND


async def test_what_runs_nowhere_has_no_output(tmp_path: Path) -> None:
    async with running(tmp_path / "m1") as bbs:
        await TaskService(bbs.access).desire(DesireTaskRequest(definition=a_task()), ANN)
        relay = LogRelay(bbs.access, ScriptedCell([]))
        for request in (
            REQUEST,
            ReadLogsRequest(task_guid="t9"),
            ReadLogsRequest(instance_guid="i9"),
            ReadLogsRequest(),
        ):
            assert await refusal_of_stream(relay.read(request, ANN)) is Reason.RESOURCE_NOT_FOUND


async def test_a_missing_cell_is_not_dialled(tmp_path: Path) -> None:
    async with running(tmp_path / "m1") as bbs:
        await _started(bbs)
        member = Principal(CLUSTER, Role.BBS, "m1")
        await bbs.done(member, expire_cell=ExpireCell(cell_id="c1", incarnation=1))
        cell = ScriptedCell([b"one"])
        replies = LogRelay(bbs.access, cell).read(REQUEST, ANN)
        assert await refusal_of_stream(replies) is Reason.CELL_MISSING, "no other member knows more"
        assert cell.asked == []
