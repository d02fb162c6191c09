"""What `wait --for` makes of what it has seen."""

import pytest

from diegod.cli.look.conditions import CONDITIONS, INSTANCE, Answer, Seen
from diegod.cli.look.subject import CELL, LRP, TASK
from diegod.v1.definition_pb2 import LrpDefinition
from diegod.v1.record_pb2 import ActualLrp, Cell, Change, DesiredLrp, Rollout, Task

SET, REMOVED = Change.CHANGED, Change.REMOVED


def ask(kind: str, condition: str, seen: Seen) -> Answer:
    return CONDITIONS[kind][condition](seen)


def task(state: Task.State.ValueType, **more: object) -> Seen:
    seen = Seen("t")
    seen.observe(Change(verb=SET, task=Task(task_guid="t", state=state, **more)))  # type: ignore[arg-type]
    return seen


def lrp(*rows: ActualLrp, index: int | None = None, **more: object) -> Seen:
    seen = Seen("web", index=index)
    fields = {"process_guid": "web", "instances": 2, "version": 3} | more
    seen.observe(Change(verb=SET, desired_lrp=DesiredLrp(**fields)))  # type: ignore[arg-type]
    for row in rows:
        seen.observe(Change(verb=SET, actual_lrp=row))
    return seen


def row(index: int, **more: object) -> ActualLrp:
    fields = {"state": ActualLrp.RUNNING, "routable": True, "instance_guid": f"i{index}"} | more
    return ActualLrp(process_guid="web", index=index, **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("condition", "state", "met", "hopeless"),
    [
        ("completed", Task.PENDING, False, False),
        ("completed", Task.RUNNING, False, False),
        ("completed", Task.COMPLETED, True, False),
        ("completed", Task.RESOLVING, True, False),
        ("succeeded", Task.RUNNING, False, False),
        ("succeeded", Task.COMPLETED, True, False),
        ("running", Task.PENDING, False, False),
        ("running", Task.RUNNING, True, False),
        ("running", Task.COMPLETED, False, True),
    ],
)
def test_tasks(condition: str, state: Task.State.ValueType, met: bool, hopeless: bool) -> None:
    answer = ask(TASK, condition, task(state))
    assert (answer.met, answer.hopeless) == (met, hopeless)


def test_a_task_that_failed_can_not_succeed_any_more() -> None:
    answer = ask(TASK, "succeeded", task(Task.COMPLETED, failed=True, failure_reason="exit 3"))
    assert answer == Answer(False, "task t failed: exit 3", hopeless=True)
    assert ask(TASK, "completed", task(Task.COMPLETED, failed=True)).met


@pytest.mark.parametrize("condition", ["completed", "succeeded", "running"])
def test_a_task_that_was_removed_is_hopeless(condition: str) -> None:
    seen = task(Task.PENDING)
    seen.observe(Change(verb=REMOVED, task=Task(task_guid="t")))
    assert ask(TASK, condition, seen).hopeless


def test_healthy_is_every_index_running_and_routable() -> None:
    assert ask(LRP, "healthy", lrp(row(0), row(1))).met
    for lacking in (
        row(1, routable=False),
        row(1, stopping=True),
        row(1, state=ActualLrp.CLAIMED),
        row(1, presence=ActualLrp.SUSPECT),
    ):
        answer = ask(LRP, "healthy", lrp(row(0), lacking))
        assert answer == Answer(False, "web: 1 of 2 healthy")


def test_two_instances_of_one_index_are_not_two() -> None:
    assert not ask(LRP, "healthy", lrp(row(0), row(0, instance_guid="other"))).met


def test_a_global_lrp_is_healthy_with_as_many_as_there_are() -> None:
    everywhere = {"mode": LrpDefinition.GLOBAL, "instances": 0}
    assert ask(LRP, "healthy", lrp(row(0), row(5), **everywhere)).met
    assert not ask(LRP, "healthy", lrp(**everywhere)).met


def test_a_stopped_lrp_of_none_is_not_healthy() -> None:
    assert not ask(LRP, "healthy", lrp(instances=0, stopped=True)).met
    assert ask(LRP, "healthy", lrp(instances=0)).met


def test_rolled_out() -> None:
    assert ask(LRP, "rolled-out", lrp(rollout=Rollout(state=Rollout.DONE))).met
    for state in (Rollout.ROLLING, Rollout.CANARIES, Rollout.PAUSED):
        answer = ask(LRP, "rolled-out", lrp(rollout=Rollout(state=state)))
        assert (answer.met, answer.hopeless) == (False, False)
    failed = Rollout(state=Rollout.PAUSED, reason="no progress")
    assert ask(LRP, "rolled-out", lrp(rollout=failed)).hopeless


def test_gone_is_the_lrp_and_all_its_instances() -> None:
    seen = lrp(row(0))
    assert not ask(LRP, "gone", seen).met
    seen.observe(Change(verb=REMOVED, desired_lrp=DesiredLrp(process_guid="web")))
    assert ask(LRP, "gone", seen) == Answer(False, "web: 1 instance left")
    seen.observe(Change(verb=REMOVED, actual_lrp=row(0)))
    assert ask(LRP, "gone", seen).met


def test_one_instance() -> None:
    seen = lrp(row(0), row(1, state=ActualLrp.CRASHED), index=1)
    assert ask(INSTANCE, "running", seen) == Answer(False, "web/1 is CRASHED")
    assert not ask(INSTANCE, "gone", seen).met
    seen.observe(Change(verb=REMOVED, actual_lrp=row(1)))
    assert ask(INSTANCE, "gone", seen).met


def test_cells() -> None:
    seen = Seen("cell-1")
    assert ask(CELL, "missing", seen).met
    here = Cell(cell_id="cell-1", state=Cell.PRESENT)
    seen.observe(Change(verb=SET, cell=here))
    assert (ask(CELL, "present", seen).met, ask(CELL, "missing", seen).met) == (True, False)
    seen.observe(Change(verb=SET, cell=Cell(cell_id="cell-1", state=Cell.MISSING)))
    assert (ask(CELL, "present", seen).met, ask(CELL, "missing", seen).met) == (False, True)


def test_a_cell_is_empty_when_nothing_is_on_it_or_on_its_way() -> None:
    seen = Seen("cell-1")
    assert ask(CELL, "empty", seen).met
    placed = Task(task_guid="t", state=Task.PENDING, placed_cell_id="cell-1")
    seen.observe(Change(verb=SET, task=placed))
    seen.observe(Change(verb=SET, actual_lrp=row(0, cell_id="cell-1")))
    assert ask(CELL, "empty", seen) == Answer(False, "cell cell-1: 2 left on it")
    seen.observe(Change(verb=SET, actual_lrp=row(0, cell_id="cell-2"), left_cell_id="cell-1"))
    ended = Task(task_guid="t", state=Task.COMPLETED, cell_id="cell-1")
    seen.observe(Change(verb=SET, task=ended))
    assert ask(CELL, "empty", seen).met
