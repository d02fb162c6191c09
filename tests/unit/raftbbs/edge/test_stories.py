"""EventService/Story over a real member."""

from pathlib import Path

from diegod.models.errors import Reason
from diegod.raftbbs.edge.lrps import LrpService
from diegod.raftbbs.edge.stories import StoryTeller
from diegod.raftbbs.edge.tasks import TaskService
from diegod.v1 import task_pb2
from diegod.v1.event_pb2 import StoryRequest
from diegod.v1.lrp_pb2 import DesireLrpRequest, ScaleLrpRequest
from diegod.v1.record_pb2 import Change, Transition
from tests.unit.raftbbs.bbs import ANN, C1, Bbs, a_task, an_lrp, refused, running


async def _told(bbs: Bbs, **of: object) -> list[Transition]:
    reply = await StoryTeller(bbs.access).story(StoryRequest(**of), ANN)  # type: ignore[arg-type]
    return list(reply.transitions)


async def test_who_did_what_and_why(tmp_path: Path) -> None:
    async with running(tmp_path / "m1") as bbs:
        service = TaskService(bbs.access)
        request = task_pb2.DesireTaskRequest(definition=a_task("t1"), cause="nightly run")
        row = (await service.desire(request, ANN)).task
        [created] = await _told(bbs, task_guid="t1")
        assert (created.verb, created.state) == (Change.CREATED, "PENDING")
        assert (created.by, created.cause) == ("user/ann", "nightly run")
        assert created.at == row.created_at
        assert created.revision == row.provenance.revision
        cancel = task_pb2.CancelTaskRequest(task_guid="t1", cause="not needed")
        await service.cancel(cancel, ANN)
        again, ended = await _told(bbs, task_guid="t1")
        assert again == created
        assert (ended.state, ended.cause, ended.detail) == (
            *("COMPLETED", "not needed", "task was cancelled"),
        )


async def test_each_kind_of_row_has_one(tmp_path: Path) -> None:
    async with running(tmp_path / "m1") as bbs:
        await bbs.with_cell(C1)
        lrps = LrpService(bbs.access)
        await lrps.desire(DesireLrpRequest(definition=an_lrp(instances=1)), ANN)
        await lrps.scale(ScaleLrpRequest(process_guid="web", instances=2), ANN)
        assert [line.detail[:11] for line in await _told(bbs, process_guid="web")] == [
            *("1 instances", "2 instances")
        ]
        [present] = await _told(bbs, cell_id="c1")
        assert present.state == "PRESENT"


async def test_what_never_was_has_none(tmp_path: Path) -> None:
    async with running(tmp_path / "m1") as bbs:
        for of in (
            {"task_guid": "t9"},
            {"process_guid": "web"},
            {"process_guid": "web", "index": 0},
            {"cell_id": "c9"},
            {"schedule_name": "nightly"},
        ):
            error = await refused(_told(bbs, **of))
            assert error.reason is Reason.RESOURCE_NOT_FOUND, of
        assert (await refused(_told(bbs))).reason is Reason.INVALID_REQUEST
