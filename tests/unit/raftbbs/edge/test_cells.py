"""CellService: cells, and what is on them."""

from pathlib import Path

from diegod.internal.v1.command_pb2 import ExpireCell, PlaceTask
from diegod.models.errors import Reason
from diegod.raftbbs.edge.cells import CellService
from diegod.raftbbs.edge.tasks import TaskService
from diegod.security.identity import Principal, Role
from diegod.v1 import cell_pb2 as api
from diegod.v1.record_pb2 import Cell
from diegod.v1.task_pb2 import CancelTaskRequest, DesireTaskRequest
from tests.unit.raftbbs.bbs import (
    ANN,
    BRAIN,
    C1,
    C2,
    CLUSTER,
    Bbs,
    a_task,
    collected,
    refused,
    running,
)


async def _place(bbs: Bbs, guid: str) -> None:
    request = DesireTaskRequest(definition=a_task(guid, memory_mb=64, disk_mb=32))
    task = (await TaskService(bbs.access).desire(request, ANN)).task
    place = PlaceTask(
        task_guid=guid, row_revision=task.provenance.revision, cell_id="c1", cell_incarnation=1
    )
    await bbs.done(BRAIN, place_task=place)


async def test_a_cell_shows_what_is_on_it_and_not_what_has_ended(tmp_path: Path) -> None:
    async with running(tmp_path / "m1") as bbs:
        await bbs.with_brain()
        await bbs.with_cell(C1)
        await bbs.with_cell(C2)
        for guid in ("t1", "t2"):
            await _place(bbs, guid)
        service = CellService(bbs.access)
        (reply,) = await collected(service.list(api.ListCellsRequest(), ANN))
        assert [status.cell.cell_id for status in reply.cells] == ["c1", "c2"]
        assert [status.tasks for status in reply.cells] == [2, 0]
        assert reply.cells[0].used.memory_mb == 128
        assert reply.cells[0].used.disk_mb == 64
        await TaskService(bbs.access).cancel(CancelTaskRequest(task_guid="t1"), ANN)
        got = await service.get(api.GetCellRequest(cell_id="c1"), ANN)
        assert got.cell.tasks == 1
        assert got.cell.used.memory_mb == 64


async def test_a_missing_cell_is_shown_as_missing(tmp_path: Path) -> None:
    async with running(tmp_path / "m1") as bbs:
        await bbs.with_cell(C1)
        member = Principal(CLUSTER, Role.BBS, "m1")
        await bbs.done(member, expire_cell=ExpireCell(cell_id="c1", incarnation=1))
        got = await CellService(bbs.access).get(api.GetCellRequest(cell_id="c1"), ANN)
        assert got.cell.cell.state == Cell.MISSING


async def test_cells_come_in_pages(tmp_path: Path) -> None:
    async with running(tmp_path / "m1") as bbs:
        await bbs.with_cell(C1)
        await bbs.with_cell(C2)
        service = CellService(bbs.access)
        first, *_ = await collected(service.list(api.ListCellsRequest(page_size=1), ANN))
        rest = await collected(service.list(api.ListCellsRequest(page_token=first.page_token), ANN))
        assert [cell.cell.cell_id for reply in rest for cell in reply.cells] == ["c2"]


async def test_a_cell_that_is_not_there_is_not_found(tmp_path: Path) -> None:
    async with running(tmp_path / "m1") as bbs:
        get = CellService(bbs.access).get(api.GetCellRequest(cell_id="c9"), ANN)
        assert (await refused(get)).reason is Reason.RESOURCE_NOT_FOUND


async def test_a_cell_is_controlled(tmp_path: Path) -> None:
    async with running(tmp_path / "m1") as bbs:
        await bbs.in_format_2()
        await bbs.with_cell(C1)
        service = CellService(bbs.access)
        drain = api.ControlCellRequest(
            cell_id="c1", verb=api.ControlCellRequest.DRAIN, deadline_ms=1000
        )
        drained = (await service.control(drain, ANN)).cell
        assert drained.drain.deadline_at.ToNanoseconds() == (
            drained.drain.began_at.ToNanoseconds() + 1_000_000_000
        )
        uncordon = api.ControlCellRequest(cell_id="c1", verb=api.ControlCellRequest.UNCORDON)
        assert not (await service.control(uncordon, ANN)).cell.cordoned
        assert (await service.control(uncordon, ANN)).unchanged
        remove = api.ControlCellRequest(cell_id="c1", verb=api.ControlCellRequest.REMOVE)
        refusal = await refused(service.control(remove, ANN))
        assert refusal.reason is Reason.INVALID_STATE_TRANSITION


async def test_what_is_wrong_with_a_control_is_said_at_once(tmp_path: Path) -> None:
    async with running(tmp_path / "m1") as bbs:
        service = CellService(bbs.access)
        wrong = api.ControlCellRequest(cell_id="c1", deadline_ms=2**50)
        error = await refused(service.control(wrong, ANN))
        assert [problem.path for problem in error.problems] == [
            "verb",
            "deadline_ms",
            "deadline_ms",
        ]
