"""`diegod task …` beside `run`: files, waiting, cancelling, output."""

import io
import re
import sys
from collections.abc import AsyncIterator

import pytest

from diegod.cli.task.submit import rerun_guid
from diegod.models.errors import DomainError, Reason
from diegod.v1.event_pb2 import WatchReply
from diegod.v1.record_pb2 import Callback, Change, Task
from diegod.v1.stream_pb2 import LogChunk, ReadLogsReply
from diegod.v1.task_pb2 import (
    CancelTaskReply,
    DeleteTaskReply,
    DesireTaskReply,
    DesireTaskRequest,
    DesireTasksReply,
    DesireTasksRequest,
    GetTaskReply,
    ListTasksReply,
)
from tests.unit.cli.conftest import Run
from tests.unit.cli.records import a_task, shown
from tests.unit.client.fake_cluster import FakeCluster

SPEC = (
    "kind: task\ntask_guid: {}\nrootfs: preloaded:busybox\naction: {{run: {{path: /bin/true}}}}\n"
)


def stored(request: DesireTaskRequest) -> DesireTaskReply:
    guid = request.definition.task_guid
    if guid == "taken":
        message = f"{guid} exists with another definition"
        return DesireTaskReply(error_reason="ResourceExists", error_message=message)
    return DesireTaskReply(
        task=Task(task_guid=guid, state=Task.PENDING), already_there=guid == "again"
    )


class Bulk:
    """Answers every message with one, as the BBS does; what was asked is in `requests`."""

    def __init__(self) -> None:
        self.requests: list[DesireTaskRequest] = []

    async def __call__(
        self, messages: AsyncIterator[DesireTasksRequest]
    ) -> AsyncIterator[DesireTasksReply]:
        async for message in messages:
            self.requests += message.requests
            yield DesireTasksReply(replies=[stored(each) for each in message.requests])


@pytest.fixture
def bulk() -> Bulk:
    return Bulk()


@pytest.fixture
def storing(cluster: FakeCluster, bulk: Bulk) -> FakeCluster:
    cluster.streams = {"TaskService/DesireBulk": bulk}
    cluster.calls = {
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


def test_submit_of_many_is_one_stream_and_answers_in_order(
    storing: FakeCluster, bulk: Bulk, run: Run
) -> None:
    guids = [f"t{number}" for number in range(600)]
    assert run("task", "submit", a_file(*guids)).text.split() == guids
    assert [each.definition.task_guid for each in bulk.requests] == guids
    assert len({each.request_id for each in bulk.requests}) == len(guids)


def test_submit_reads_standard_input(
    storing: FakeCluster, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(SPEC.format("a").encode())))
    assert run("task", "submit", "-").out == b"a\n"


def test_submit_of_nothing_good_sends_nothing(
    storing: FakeCluster, bulk: Bulk, run: Run
) -> None:
    with open("tasks.yaml", "w") as file:
        file.write(SPEC.format("a b") + "---\n" + SPEC.format("ok"))
    result = run("task", "submit", "tasks.yaml")
    assert (result.status, bulk.requests) == (2, [])
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
    going_on = [
        Task(task_guid="going", state=Task.RUNNING),
        Task(task_guid="told", state=Task.RESOLVING),
        Task(task_guid="over", state=Task.PENDING),
    ]
    storing.streams = {"TaskService/List": [ListTasksReply(tasks=[a_task(), *going_on])]}
    over = DomainError(Reason.INVALID_STATE_TRANSITION, "over has ended")
    reply = CancelTaskReply(task=a_task("going"))
    storing.calls["TaskService/Cancel"] = lambda r: over if r.task_guid == "over" else reply
    result = run("task", "cancel", "-d", "shop")
    assert result.status == 0
    assert result.err == "1 task of domain shop cancelled; 1 had ended meanwhile\n"
    assert storing.asked("TaskService/List")[0].domain == "shop"
    assert [request.task_guid for request in storing.asked("TaskService/Cancel")] == [
        "going",
        "over",
    ]


def test_cancel_of_a_domain_asks_on_a_terminal(
    storing: FakeCluster, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    going = [Task(task_guid=f"t{n}", state=Task.RUNNING) for n in range(2)]
    storing.streams = {"TaskService/List": [ListTasksReply(tasks=going)]}
    questions: list[str] = []

    def refuse(question: str, err: bool) -> bool:
        questions.append(question)
        return False

    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("typer.confirm", refuse)
    assert run("task", "cancel", "-d", "shop").status == 1
    assert questions == ["Cancel 2 tasks of domain shop (2 of them running)?"]
    assert storing.asked("TaskService/Cancel") == []
    assert run("task", "cancel", "-y", "-d", "shop").status == 0
    assert (len(questions), len(storing.asked("TaskService/Cancel"))) == (1, 2)


def test_rerun_is_a_new_task_of_the_same_definition(
    storing: FakeCluster, bulk: Bulk, run: Run
) -> None:
    storing.calls["TaskService/Get"] = GetTaskReply(task=shown(a_task()))
    result = run("task", "rerun", "nightly-report")
    (request,) = bulk.requests
    guid = request.definition.task_guid
    assert re.fullmatch("nightly-report-rerun-[0-9a-f]{6}", guid)
    assert (result.status, result.text) == (0, f"{guid}\n")
    assert "task nightly-report is not run again; this is a new one" in result.err
    request.definition.task_guid = "nightly-report"
    assert request.definition == shown(a_task()).definition


@pytest.mark.parametrize(
    ("guid", "again"),
    [
        ("a", "a-rerun-0123ab"),
        ("a-rerun-fedcba", "a-rerun-0123ab"),
        ("x" * 128, "x" * 115 + "-rerun-0123ab"),
    ],
)
def test_the_guid_of_a_rerun(guid: str, again: str) -> None:
    assert rerun_guid(guid, "0123ab") == again
    assert len(again) <= 128


def test_wait_of_many_is_one_watch_and_keeps_their_order(storing: FakeCluster, run: Run) -> None:
    storing.calls["TaskService/Get"] = lambda r: GetTaskReply(task=a_task(r.task_guid))
    resolving = a_task("b", state=Task.RESOLVING)
    storing.watched = [
        WatchReply(
            rows=[Change(task=Task(task_guid="a", state=Task.RUNNING)), Change(task=resolving)],
            rows_end=True,
        ),
        WatchReply(changes=[Change(verb=Change.CHANGED, task=a_task("other"))]),
        WatchReply(changes=[Change(verb=Change.CHANGED, task=a_task("a"))]),
    ]
    result = run("task", "wait", "-o", "name", "a", "b")
    assert (result.status, result.text) == (0, "a\nb\n")
    assert len(storing.asked("watch")) == 1


def test_wait_for_one_that_is_removed_is_not_found(storing: FakeCluster, run: Run) -> None:
    going = Task(task_guid="nightly-report", state=Task.RUNNING)
    storing.watched = [
        WatchReply(rows=[Change(task=going)], rows_end=True),
        WatchReply(changes=[Change(verb=Change.REMOVED, task=going)]),
    ]
    assert run("task", "wait", "nightly-report").status == 3


def test_show_tells_result_failure_and_callback(storing: FakeCluster, run: Run) -> None:
    task = a_task(
        failed=True, exit_status=3, failure=Task.PROGRAM, failure_reason="exited with status 3",
        result="42 rows", schedule_name="nightly",
        callback=Callback(url="https://ci.example.com/", tries=2, last_error="HTTP 503"),
    )  # fmt: skip
    storing.calls["TaskService/Get"] = GetTaskReply(task=task)
    lines = dict(line.split(None, 1) for line in run("task", "show", "x").text.splitlines())
    assert lines["failure"] == "PROGRAM"
    assert lines["reason"] == "exited with status 3"
    assert lines["result"].split(None, 1) == ["file", "42 rows"]
    assert lines["callback"].startswith("https://ci.example.com/: 2 tries failed, next at ")
    assert lines["made"].split(None, 1) == ["by", "schedule nightly, by dispatch"]


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
