"""What each command prints, byte for byte: a renamed key or a lost column fails here.

DIEGOD_UPDATE_GOLDEN=1 writes the files anew; the diff is then to be read as what users will see.
"""

import json

import pytest

from diegod.v1.cell_pb2 import GetCellReply, ListCellsReply
from diegod.v1.cluster_pb2 import RekeyReply
from diegod.v1.event_pb2 import WatchReply
from diegod.v1.lrp_pb2 import DesireLrpReply, ListInstancesReply, ListLrpsReply, ScaleLrpReply
from diegod.v1.record_pb2 import Task
from diegod.v1.task_pb2 import (
    CancelTaskReply,
    DesireTaskReply,
    GetTaskReply,
    ListTasksReply,
)
from tests.unit.cli import records
from tests.unit.cli.conftest import Run
from tests.unit.client.fake_cluster import FakeCluster

COMMANDS = {
    "task-ls": ["task", "ls"],
    "task-show": ["task", "show", "nightly-report"],
    "task-cancel": ["task", "cancel", "nightly-report"],
    "task-run-detached": ["task", "run", "--detach", "--guid", "nightly-report", "true"],
    "task-wait": ["task", "wait", "nightly-report"],
    "lrp-ls": ["lrp", "ls"],
    "lrp-ps": ["lrp", "ps", "web"],
    "lrp-show": ["lrp", "show", "web"],
    "lrp-scale": ["lrp", "scale", "web", "5"],
    "lrp-run-detached": ["lrp", "run", "web", "--detach", "true"],
    "cell-ls": ["cell", "ls"],
    "cell-show": ["cell", "show", "cell-1"],
    "events": ["events", "--from=40"],
    "bbs-status": ["bbs", "status"],
    "bbs-rekey": ["bbs", "rekey"],
    "status": ["status"],
}


@pytest.fixture
def answering(cluster: FakeCluster) -> FakeCluster:
    """A cluster with one of everything."""
    task, failed = records.shown(records.a_task()), records.a_task("failed-one")
    failed.failed, failed.exit_status, failed.failure_reason = True, 3, "exited with status 3"
    waiting = records.a_task("waiting-one")
    waiting.MergeFrom(Task(placement_error="2 cells: 2 short of memory", state=Task.PENDING))
    for field in ("cell_id", "placed_cell_id", "attempt", "exit_status_known", "completed_at"):
        waiting.ClearField(field)
    lrp = records.the_lrp()
    cluster.calls = {
        "TaskService/Get": GetTaskReply(task=task),
        "TaskService/Cancel": CancelTaskReply(task=records.a_task()),
        "TaskService/Desire": DesireTaskReply(task=records.a_task()),
        "LrpService/Get": lrp,
        "LrpService/Scale": ScaleLrpReply(desired_lrp=records.an_lrp_row(instances=5)),
        "LrpService/Desire": DesireLrpReply(desired_lrp=records.an_lrp_row()),
        "CellService/Get": GetCellReply(cell=records.a_cell()),
        "ClusterService/GetBbsStatus": records.a_status(),
        "ClusterService/GetStatus": records.an_overview(),
        "ClusterService/GetVersion": records.a_version(),
        "ClusterService/Rekey": RekeyReply(
            percent=100, active_key="2026-11", key_names=["2026-11"]
        ),
    }
    cluster.streams = {
        "TaskService/List": [ListTasksReply(tasks=[records.a_task(), failed, waiting])],
        "LrpService/List": [ListLrpsReply(desired_lrps=[records.an_lrp_row()])],
        "LrpService/ListInstances": [ListInstancesReply(actual_lrps=lrp.instances)],
        "CellService/List": [ListCellsReply(cells=[records.a_cell(), records.a_cell("cell-2")])],
    }
    end = records.a_change()
    cluster.watched = [
        WatchReply(rows=[end], rows_end=True, revision=42),
        WatchReply(changes=[end], revision=90),
    ]
    return cluster


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_json(name: str, answering: FakeCluster, run: Run) -> None:
    result = run(*_with_output(COMMANDS[name], "json"))
    assert (result.status, result.text.count("\n")) == (0, len(result.text.splitlines()))
    for line in result.text.splitlines():
        assert isinstance(json.loads(line), dict)
    result.same_as(f"{name}.json")


@pytest.mark.parametrize("name", sorted(COMMANDS))
@pytest.mark.parametrize("output", ["table", "wide", "yaml", "name"])
def test_forms_for_people(name: str, output: str, answering: FakeCluster, run: Run) -> None:
    result = run(*_with_output(COMMANDS[name], output))
    assert result.status == 0
    result.same_as(f"{name}.{output}")


def _with_output(command: list[str], output: str) -> list[str]:
    """Options come before the program that is run."""
    verb = 1 if command == ["status"] else 2
    return [*command[:verb], "-o", output, *command[verb:]]


def test_version(answering: FakeCluster, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("diegod.cli.version.__version__", "1.2.3")
    result = run("version", "-o", "json")
    assert (result.status, result.err) == (0, "")
    result.same_as("version.json")


def test_nothing_is_cut_and_nothing_is_painted_in_a_pipe(
    cluster: FakeCluster, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    guid = "a" * 128
    cluster.streams = {"TaskService/List": [ListTasksReply(tasks=[records.a_task(guid)])]}
    result = run("task", "ls")
    assert guid in result.text
    assert "\x1b" not in result.text


def test_what_a_stranger_wrote_does_not_steer_the_terminal(cluster: FakeCluster, run: Run) -> None:
    task = records.a_task(failed=True, failure_reason="\x1b[2J\nboom")
    task.exit_status_known = False
    cluster.streams = {"TaskService/List": [ListTasksReply(tasks=[task])]}
    result = run("task", "ls")
    assert "\x1b" not in result.text
    assert len(result.text.splitlines()) == 2


def test_secrets_are_shown_to_the_reader_of_a_definition_and_never_in_events(
    answering: FakeCluster, run: Run
) -> None:
    assert '"COUNTRY": "no"' in run("task", "show", "-o", "json", "nightly-report").text
    events = run("events", "--from", "40", "-o", "json").text
    assert '"COUNTRY": "(hidden)"' in events
