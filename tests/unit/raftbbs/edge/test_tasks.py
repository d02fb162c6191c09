"""TaskService over a real member: what a user asks, and what comes back."""

from pathlib import Path

from diegod.internal.v1.command_pb2 import CompleteTask, PlaceTask, StartTask
from diegod.models.errors import Reason
from diegod.raftbbs.edge.tasks import TaskService
from diegod.v1 import task_pb2 as api
from diegod.v1.record_pb2 import Task
from tests.unit.raftbbs.bbs import (
    ANN,
    BRAIN,
    C1,
    Bbs,
    a_task,
    collected,
    refusal_of_stream,
    refused,
    running,
    stream_of,
)


def _desire(guid: str = "t1", request_id: str = "", **fields: object) -> api.DesireTaskRequest:
    return api.DesireTaskRequest(request_id=request_id, definition=a_task(guid, **fields))


async def _listed(service: TaskService, **request: object) -> list[api.ListTasksReply]:
    return await collected(service.list(api.ListTasksRequest(**request), ANN))  # type: ignore[arg-type]


async def _run(bbs: Bbs, guid: str) -> None:
    """Place it on c1, and start it there."""
    with bbs.access.state() as state:
        task = state.task(guid)
    assert task is not None
    place = PlaceTask(
        task_guid=guid,
        row_revision=task.provenance.revision,
        cell_id="c1",
        cell_incarnation=1,
    )
    attempt = (await bbs.done(BRAIN, place_task=place)).task.attempt
    await bbs.done(C1, start_task=StartTask(task_guid=guid, attempt=attempt))


async def test_a_desired_task_is_there_with_its_definition_and_defaults(tmp_path: Path) -> None:
    async with running(tmp_path / "m1") as bbs:
        service = TaskService(bbs.access)
        reply = await service.desire(_desire(annotation="hello"), ANN)
        assert reply.task.state == Task.PENDING
        assert reply.task.provenance.by == "user/ann"
        assert not reply.already_there
        got = await service.get(api.GetTaskRequest(task_guid="t1"), ANN)
        assert got.task.definition.annotation == "hello"
        assert got.task.definition.memory_mb
        assert got.revision == reply.task.provenance.revision


async def test_the_same_again_is_there_already_and_another_one_is_refused(tmp_path: Path) -> None:
    async with running(tmp_path / "m1") as bbs:
        service = TaskService(bbs.access)
        first = await service.desire(_desire(request_id="r1"), ANN)
        again = await service.desire(_desire(request_id="r1"), ANN)
        assert again.already_there
        assert again.task == first.task
        other = await refused(service.desire(_desire(annotation="other"), ANN))
        assert other.reason is Reason.RESOURCE_EXISTS


async def test_everything_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    async with running(tmp_path / "m1") as bbs:
        request = _desire(guid="", rootfs="nowhere")
        error = await refused(TaskService(bbs.access).desire(request, ANN))
        assert error.reason is Reason.INVALID_REQUEST
        assert {problem.path for problem in error.problems} >= {"task_guid", "rootfs"}
        assert bbs.member.counters().revision == 0


async def test_long_words_are_refused_before_they_are_part_of_a_row(tmp_path: Path) -> None:
    async with running(tmp_path / "m1") as bbs:
        service = TaskService(bbs.access)
        for request in (
            api.CancelTaskRequest(task_guid="t1", request_id="ä" * 65),
            api.CancelTaskRequest(task_guid="t1", cause="x" * 1025),
        ):
            assert (await refused(service.cancel(request, ANN))).reason is Reason.INVALID_REQUEST


async def test_a_bad_one_among_many_does_not_stop_the_others(tmp_path: Path) -> None:
    async with running(tmp_path / "m1") as bbs:
        requests = stream_of([_desire("t1"), _desire(""), _desire("t2")])
        replies = await collected(TaskService(bbs.access).desire_many(requests, ANN))
        assert [reply.error_reason for reply in replies] == ["", "InvalidRequest", ""]
        assert [reply.task.task_guid for reply in replies] == ["t1", "", "t2"]


async def test_in_bulk_each_of_every_message_is_answered_in_order(tmp_path: Path) -> None:
    async with running(tmp_path / "m1") as bbs:
        first = [_desire(f"t{number}") for number in range(150)]
        second = [_desire(""), _desire("t0"), _desire("t3", annotation="other")]
        messages = [api.DesireTasksRequest(requests=first), api.DesireTasksRequest(requests=second)]
        found = await collected(TaskService(bbs.access).desire_bulk(stream_of(messages), ANN))
        replies = [reply for each in found for reply in each.replies]
        assert [reply.task.task_guid for reply in replies[:150]] == [f"t{n}" for n in range(150)]
        assert [reply.error_reason for reply in replies[150:]] == [
            "InvalidRequest",
            "",
            "ResourceExists",
        ]
        assert replies[151].already_there
        assert bbs.member.counters().revision == 150


async def test_a_cancelled_task_has_failed_and_can_be_deleted(tmp_path: Path) -> None:
    async with running(tmp_path / "m1") as bbs:
        service = TaskService(bbs.access)
        await service.desire(_desire(), ANN)
        delete = api.DeleteTaskRequest(task_guid="t1")
        assert (await refused(service.delete(delete, ANN))).reason is (
            Reason.INVALID_STATE_TRANSITION
        )
        cancelled = await service.cancel(api.CancelTaskRequest(task_guid="t1"), ANN)
        assert cancelled.task.state == Task.COMPLETED
        assert cancelled.task.failed
        deleted = await service.delete(delete, ANN)
        assert deleted.revision == bbs.member.counters().revision
        get = api.GetTaskRequest(task_guid="t1")
        assert (await refused(service.get(get, ANN))).reason is Reason.RESOURCE_NOT_FOUND


async def test_a_failure_without_a_reason_is_a_failure(tmp_path: Path) -> None:
    async with running(tmp_path / "m1") as bbs:
        await bbs.with_brain()
        await bbs.with_cell(C1)
        service = TaskService(bbs.access)
        await service.desire(_desire(), ANN)
        await _run(bbs, "t1")
        with bbs.access.state() as state:
            task = state.task("t1")
        assert task is not None
        complete = CompleteTask(task_guid="t1", attempt=task.attempt, failed=True)
        outcome = await bbs.done(C1, complete_task=complete)
        assert outcome.task.failed


async def test_a_list_is_filtered_and_ends_with_its_revision(tmp_path: Path) -> None:
    async with running(tmp_path / "m1") as bbs:
        await bbs.with_brain()
        await bbs.with_cell(C1)
        service = TaskService(bbs.access)
        await service.desire(_desire("t1", domain="shop"), ANN)
        await service.desire(_desire("t2"), ANN)
        await _run(bbs, "t2")

        async def guids(**request: object) -> list[str]:
            replies = await _listed(service, **request)
            assert replies[-1].revision == bbs.member.counters().revision
            assert not replies[-1].page_token
            return [task.task_guid for reply in replies for task in reply.tasks]

        assert await guids() == ["t1", "t2"]
        assert await guids(stale=True) == ["t1", "t2"]
        assert await guids(domain="shop") == ["t1"]
        assert await guids(cell_id="c1") == ["t2"]
        assert await guids(state=Task.RUNNING) == ["t2"]
        assert await guids(domain="nobody") == []


async def test_a_list_comes_in_pages_of_one_revision_and_can_be_resumed(tmp_path: Path) -> None:
    async with running(tmp_path / "m1") as bbs:
        service = TaskService(bbs.access)
        for number in range(5):
            await service.desire(_desire(f"t{number}"), ANN)
        listing = service.list(api.ListTasksRequest(page_size=2), ANN)
        first = await anext(listing)
        await service.desire(_desire("late"), ANN)
        rest = await collected(listing)
        assert [len(reply.tasks) for reply in (first, *rest)] == [2, 2, 1]
        assert {reply.revision for reply in (first, *rest)} == {5}
        (resumed,) = await _listed(service, page_token=first.page_token)
        assert [task.task_guid for task in resumed.tasks] == ["t2", "t3", "t4", "late"]


async def test_a_page_token_of_nobodys_is_refused(tmp_path: Path) -> None:
    async with running(tmp_path / "m1") as bbs:
        service = TaskService(bbs.access)
        for token in ("zz", "0", "00" * 600):
            listing = service.list(api.ListTasksRequest(page_token=token), ANN)
            assert await refusal_of_stream(listing) is Reason.INVALID_REQUEST


async def test_one_caller_resolves_a_task(tmp_path: Path) -> None:
    async with running(tmp_path / "m1") as bbs:
        service = TaskService(bbs.access)
        await service.desire(_desire(), ANN)
        request = api.ResolveTaskRequest(request_id="r1", task_guid="t1")
        early = await refused(service.resolve(request, ANN))
        assert early.reason is Reason.INVALID_STATE_TRANSITION
        await service.cancel(api.CancelTaskRequest(task_guid="t1"), ANN)
        assert (await service.resolve(request, ANN)).task.state == Task.RESOLVING
        assert (await service.resolve(request, ANN)).task.state == Task.RESOLVING  # a retry
        second = await refused(service.resolve(api.ResolveTaskRequest(task_guid="t1"), ANN))
        assert second.reason is Reason.INVALID_STATE_TRANSITION
        await service.delete(api.DeleteTaskRequest(task_guid="t1"), ANN)
        kept = await refused(service.desire(_desire(), ANN))
        assert kept.reason is Reason.RESOURCE_EXISTS
