"""What each command prints, byte for byte: a renamed key or a lost column fails here.

DIEGOD_UPDATE_GOLDEN=1 writes the files anew; the diff is then to be read as what users will see.
"""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from diegod.v1.cell_pb2 import ControlCellReply, GetCellReply, ListCellsReply
from diegod.v1.cluster_pb2 import RekeyReply, RemoveMemberReply, TransferLeadershipReply
from diegod.v1.domain_pb2 import ListDomainsReply, UpsertDomainReply
from diegod.v1.event_pb2 import WatchReply
from diegod.v1.lrp_pb2 import (
    ControlLrpReply,
    DesireLrpReply,
    ListInstancesReply,
    ListLrpsReply,
    LrpHistoryReply,
    RemoveLrpReply,
    RetireInstanceReply,
    ScaleLrpReply,
)
from diegod.v1.record_pb2 import Task
from diegod.v1.task_pb2 import (
    CancelTaskReply,
    ControlScheduleReply,
    DesireTaskReply,
    DesireTasksReply,
    DesireTasksRequest,
    DispatchTaskReply,
    GetScheduleReply,
    GetTaskReply,
    ListSchedulesReply,
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
    "lrp-plan": ["lrp", "plan", "web.yaml"],
    "lrp-history": ["lrp", "history", "web"],
    "lrp-restart": ["lrp", "restart", "web", "--detach"],
    "lrp-retire": ["lrp", "retire", "web/0", "--detach"],
    "lrp-rm": ["lrp", "rm", "web", "--detach"],
    "lrp-stop": ["lrp", "stop", "web", "--detach"],
    "task-dispatch": ["task", "dispatch", "nightly"],
    "task-schedule-ls": ["task", "schedule", "ls"],
    "task-schedule-show": ["task", "schedule", "show", "nightly"],
    "task-schedule-pause": ["task", "schedule", "pause", "nightly"],
    "cell-cordon": ["cell", "cordon", "cell-1"],
    "cell-drain": ["cell", "drain", "cell-1", "--detach"],
    "domain-ls": ["domain", "ls"],
    "domain-set": ["domain", "set", "shop", "--ttl-s=120"],
    "domain-show": ["domain", "show", "shop"],
    "plan": ["plan", "web.yaml"],
    "lrp-run-detached": ["lrp", "run", "web", "--detach", "true"],
    "cell-ls": ["cell", "ls"],
    "cell-show": ["cell", "show", "cell-1"],
    "events": ["events", "--from=40"],
    "bbs-status": ["bbs", "status"],
    "status": ["status"],
    "bbs-members": ["bbs", "members"],
    "bbs-remove": ["bbs", "remove", "bbs-2"],
    "bbs-transfer": ["bbs", "transfer"],
    "bbs-rekey": ["bbs", "rekey"],
}


SPEC = """\
kind: lrp
process_guid: web
rootfs: preloaded:busybox
action: {run: {path: /bin/web, args: [--new]}}
instances: 4
environment_variables: {TOKEN: hush}
"""


async def _stored(messages: AsyncIterator[DesireTasksRequest]) -> AsyncIterator[DesireTasksReply]:
    async for message in messages:
        reply = DesireTaskReply(task=records.a_task())
        yield DesireTasksReply(replies=[reply] * len(message.requests))


@pytest.fixture
def answering(cluster: FakeCluster) -> FakeCluster:
    """A cluster with one of everything, and a file beside it."""
    Path("web.yaml").write_text(SPEC)
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
        "LrpService/Control": ControlLrpReply(desired_lrp=records.an_lrp_row()),
        "LrpService/Retire": RetireInstanceReply(instance=records.an_instance()),
        "LrpService/Remove": RemoveLrpReply(),
        "LrpService/History": LrpHistoryReply(versions=[records.a_version_of(2)]),
        "TaskScheduleService/Get": GetScheduleReply(schedule=records.a_schedule()),
        "TaskScheduleService/Control": ControlScheduleReply(schedule=records.a_schedule()),
        "TaskScheduleService/Dispatch": DispatchTaskReply(task=records.a_task("nightly-x")),
        "DomainService/List": ListDomainsReply(domains=[records.a_domain()]),
        "DomainService/Upsert": UpsertDomainReply(domain=records.a_domain().domain),
        "CellService/Control": ControlCellReply(cell=records.a_cell(cordoned=True).cell),
        "CellService/Get": GetCellReply(cell=records.a_cell()),
        "ClusterService/GetBbsStatus": records.a_status(),
        "ClusterService/GetStatus": records.an_overview(),
        "ClusterService/RemoveMember": RemoveMemberReply(members_revision=13),
        "ClusterService/TransferLeadership": TransferLeadershipReply(leader_id="bbs-2"),
        "ClusterService/GetVersion": records.a_version(),
        "ClusterService/Rekey": RekeyReply(
            percent=100, active_key="2026-11", key_names=["2026-11"]
        ),
    }
    cluster.streams = {
        "TaskService/DesireBulk": _stored,
        "TaskScheduleService/List": [ListSchedulesReply(schedules=[records.a_schedule()])],
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
    verb = 1 if command[0] in ("status", "plan") else 3 if command[1] == "schedule" else 2
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
