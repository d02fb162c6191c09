"""`diegod task …` beside `run`: files, waiting, cancelling, output."""

import io
import sys

import pytest

from diegod.models.errors import DomainError, Reason
from diegod.v1.event_pb2 import WatchReply
from diegod.v1.record_pb2 import Change, Task
from diegod.v1.stream_pb2 import LogChunk, ReadLogsReply
from diegod.v1.task_pb2 import (
    CancelTaskReply,
    DeleteTaskReply,
    DesireTaskReply,
    DesireTaskRequest,
    GetTaskReply,
    ListTasksReply,
)
from tests.unit.cli.conftest import Run
from tests.unit.cli.records import a_task
from tests.unit.client.fake_cluster import FakeCluster

SPEC = (
    "kind: task\ntask_guid: {}\nrootfs: preloaded:busybox\naction: {{run: {{path: /bin/true}}}}\n"
)


def stored(request: DesireTaskRequest) -> object:
    guid = request.definition.task_guid
    if guid == "taken":
        return DomainError(Reason.RESOURCE_EXISTS, f"{guid} exists with another definition")
    return DesireTaskReply(
        task=Task(task_guid=guid, state=Task.PENDING), already_there=guid == "again"
    )


@pytest.fixture
def storing(cluster: FakeCluster) -> FakeCluster:
    cluster.calls = {
        "TaskService/Desire": stored,
        "TaskService/Get": GetTaskReply(task=a_task()),
        "TaskService/Cancel": CancelTaskReply(task=a_task()),
        "TaskService/Delete": DeleteTaskReply(),
    }
    return cluster


def a_file(*guids: str) -> str:
    with open("tasks.yaml", "w") as file:
        file.write("---\n".join(SPEC.format(guid) for guid in guids))
    return "tasks.yaml"


def test_submit_stores_every_document_in_order(storing: FakeCluster, run: Run) -> None:
    result = run("task", "submit", a_file("a", "again", "c"))
    assert (result.status, result.out) == (0, b"a\nagain\nc\n")
    assert result.err.splitlines() == [
        "task a is stored (PENDING)",
        "task again is already there (PENDING)",
        "task c is stored (PENDING)",
    ]


def test_submit_goes_on_after_a_refusal_and_ends_with_4(storing: FakeCluster, run: Run) -> None:
    result = run("task", "submit", a_file("a", "taken", "c"))
    assert (result.status, result.out) == (4, b"a\nc\n")
    assert "diegod: task taken: taken exists with another definition" in result.err
    assert result.err.endswith("diegod: 1 of 3 tasks were refused\n")


def test_submit_of_many_asks_a_few_at_a_time_and_answers_in_order(
    storing: FakeCluster, run: Run
) -> None:
    guids = [f"t{number}" for number in range(100)]
    assert run("task", "submit", a_file(*guids)).text.split() == guids


def test_submit_reads_standard_input(
    storing: FakeCluster, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(SPEC.format("a").encode())))
    assert run("task", "submit", "-").out == b"a\n"


def test_submit_of_nothing_good_sends_nothing(storing: FakeCluster, run: Run) -> None:
    with open("tasks.yaml", "w") as file:
        file.write(SPEC.format("a b") + "---\n" + SPEC.format("ok"))
    result = run("task", "submit", "tasks.yaml")
    assert (result.status, storing.requests) == (2, [])
    assert result.err.startswith('tasks.yaml:2 task_guid: "a b" may contain only')


def an_end(guid: str, failed: bool) -> WatchReply:
    task = a_task(guid, failed=failed, exit_status=int(failed))
    return WatchReply(rows=[Change(task=task)], rows_end=True)


@pytest.mark.parametrize(("failed", "status"), [(False, 0), (True, 1)])
def test_wait_tells_how_they_ended(
    failed: bool, status: int, storing: FakeCluster, run: Run
) -> None:
    storing.watched = [an_end("nightly-report", failed)]
    result = run("task", "wait", "nightly-report")
    assert result.status == status
    assert f"exit status {status}" in result.text


def test_submit_and_wait_is_1_when_one_fails(storing: FakeCluster, run: Run) -> None:
    storing.watched = [an_end("a", failed=True)]
    assert run("task", "submit", "--wait", a_file("a")).status == 1


def test_cancel_of_a_domain_is_of_what_has_not_ended(storing: FakeCluster, run: Run) -> None:
    running = Task(task_guid="going", state=Task.RUNNING)
    storing.streams = {"TaskService/List": [ListTasksReply(tasks=[a_task(), running])]}
    assert run("task", "cancel", "-d", "shop").status == 0
    assert storing.asked("TaskService/List")[0].domain == "shop"
    assert [request.task_guid for request in storing.asked("TaskService/Cancel")] == ["going"]


def test_rm_looks_before_it_deletes(storing: FakeCluster, run: Run) -> None:
    result = run("task", "rm", "nightly-report")
    assert (result.status, result.err) == (0, "task nightly-report deleted\n")
    assert run("task", "rm", "-q", "nightly-report").err == ""


def test_a_unique_prefix_is_enough(storing: FakeCluster, run: Run) -> None:
    answers = [DomainError(Reason.RESOURCE_NOT_FOUND, "none"), GetTaskReply(task=a_task())]
    storing.calls["TaskService/Get"] = lambda request: answers.pop(0)
    storing.streams = {"TaskService/List": [ListTasksReply(tasks=[a_task()])]}
    assert run("task", "show", "night").status == 0
    guids = [request.task_guid for request in storing.asked("TaskService/Get")]
    assert guids == ["night", "nightly-report"]


def test_ls_asks_only_for_what_is_wanted(storing: FakeCluster, run: Run) -> None:
    storing.streams = {"TaskService/List": [ListTasksReply()]}
    result = run("task", "ls", "-d", "shop", "--state", "running", "--cell", "cell-1")
    assert (result.status, result.out, result.err) == (0, b"", "no tasks\n")
    (request,) = storing.asked("TaskService/List")
    assert (request.domain, request.state, request.cell_id) == ("shop", Task.RUNNING, "cell-1")


def test_an_empty_list_is_empty_json(storing: FakeCluster, run: Run) -> None:
    storing.streams = {"TaskService/List": [ListTasksReply()]}
    result = run("task", "list", "-o", "json")
    assert (result.status, result.out, result.err) == (0, b"", "")


def test_the_domain_of_the_environment_is_the_default(
    storing: FakeCluster, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DIEGOD_DOMAIN", "shop")
    storing.streams = {"TaskService/List": [ListTasksReply()]}
    run("task", "ls")
    run("task", "ls", "-d", "")
    assert [request.domain for request in storing.asked("TaskService/List")] == ["shop", ""]


def test_logs_are_bytes(storing: FakeCluster, run: Run) -> None:
    chunks = [LogChunk(data=b"a\xff"), LogChunk(data=b"e", stream=LogChunk.STDERR)]
    storing.streams = {"LogService/Read": [ReadLogsReply(chunks=chunks)]}
    result = run("task", "logs", "nightly-report", "-f", "--tail", "3")
    assert (result.out, result.err) == (b"a\xff", "e")
    (request,) = storing.asked("LogService/Read")
    assert (request.follow, request.tail_lines) == (True, 3)
