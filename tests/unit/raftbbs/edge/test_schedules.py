"""TaskScheduleService over a real member."""

from pathlib import Path

from diegod.internal.v1.command_pb2 import FireSchedule
from diegod.models.errors import DomainError, Reason
from diegod.raftbbs.core.stamps import NS
from diegod.raftbbs.edge.schedules import TaskScheduleService
from diegod.raftbbs.edge.tasks import TaskService
from diegod.v1 import task_pb2 as api
from diegod.v1.definition_pb2 import TaskParameter, TaskScheduleDefinition
from diegod.v1.record_pb2 import Task
from tests.unit.raftbbs.bbs import ANN, BRAIN, Bbs, a_task, collected, refused, running

PARAMETERS = [
    TaskParameter(name="REGION", required=True),
    TaskParameter(name="DEPTH", default_value="3"),
]


def a_schedule(name: str = "nightly", **fields: object) -> TaskScheduleDefinition:
    task = a_task("", domain="")
    definition = TaskScheduleDefinition(name=name, cron="0 3 * * *", task=task)
    definition.MergeFrom(TaskScheduleDefinition(**fields))  # type: ignore[arg-type]
    return definition


def dispatched(**fields: object) -> TaskScheduleDefinition:
    definition = a_schedule("report", parameters=PARAMETERS, **fields)
    definition.ClearField("cron")
    return definition


async def _desire(
    bbs: Bbs, definition: TaskScheduleDefinition, **more: int
) -> api.DesireScheduleReply:
    request = api.DesireScheduleRequest(definition=definition, **more)  # type: ignore[arg-type]
    return await TaskScheduleService(bbs.access).desire(request, ANN)


async def _dispatch(bbs: Bbs, request_id: str = "r1", **fields: object) -> api.DispatchTaskReply:
    request = api.DispatchTaskRequest(name="report", request_id=request_id, **fields)  # type: ignore[arg-type]
    return await TaskScheduleService(bbs.access).dispatch(request, ANN)


async def _refusal(bbs: Bbs, **fields: object) -> DomainError:
    return await refused(_dispatch(bbs, **fields))  # type: ignore[arg-type]


async def test_a_schedule_is_there_with_its_definition_and_defaults(tmp_path: Path) -> None:
    async with running(tmp_path / "m1") as bbs:
        reply = await _desire(bbs, a_schedule())
        assert not reply.already_there
        assert (reply.schedule.domain, reply.schedule.time_zone) == ("default", "UTC")
        assert (reply.schedule.late_ms, reply.schedule.task.task_guid) == (60_000, "")
        service = TaskScheduleService(bbs.access)
        got = (await service.get(api.GetScheduleRequest(name="nightly"), ANN)).schedule
        assert got.definition.task.action.run.path == a_task("").action.run.path
        assert got.definition.task.memory_mb
        assert got.definition.cron == "0 3 * * *"


async def test_plan_after_apply_says_no_change(tmp_path: Path) -> None:
    """What `show` gives back is what was stored, so desired again it is there already."""
    async with running(tmp_path / "m1") as bbs:
        await _desire(bbs, a_schedule())
        service = TaskScheduleService(bbs.access)
        shown = (await service.get(api.GetScheduleRequest(name="nightly"), ANN)).schedule
        assert (await _desire(bbs, shown.definition)).already_there


async def test_somebody_elses_change_is_not_overwritten(tmp_path: Path) -> None:
    async with running(tmp_path / "m1") as bbs:
        first = (await _desire(bbs, a_schedule())).schedule.provenance.revision
        await _desire(bbs, a_schedule(allow_overlap=True), expected_revision=first)
        error = await refused(_desire(bbs, a_schedule(late_ms=5000), expected_revision=first))
        assert error.reason is Reason.RESOURCE_CONFLICT


async def test_everything_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    async with running(tmp_path / "m1") as bbs:
        bad = a_schedule("a b", time_zone="Mars/Base")
        bad.cron, bad.task.rootfs, bad.task.task_guid = "61 * * * *", "nowhere", "t1"
        error = await refused(_desire(bbs, bad))
        assert {problem.path for problem in error.problems} == {
            *("name", "cron", "time_zone", "task.rootfs", "task.task_guid")
        }


async def test_paused_resumed_and_removed(tmp_path: Path) -> None:
    async with running(tmp_path / "m1") as bbs:
        await _desire(bbs, a_schedule())
        service, verb = TaskScheduleService(bbs.access), api.ControlScheduleRequest
        for said, paused in ((verb.PAUSE, True), (verb.RESUME, False), (verb.REMOVE, False)):
            request = api.ControlScheduleRequest(name="nightly", verb=said)
            assert (await service.control(request, ANN)).schedule.paused == paused
        error = await refused(service.get(api.GetScheduleRequest(name="nightly"), ANN))
        assert error.reason is Reason.RESOURCE_NOT_FOUND


async def test_a_list_is_of_a_domain_and_comes_in_pages(tmp_path: Path) -> None:
    async with running(tmp_path / "m1") as bbs:
        for number in range(5):
            await _desire(bbs, a_schedule(f"s{number}", domain="shop" if number else "other"))
        service = TaskScheduleService(bbs.access)
        request = api.ListSchedulesRequest(domain="shop", page_size=3)
        pages = await collected(service.list(request, ANN))
        assert [[each.name for each in page.schedules] for page in pages] == [
            ["s1", "s2", "s3"],
            ["s4"],
        ]
        rest = api.ListSchedulesRequest(domain="shop", page_token=pages[0].page_token)
        [last] = await collected(service.list(rest, ANN))
        assert [each.name for each in last.schedules] == ["s4"]


async def test_a_task_of_the_clock_can_be_read_like_any_other(tmp_path: Path) -> None:
    async with running(tmp_path / "m1") as bbs:
        await bbs.with_brain()
        row = (await _desire(bbs, a_schedule())).schedule
        slot_ns = (row.created_at.seconds // 60 + 2) * 60 * NS
        fire = FireSchedule(name="nightly", row_revision=row.provenance.revision, slot_ns=slot_ns)
        guid = (await bbs.done(BRAIN, fire_schedule=fire)).task_schedule.last_task_guid
        got = (await TaskService(bbs.access).get(api.GetTaskRequest(task_guid=guid), ANN)).task
        assert (got.state, got.schedule_name) == (Task.PENDING, "nightly")
        assert got.definition.task_guid == guid
        assert got.definition.action.run.path == a_task("").action.run.path


async def test_a_dispatched_task_has_its_parameters_and_its_payload(tmp_path: Path) -> None:
    async with running(tmp_path / "m1") as bbs:
        await _desire(bbs, dispatched())
        reply = await _dispatch(bbs, parameters={"REGION": "eu"}, payload="{“a”: 1}".encode())
        guid = reply.task.task_guid
        assert guid.startswith("report-dispatched-")
        assert len(guid) == len("report-dispatched-") + 12
        assert reply.task.schedule_name == "report"
        assert not reply.task.HasField("slot")
        got = (await TaskService(bbs.access).get(api.GetTaskRequest(task_guid=guid), ANN)).task
        assert dict(got.definition.environment_variables) == {
            "REGION": "eu",
            "DEPTH": "3",
            "DIEGOD_DISPATCH_PAYLOAD": "{“a”: 1}",
        }


async def test_a_dispatch_sent_twice_is_one_task(tmp_path: Path) -> None:
    async with running(tmp_path / "m1") as bbs:
        await _desire(bbs, dispatched())
        first = await _dispatch(bbs, parameters={"REGION": "eu"})
        again = await _dispatch(bbs, parameters={"REGION": "eu"})
        assert again.already_there
        assert again.task == first.task
        other = await _dispatch(bbs, "r2", parameters={"REGION": "eu"})
        assert other.task.task_guid != first.task.task_guid


async def test_every_parameter_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    async with running(tmp_path / "m1") as bbs:
        await _desire(bbs, dispatched())
        wrong = {"DEPTH": "a\0", "REGIN": "eu"}
        error = await _refusal(bbs, parameters=wrong, payload=b"\xff")
        assert {problem.path for problem in error.problems} == {
            *("parameters.DEPTH", "parameters.REGIN", "parameters.REGION", "payload")
        }
        large = await _refusal(bbs, parameters={"REGION": "eu"}, payload=b"x" * 65_537)
        assert [problem.path for problem in large.problems] == ["payload"]


async def test_a_dispatch_without_an_id_or_of_nothing_is_refused(tmp_path: Path) -> None:
    async with running(tmp_path / "m1") as bbs:
        assert (await _refusal(bbs, request_id="")).reason is Reason.INVALID_REQUEST
        assert (await _refusal(bbs)).reason is Reason.RESOURCE_NOT_FOUND
