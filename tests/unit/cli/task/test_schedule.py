"""`diegod task schedule …` and `diegod task dispatch`."""

import pytest

from diegod.models.admission import fill_defaults
from diegod.models.errors import DomainError, Reason
from diegod.v1.definition_pb2 import TaskScheduleDefinition
from diegod.v1.event_pb2 import WatchReply
from diegod.v1.record_pb2 import Change, Task
from diegod.v1.task_pb2 import (
    ControlScheduleReply,
    ControlScheduleRequest,
    DesireScheduleReply,
    DispatchTaskReply,
    GetScheduleReply,
    ListSchedulesReply,
)
from tests.unit.cli.conftest import Run
from tests.unit.cli.records import a_schedule, a_task
from tests.unit.client.fake_cluster import FakeCluster

TASK = "kind: task\nrootfs: preloaded:busybox\naction: {run: {path: /bin/report}}\n"
SCHEDULE = (
    "kind: task_schedule\n{}cron: '0 3 * * *'\n"
    "task: {{rootfs: preloaded:busybox, action: {{run: {{path: /bin/report}}}}}}\n"
)


@pytest.fixture
def scheduling(cluster: FakeCluster) -> FakeCluster:
    schedule = a_schedule()
    cluster.calls = {
        "TaskScheduleService/Get": GetScheduleReply(schedule=schedule),
        "TaskScheduleService/Desire": DesireScheduleReply(schedule=schedule),
        "TaskScheduleService/Control": ControlScheduleReply(schedule=schedule),
        "TaskScheduleService/Dispatch": DispatchTaskReply(
            task=Task(task_guid="nightly-dispatched-0a", state=Task.PENDING)
        ),
    }
    cluster.streams = {"TaskScheduleService/List": [ListSchedulesReply(schedules=[schedule])]}
    return cluster


def a_file(text: str) -> str:
    with open("nightly.yaml", "w") as file:
        file.write(text)
    return "nightly.yaml"


def desired(cluster: FakeCluster) -> TaskScheduleDefinition:
    (request,) = cluster.asked("TaskScheduleService/Desire")
    definition: TaskScheduleDefinition = request.definition
    return definition


@pytest.mark.parametrize(
    "words",
    [
        ["nightly", "--cron", "30 2 * * *", "--tz", "Europe/Berlin", "nightly.yaml"],
        ["--cron", "30 2 * * *", "--tz", "Europe/Berlin", "nightly", "nightly.yaml"],
    ],
)
def test_a_task_by_the_clock(words: list[str], scheduling: FakeCluster, run: Run) -> None:
    a_file(TASK)
    result = run("task", "schedule", *words)
    assert result.status == 0, result.err
    definition = desired(scheduling)
    assert (definition.name, definition.cron) == ("nightly", "30 2 * * *")
    assert (definition.time_zone, definition.allow_overlap) == ("Europe/Berlin", False)
    assert definition.task.action.run.path == "/bin/report"
    assert result.err == "schedule nightly: stored: 30 2 * * * (Europe/Berlin)\n"


def test_the_guid_of_the_file_is_not_the_guid_of_its_tasks(
    scheduling: FakeCluster, run: Run
) -> None:
    a_file(TASK + "task_guid: report\n")
    assert run("task", "schedule", "nightly", "--cron", "@daily", "nightly.yaml").status == 0
    assert desired(scheduling).task.task_guid == ""


@pytest.mark.parametrize("name", ["", "name: nightly\n"])
def test_a_whole_schedule_and_flags_over_it(name: str, scheduling: FakeCluster, run: Run) -> None:
    a_file(SCHEDULE.format(name))
    assert run("task", "schedule", "nightly", "--allow-overlap", "nightly.yaml").status == 0
    definition = desired(scheduling)
    assert (definition.cron, definition.allow_overlap) == ("0 3 * * *", True)


def test_the_schedule_of_another_name_is_not_taken(scheduling: FakeCluster, run: Run) -> None:
    a_file(SCHEDULE.format("name: weekly\n"))
    result = run("task", "schedule", "nightly", "nightly.yaml")
    assert (result.status, scheduling.requests) == (2, [])
    assert result.err == "diegod: nightly.yaml is the schedule weekly, not nightly\n"


def test_every_fault_is_told_and_nothing_is_sent(scheduling: FakeCluster, run: Run) -> None:
    a_file("kind: task\nrootfs: docker\n")
    result = run("task", "schedule", "nightly", "nightly.yaml")
    assert (result.status, scheduling.requests) == (2, [])
    assert "task_guid" not in result.err
    assert "nightly.yaml:2 rootfs" in result.err
    assert "nightly.yaml:1 action: is required: run" in result.err
    a_file(TASK + "---\n" + TASK)
    assert "holds 2 documents" in run("task", "schedule", "nightly", "nightly.yaml").err
    a_file("kind: lrp\n")
    assert "neither task nor task_schedule" in run("task", "schedule", "x", "nightly.yaml").err


@pytest.mark.parametrize(
    ("word", "verb", "said"),
    [
        ("pause", ControlScheduleRequest.PAUSE, "schedule nightly is paused\n"),
        ("resume", ControlScheduleRequest.RESUME, "schedule nightly goes on from now\n"),
        ("rm", ControlScheduleRequest.REMOVE, "schedule nightly is removed; its tasks stay\n"),
    ],
)
def test_the_verbs_are_reserved_names(
    word: str,
    verb: ControlScheduleRequest.Verb.ValueType,
    said: str,
    scheduling: FakeCluster,
    run: Run,
) -> None:
    result = run("task", "schedule", word, "nightly")
    assert (result.status, result.err) == (0, said)
    (request,) = scheduling.asked("TaskScheduleService/Control")
    assert (request.name, request.verb) == ("nightly", verb)


def test_a_bare_schedule_prints_its_help(run: Run) -> None:
    for words in ([], ["-h"]):
        result = run("task", "schedule", *words)
        assert result.status == 0
        assert "NAME --cron EXPR" in result.text


def test_ls_and_a_name_that_is_mistyped(scheduling: FakeCluster, run: Run) -> None:
    assert "nightly" in run("task", "schedule", "ls").text
    missing = DomainError(Reason.RESOURCE_NOT_FOUND, "none")
    scheduling.calls["TaskScheduleService/Get"] = missing
    result = run("task", "schedule", "show", "nigthly")
    assert (result.status, result.err) == (
        3,
        'diegod: no schedule "nigthly". Did you mean nightly?\n',
    )


def test_show_yaml_is_its_spec(scheduling: FakeCluster, run: Run) -> None:
    with open("again.yaml", "wb") as file:
        file.write(run("task", "schedule", "show", "-o", "yaml", "nightly").out)
    assert run("task", "schedule", "nightly", "again.yaml").status == 0
    stored = desired(scheduling)
    fill_defaults(stored)
    assert stored == a_schedule().definition


def test_dispatch_prints_the_guid(scheduling: FakeCluster, run: Run) -> None:
    with open("order.json", "w") as file:
        file.write('{"id": 1}')
    words = ["-p", "REGION=eu", "-p", "EMPTY=", "--payload", "order.json"]
    result = run("task", "dispatch", "nightly", *words)
    assert (result.status, result.text) == (0, "nightly-dispatched-0a\n")
    (request,) = scheduling.asked("TaskScheduleService/Dispatch")
    assert dict(request.parameters) == {"REGION": "eu", "EMPTY": ""}
    assert (request.payload, bool(request.request_id)) == (b'{"id": 1}', True)


@pytest.mark.parametrize(("failed", "status"), [(False, 0), (True, 1)])
def test_dispatch_and_wait(failed: bool, status: int, scheduling: FakeCluster, run: Run) -> None:
    end = a_task("nightly-dispatched-0a", failed=failed, exit_status=int(failed))
    scheduling.watched = [WatchReply(rows=[Change(task=end)], rows_end=True)]
    assert run("task", "dispatch", "nightly", "--wait").status == status


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"x", ["-p", "REGION"]),
        (b"x", ["-p", "=eu"]),
        (b"x", ["-p", "A=1", "-p", "A=2"]),
        (b"x" * 65_537, ["--payload", "file"]),
        (b"\xff", ["--payload", "file"]),
    ],
)
def test_what_can_not_be_dispatched_is_not_sent(
    content: bytes, words: list[str], scheduling: FakeCluster, run: Run
) -> None:
    with open("file", "wb") as file:
        file.write(content)
    assert run("task", "dispatch", "nightly", *words).status == 2
    assert scheduling.asked("TaskScheduleService/Dispatch") == []
