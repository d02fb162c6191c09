"""`diegod wait`: what is watched, and how it ends."""

import pytest

from diegod.models.errors import DomainError, Reason
from diegod.v1.cell_pb2 import GetCellReply
from diegod.v1.event_pb2 import WatchReply
from diegod.v1.record_pb2 import Change, Task
from diegod.v1.task_pb2 import GetTaskReply
from tests.unit.cli import records
from tests.unit.cli.conftest import Run
from tests.unit.client.fake_cluster import FakeCluster

NONE = DomainError(Reason.RESOURCE_NOT_FOUND, "there is none")


@pytest.fixture
def watching(cluster: FakeCluster) -> FakeCluster:
    """A cluster with a task, an LRP and a cell of different names."""
    cluster.calls = {
        "TaskService/Get": lambda request: (
            GetTaskReply(task=records.a_task()) if request.task_guid == "nightly-report" else NONE
        ),
        "LrpService/Get": lambda request: (
            records.the_lrp() if request.process_guid == "web" else NONE
        ),
        "CellService/Get": lambda request: (
            GetCellReply(cell=records.a_cell()) if request.cell_id == "cell-1" else NONE
        ),
    }
    return cluster


def rows(*tasks: Task) -> WatchReply:
    changes = [Change(verb=Change.CHANGED, task=task) for task in tasks]
    return WatchReply(rows=changes, rows_end=True, revision=42)


def test_until_it_is_so(watching: FakeCluster, run: Run) -> None:
    running = records.a_task(state=Task.RUNNING)
    done = Change(verb=Change.CHANGED, task=records.a_task())
    watching.watched = [rows(running), WatchReply(changes=[done], revision=43)]
    result = run("wait", "nightly-report")
    assert (result.status, result.err) == (0, "task nightly-report is COMPLETED\n")
    [request] = watching.asked("watch")
    assert (request.guid, list(request.kinds)) == ("nightly-report", ["task"])


def test_until_it_can_not_be_any_more(watching: FakeCluster, run: Run) -> None:
    watching.watched = [rows(records.a_task(failed=True, failure_reason="exit 3"))]
    result = run("wait", "nightly-report", "--for", "succeeded")
    assert result.status == 1
    assert result.err == (
        "task nightly-report failed: exit 3\ndiegod: it can't be any more\n"
    )


def test_not_in_time_is_124_and_says_what_is_lacking(watching: FakeCluster, run: Run) -> None:
    lrp = records.the_lrp()
    changes = [Change(verb=Change.CHANGED, desired_lrp=lrp.desired_lrp)]
    changes += [Change(verb=Change.CHANGED, actual_lrp=row) for row in lrp.instances]
    watching.watched = [WatchReply(rows=changes, rows_end=True)]
    result = run("wait", "web", "--for", "healthy", "--timeout-s", "0.2")
    assert result.status == 124
    assert result.err == "diegod: not within 0.2 s: web: 2 of 3 healthy\n"


def test_half_of_the_rows_is_no_answer(watching: FakeCluster, run: Run) -> None:
    watching.watched = [WatchReply(rows=[]), 0.05]
    result = run("wait", "cell-1", "--for", "empty", "--timeout-s", "0.3")
    assert result.status == 124


@pytest.mark.parametrize("ref", ["cell-1", "cell:cell-1"])
def test_a_cell(ref: str, watching: FakeCluster, run: Run) -> None:
    cell = Change(verb=Change.CHANGED, cell=records.a_cell().cell)
    watching.watched = [WatchReply(rows=[cell], rows_end=True)]
    assert run("wait", ref).err == "cell cell-1 is PRESENT\n"
    [request] = watching.asked("watch")
    assert request.cell_id == "cell-1"


def test_a_condition_of_another_kind_is_wrong_usage(watching: FakeCluster, run: Run) -> None:
    result = run("wait", "web", "--for", "succeeded")
    assert (result.status, result.err) == (
        2,
        'diegod: --for: "succeeded" is not for web: healthy, gone, rolled-out\n',
    )
