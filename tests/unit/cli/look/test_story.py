"""`diegod story`: the cluster's lines and the cell's own, as one life."""

import json

import pytest

from diegod.models.errors import DomainError, Reason
from diegod.v1.cell_pb2 import GetCellReply, ListCellsReply
from diegod.v1.event_pb2 import StoryReply
from diegod.v1.lrp_pb2 import ListLrpsReply
from diegod.v1.record_pb2 import Change, Transition
from diegod.v1.stream_pb2 import LogChunk, ReadLogsReply
from diegod.v1.task_pb2 import GetTaskReply, ListTasksReply
from tests.unit.cli import records
from tests.unit.cli.conftest import Run
from tests.unit.client.fake_cluster import FakeCluster

NONE = DomainError(Reason.RESOURCE_NOT_FOUND, "there is none")

TOLD = [
    Transition(revision=5, at=records.ago(90), state="PENDING", by="user/alice", cause="task run"),
    Transition(
        revision=7,
        at=records.ago(80),
        state="PENDING",
        cell_id="cell-1",
        by="brain/brain-1",
        cause="nightly-report: cell-1 is the only possible cell",
        attempt=7,
    ),
    Transition(
        revision=9,
        at=records.ago(60),
        state="COMPLETED",
        cell_id="cell-1",
        by="cell/cell-1",
        cause="ended",
        detail="exited with status 3",
    ),
]
STORY_JSON = ("story", "nightly-report", "-o", "json")
LINES = [
    LogChunk(stream=LogChunk.CELL, data=b"prepared\nstarted pid 41\n", at=records.ago(79)),
    LogChunk(stream=LogChunk.CELL, data=b"exited \x1b[2J with status 3\n", at=records.ago(60)),
]


@pytest.fixture
def life(cluster: FakeCluster) -> FakeCluster:
    cluster.calls = {
        "TaskService/Get": lambda r: (
            GetTaskReply(task=records.a_task()) if r.task_guid == "nightly-report" else NONE
        ),
        "LrpService/Get": lambda r: records.the_lrp() if r.process_guid == "web" else NONE,
        "CellService/Get": lambda r: (
            GetCellReply(cell=records.a_cell()) if r.cell_id == "cell-1" else NONE
        ),
        "EventService/Story": StoryReply(transitions=TOLD, revision=90),
    }
    cluster.streams = {
        "LogService/Read": [ReadLogsReply(chunks=LINES)],
        "TaskService/List": [ListTasksReply(tasks=[records.a_task()])],
        "LrpService/List": [ListLrpsReply(desired_lrps=[records.an_lrp_row()])],
        "CellService/List": [ListCellsReply(cells=[records.a_cell()])],
    }
    return cluster


@pytest.mark.parametrize("output", ["table", "json"])
def test_both_sides_by_time(output: str, life: FakeCluster, run: Run) -> None:
    result = run("story", "nightly-report", "-o", output)
    assert (result.status, result.err) == (0, "")
    result.same_as(f"story.{output}")
    [logs] = life.asked("LogService/Read")
    assert (logs.task_guid, list(logs.streams)) == ("nightly-report", [LogChunk.CELL])
    [story] = life.asked("EventService/Story")
    assert story.task_guid == "nightly-report"


def test_a_cell_that_can_not_be_asked_is_said_and_the_rest_is_told(
    life: FakeCluster, run: Run
) -> None:
    life.streams["LogService/Read"] = [DomainError(Reason.CELL_MISSING, "cell-1 is missing")]
    result = run("story", "nightly-report")
    assert (result.status, result.text.count("\n")) == (0, 4)
    assert result.err == "cell-1 can't be asked: cell-1 is missing\n"


def test_logs_that_are_no_longer_kept_are_no_news(life: FakeCluster, run: Run) -> None:
    life.streams["LogService/Read"] = [NONE]
    assert run("story", "nightly-report").err == ""


@pytest.mark.parametrize(
    ("ref", "asked"),
    [
        ("web", {"process_guid": "web"}),
        ("web/1", {"process_guid": "web", "index": 1}),
        ("cell:cell-1", {"cell_id": "cell-1"}),
        ("schedule:nightly", {"schedule_name": "nightly"}),
    ],
)
def test_each_kind_is_asked_for(
    ref: str, asked: dict[str, object], life: FakeCluster, run: Run
) -> None:
    assert run("story", ref).status == 0
    [request] = life.asked("EventService/Story")
    assert {field.name: value for field, value in request.ListFields()} == asked


def test_the_containers_of_an_index_are_those_of_its_story(life: FakeCluster, run: Run) -> None:
    lives = [
        Transition(revision=n, at=records.ago(90 - n), cell_id="cell-1", instance_guid=f"i{n}")
        for n in range(1, 9)
    ]
    life.calls["EventService/Story"] = StoryReply(transitions=lives)
    assert run("story", "web/0").status == 0
    asked = [request.instance_guid for request in life.asked("LogService/Read")]
    assert asked == ["i4", "i5", "i6", "i7", "i8"]


def test_a_row_that_is_gone_may_still_have_its_story(life: FakeCluster, run: Run) -> None:
    gone = Transition(revision=12, at=records.ago(1), verb=Change.REMOVED, state="COMPLETED")
    life.calls["EventService/Story"] = lambda r: StoryReply(
        transitions=[gone] if r.task_guid == "old-one" else []
    )
    assert "COMPLETED removed" in run("story", "old-one").text
    result = run("story", "nosuch")
    assert (result.status, result.err) == (
        3,
        'diegod: no task or LRP or cell "nosuch".\n',
    )


def test_each_line_is_an_object(life: FakeCluster, run: Run) -> None:
    rows = [json.loads(line) for line in run(*STORY_JSON).out.splitlines()]
    assert [row.get("revision") for row in rows] == [5, 7, None, None, 9, None]
    assert rows[3]["cell_line"] == "started pid 41"


def test_nothing_is_said_twice(life: FakeCluster, run: Run) -> None:
    twice = Transition(revision=9, state="COMPLETED", cause="exited with 3", detail="exited with 3")
    life.calls["EventService/Story"] = StoryReply(transitions=[twice])
    life.streams["LogService/Read"] = []
    assert run("story", "nightly-report").text.count("exited with 3") == 1
