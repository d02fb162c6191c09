"""`diegod cell cordon|uncordon|drain|rm`: what is asked, and how a drain is followed to its end."""

import pytest

from diegod.cli.cell import control
from diegod.cli.cell.drain_progress import Drain, Look, blocker
from diegod.cli.terminal.errors import DONE, FAILED
from diegod.models.errors import DomainError, Reason
from diegod.v1 import record_pb2
from diegod.v1.cell_pb2 import (
    CellStatus,
    ControlCellReply,
    ControlCellRequest,
    GetCellReply,
    ListCellsReply,
)
from diegod.v1.lrp_pb2 import ListInstancesReply, ListInstancesRequest
from diegod.v1.record_pb2 import ActualLrp, Cell, Task
from diegod.v1.task_pb2 import ListTasksReply
from tests.unit.cli.conftest import Run
from tests.unit.cli.records import NOW, a_cell, ago, an_instance
from tests.unit.client.fake_cluster import FakeCluster

DRAINED = {"cordoned": True, "drain": record_pb2.Drain(began_at=ago(10), deadline_at=ago(-60))}


def evacuating(index: int = 0) -> ActualLrp:
    return an_instance(index, presence=ActualLrp.EVACUATING)


def elsewhere(**changes: object) -> ActualLrp:
    return an_instance(0, instance_guid="new", **{"cell_id": "", **changes})


@pytest.fixture
def cells(cluster: FakeCluster) -> FakeCluster:
    """A cell with an instance and a task, and what takes the instance's place."""
    status = a_cell(**DRAINED)
    cluster.calls = {
        "CellService/Get": GetCellReply(cell=status),
        "CellService/Control": ControlCellReply(cell=status.cell),
    }
    running = Task(task_guid="t", state=Task.RUNNING, started_at=ago(5))
    on_it, left = [[evacuating()], []], [[running, Task(state=Task.COMPLETED)], []]
    cluster.streams = {
        "TaskService/List": lambda request: [ListTasksReply(tasks=left.pop(0))],
        "LrpService/ListInstances": lambda request: _instances(request, on_it),
    }
    return cluster


def _instances(
    request: ListInstancesRequest, on_it: list[list[ActualLrp]]
) -> list[ListInstancesReply]:
    if request.cell_id:
        return [ListInstancesReply(actual_lrps=on_it.pop(0))]
    replacement = elsewhere(state=ActualLrp.CLAIMED, cell_id="cell-2")
    return [ListInstancesReply(actual_lrps=[evacuating(), replacement])]


@pytest.mark.parametrize(
    ("word", "verb", "said"),
    [
        ("cordon", ControlCellRequest.CORDON, "cell-1 is cordoned: it takes no new work\n"),
        ("uncordon", ControlCellRequest.UNCORDON, "cell-1 takes new work again\n"),
    ],
)
def test_cordon_and_uncordon(
    word: str,
    verb: ControlCellRequest.Verb.ValueType,
    said: str,
    cells: FakeCluster,
    run: Run,
) -> None:
    result = run("cell", word, "cell-1")
    assert (result.status, result.out, result.err) == (0, b"", said)
    (request,) = cells.asked("CellService/Control")
    assert (request.cell_id, request.verb, bool(request.request_id)) == ("cell-1", verb, True)
    cells.calls["CellService/Control"] = ControlCellReply(cell=a_cell().cell, unchanged=True)
    assert "was" in run("cell", word, "cell-1").err


def test_drain_says_what_blocks_and_ends_when_the_cell_is_empty(
    cells: FakeCluster, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control, "LOOK_EVERY_S", 0.0)
    result = run("cell", "drain", "cell-1", "--deadline-s", "70")
    assert result.status == 0
    assert result.err.splitlines() == [
        "cell-1 is being drained, for at most 70 s",
        "  web/0  its replacement starts on cell-2",
        "  task t  runs, and has no time limit",
        "  web/0  is gone",
        "  task t  is gone",
        "cell-1 is empty. diegod cell uncordon cell-1",
    ]
    (request,) = cells.asked("CellService/Control")
    assert (request.verb, request.deadline_ms) == (ControlCellRequest.DRAIN, 70_000)


@pytest.mark.parametrize(
    ("instances", "said"),
    [(1, "draining until 2026-11-22T12:01:00Z at the latest"), (0, "drained")],
)
def test_the_list_says_whether_a_drain_is_over(
    instances: int, said: str, cluster: FakeCluster, run: Run
) -> None:
    status = a_cell(**DRAINED)
    status.tasks, status.instances = 0, instances
    cluster.streams = {"CellService/List": [ListCellsReply(cells=[status])]}
    [_, line] = run("cell", "ls").out.decode().splitlines()
    assert line.endswith(f" {said}")


def test_drain_detached_only_asks(cells: FakeCluster, run: Run) -> None:
    result = run("cell", "drain", "cell-1", "--detach")
    assert (result.status, cells.asked("LrpService/ListInstances")) == (0, [])


def test_rm_is_for_missing_cells(cells: FakeCluster, run: Run) -> None:
    result = run("cell", "rm", "-y", "cell-1")
    assert (result.status, cells.asked("CellService/Control")) == (4, [])
    assert "cell-1 is there; only a missing cell can be removed" in result.err
    cells.calls["CellService/Get"] = GetCellReply(cell=a_cell(state=Cell.MISSING))
    result = run("cell", "rm", "-y", "cell-1")
    assert (result.status, result.err) == (0, "cell-1 is removed\n")
    assert cells.asked("CellService/Control")[0].verb == ControlCellRequest.REMOVE


def test_rm_asks_on_a_terminal(
    cells: FakeCluster, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("typer.confirm", lambda question, err: asked.append(question))
    cells.calls["CellService/Get"] = GetCellReply(cell=a_cell(state=Cell.MISSING))
    assert run("cell", "rm", "cell-1").status == 1
    assert asked == ["Remove cell-1 (1 tasks fail, 3 instances are replaced)?"]
    assert cells.asked("CellService/Control") == []


def test_a_cell_that_is_not_known(cells: FakeCluster, run: Run) -> None:
    cells.calls["CellService/Get"] = DomainError(Reason.RESOURCE_NOT_FOUND, "none")
    cells.streams["CellService/List"] = []
    assert run("cell", "drain", "cell-9").status == 3


@pytest.mark.parametrize(
    ("row", "other", "said"),
    [
        (an_instance(0, stopping=True), None, "is being stopped"),
        (an_instance(0), None, "waits for its turn"),
        (evacuating(), None, "waits for its replacement to be made"),
        (
            evacuating(),
            elsewhere(state=ActualLrp.UNCLAIMED, placement_error="1 cell: short of memory"),
            "its replacement can't be placed: 1 cell: short of memory",
        ),
        (
            evacuating(),
            elsewhere(state=ActualLrp.UNCLAIMED, placed_cell_id="cell-2"),
            "its replacement starts on cell-2",
        ),
        (
            evacuating(),
            elsewhere(state=ActualLrp.CRASHED, crash_reason="exit 1"),
            "its replacement has crashed: exit 1",
        ),
        (evacuating(), elsewhere(cell_id="cell-2"), "its replacement runs on cell-2"),
        (evacuating(1), elsewhere(cell_id="cell-2"), "waits for its replacement to be made"),
    ],
)
def test_what_an_instance_waits_for(row: ActualLrp, other: ActualLrp | None, said: str) -> None:
    assert blocker(row, [other] if other else []) == said


def look(status: CellStatus, *instances: ActualLrp) -> Look:
    return Look(status, instances, (), ())


def test_a_line_is_said_once_until_it_is_another() -> None:
    drain, status = Drain(), a_cell(**DRAINED)
    assert drain.observe(look(status, an_instance(0)), NOW) == ["  web/0  waits for its turn"]
    assert drain.observe(look(status, an_instance(0)), NOW) == []
    assert drain.observe(look(status, an_instance(0, stopping=True)), NOW) == [
        "  web/0  is being stopped"
    ]


@pytest.mark.parametrize(
    ("changes", "now", "said"),
    [
        (DRAINED, NOW + 60, "cell-1 was not empty at its deadline; stopped: web/0"),
        ({"cordoned": True}, NOW, "the drain of cell-1 was ended meanwhile; left on it: web/0"),
        (DRAINED | {"state": Cell.MISSING}, NOW, "diegod cell rm cell-1"),
    ],
)
def test_a_drain_that_does_not_empty_the_cell_fails(
    changes: dict[str, object], now: float, said: str
) -> None:
    verdict = Drain().verdict(look(a_cell(**changes), an_instance(0)), now)
    assert verdict is not None
    assert verdict.status == FAILED
    assert said in verdict.message


def test_what_went_with_the_deadline_was_left_at_it() -> None:
    drain, status = Drain(), a_cell(**DRAINED)
    drain.observe(look(status, an_instance(0)), NOW + 59.9)
    drain.observe(look(status), NOW + 60.1)
    verdict = drain.verdict(look(status), NOW + 60.1)
    assert verdict is not None
    assert (verdict.status, verdict.message) == (
        FAILED,
        "cell-1 was not empty at its deadline; stopped: web/0",
    )


def test_the_deadline_itself_is_worth_a_look() -> None:
    status = a_cell(**DRAINED)
    assert Drain().next_look_s(look(status), NOW, 1.0) == 1.0
    assert Drain().next_look_s(look(status), NOW + 59.75, 1.0) == 0.25
    assert Drain().next_look_s(look(a_cell()), NOW, 1.0) == 1.0


def test_an_empty_cell_is_done_even_after_the_deadline() -> None:
    assert Drain().verdict(look(a_cell(**DRAINED), an_instance(0)), NOW + 59) is None
    verdict = Drain().verdict(look(a_cell(**DRAINED)), NOW + 3600)
    assert verdict is not None
    assert verdict.status == DONE
