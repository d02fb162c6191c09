"""Tasks over a cluster that answers as it is told."""

import pytest

from diegod.client import Client
from diegod.client.connect import Connection
from diegod.models.errors import DomainError, Reason
from diegod.v1.event_pb2 import WatchReply
from diegod.v1.record_pb2 import Change, Task
from diegod.v1.task_pb2 import DesireTaskReply, ListTasksReply
from diegod.world.ids import SeededIds
from tests.unit.client.fake_cluster import FakeCluster


async def _closed() -> None:
    return None


def a_client(cluster: FakeCluster, timeout_s: float = 1.0) -> Client:
    return Client.over(Connection(cluster, _closed), ids=SeededIds(1), timeout_s=timeout_s)


def changed(
    state: Task.State.ValueType, verb: Change.Verb.ValueType = Change.CHANGED
) -> WatchReply:
    return WatchReply(changes=[Change(verb=verb, task=Task(task_guid="t", state=state))])


ROW = Change(verb=Change.CREATED, task=Task(task_guid="t", state=Task.PENDING))
BEGINNING = [WatchReply(rows=[ROW]), WatchReply(rows_end=True, revision=7)]


async def test_run_desires_a_task_and_waits_for_its_end() -> None:
    end = Task(task_guid="t", state=Task.COMPLETED, exit_status=3, exit_status_known=True)
    cluster = FakeCluster(
        calls={"TaskService/Desire": DesireTaskReply()},
        watched=[*BEGINNING, changed(Task.RUNNING), WatchReply(changes=[Change(task=end)])],
    )
    client = a_client(cluster)
    task = await client.tasks.run(
        guid="t", rootfs="preloaded:busybox", argv=["sh", "-c", "exit 3"], env={"A": "b"}
    )
    assert task == end
    (request,) = cluster.asked("TaskService/Desire")
    assert request.request_id
    assert request.definition.action.run.path == "sh"
    assert list(request.definition.action.run.args) == ["-c", "exit 3"]
    assert dict(request.definition.environment_variables) == {"A": "b"}
    (watch,) = cluster.asked("watch")
    assert (watch.guid, list(watch.kinds)) == ("t", ["task"])


async def test_a_task_that_was_completed_before_is_no_wait() -> None:
    row = Change(task=Task(task_guid="t", state=Task.COMPLETED))
    cluster = FakeCluster(watched=[WatchReply(rows=[row], rows_end=True)])
    assert (await a_client(cluster).tasks.wait("t")).state == Task.COMPLETED


async def test_waiting_for_nobody_is_not_found() -> None:
    cluster = FakeCluster(watched=[WatchReply(rows_end=True)])
    with pytest.raises(DomainError) as caught:
        await a_client(cluster).tasks.wait("t")
    assert caught.value.reason is Reason.RESOURCE_NOT_FOUND


async def test_a_task_that_is_removed_meanwhile_ends_the_wait() -> None:
    cluster = FakeCluster(watched=[*BEGINNING, changed(Task.PENDING, Change.REMOVED)])
    with pytest.raises(DomainError) as caught:
        await a_client(cluster).tasks.wait("t")
    assert caught.value.reason is Reason.RESOURCE_NOT_FOUND


async def test_a_list_is_the_rows_of_all_its_pages() -> None:
    pages = [ListTasksReply(tasks=[Task(task_guid=guid)]) for guid in "abc"]
    cluster = FakeCluster(streams={"TaskService/List": pages})
    assert [task.task_guid for task in await a_client(cluster).tasks.list()] == ["a", "b", "c"]


async def test_silence_at_the_beginning_of_a_stream_is_unavailable() -> None:
    cluster = FakeCluster(streams={"TaskService/List": [5.0]})
    with pytest.raises(DomainError) as caught:
        await a_client(cluster, timeout_s=0.05).tasks.list()
    assert caught.value.reason is Reason.UNAVAILABLE


async def test_each_write_has_a_request_id_of_its_own() -> None:
    cluster = FakeCluster(calls={"TaskService/Cancel": DomainError(Reason.UNAVAILABLE, "x")})
    client = a_client(cluster)
    for _ in "ab":
        with pytest.raises(DomainError):
            await client.tasks.cancel("t")
    ids = [request.request_id for request in cluster.asked("TaskService/Cancel")]
    assert len(set(ids)) == 2


async def test_events_are_the_changes_from_now_on() -> None:
    cluster = FakeCluster(watched=[WatchReply(rows_end=True), changed(Task.RUNNING)])
    async for change in a_client(cluster).events(kinds=["task"]):
        assert change.task.state == Task.RUNNING
        break
    (request,) = cluster.asked("watch")
    assert request.changes_only
