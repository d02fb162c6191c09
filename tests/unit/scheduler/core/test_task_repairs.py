"""The life of a task as convergence sees it, in the order of Diego's task convergence."""

import pytest

from diegod.v1.record_pb2 import Callback, Cell, Drain, Task
from tests.unit.scheduler.core.rows import NOW, a_cell, a_task, at, repaired
from tests.unit.scheduler.core.worlds import World, described


def a_world_with(cells: int = 1, **task: int) -> World:
    world = World()
    for number in range(1, cells + 1):
        world.people.cell(f"cell-{number}")
    world.people.task("backup", **task)
    return world


def state_of(world: World, guid: str = "backup") -> str:
    row = world.board.task(guid)
    return Task.State.Name(row.state) if row else "gone"


def test_a_new_task_needs_no_repair_only_a_placement() -> None:
    world = a_world_with()
    assert world.converge() == []
    assert [p.cell_id for p in world.auction().placements] == ["cell-1"]


def test_a_task_not_started_within_its_limit_fails_and_was_never_run() -> None:
    world = a_world_with(cells=0, start_deadline_ms=60_000)
    world.wait(59)
    assert world.repairs().next_deadline == world.board.now + 1
    assert world.converge() == []
    world.wait(1)
    assert world.converge() == ["FailTask backup"]
    task = world.board.task("backup")
    assert task.failed
    assert task.failure_reason == "not started within time limit"
    assert not task.outcome_unknown


def test_a_task_past_its_limit_is_not_put_up_for_auction() -> None:
    world = a_world_with(start_deadline_ms=60_000)
    world.wait(61)
    plan = world.auction()
    assert (plan.placements, plan.refusals) == ((), ())


def test_a_placement_not_taken_up_in_10_s_is_withdrawn() -> None:
    world = a_world_with()
    world.auction()
    assert world.repairs().next_deadline == world.board.now + 10
    world.wait(9.9)
    assert world.converge() == []
    world.wait(0.1)
    assert world.converge() == ["WithdrawTask backup"]
    assert world.board.task("backup").attempt == 0
    assert world.board.history[-1].cause == "cell cell-1 did not take it up within 10 s"


def test_a_placement_on_a_cell_that_is_lost_is_withdrawn_at_once() -> None:
    world = a_world_with()
    world.auction()
    world.people.lose("cell-1")
    assert world.converge() == ["WithdrawTask backup"]
    assert world.board.history[-1].cause == "cell cell-1, on which it was placed, is missing"


def test_a_placement_on_a_cell_that_registered_again_is_withdrawn() -> None:
    world = a_world_with()
    world.auction()
    world.wait(1)
    world.people.cell("cell-1")
    assert world.converge() == ["WithdrawTask backup"]


def test_a_running_task_on_a_lost_cell_fails_with_its_outcome_unknown() -> None:
    world = a_world_with()
    world.settle()
    assert state_of(world) == "RUNNING"
    world.people.lose("cell-1")
    assert world.converge() == ["FailTask backup"]
    task = world.board.task("backup")
    assert task.failure_reason == "cell disappeared before completion"
    assert task.outcome_unknown


def test_a_running_task_survives_the_restart_of_its_cells_agent() -> None:
    world = a_world_with()
    world.settle()
    world.wait(5)
    world.people.cell("cell-1")
    assert world.board.cell("cell-1").incarnation == 2
    assert world.converge() == []
    assert state_of(world) == "RUNNING"


def test_a_task_that_was_started_is_never_placed_again() -> None:
    world = a_world_with(cells=2)
    world.settle()
    world.people.lose("cell-1")
    world.settle()
    assert state_of(world) == "COMPLETED"
    assert not any(t.cell_id == "cell-2" for t in world.board.all(Task))


def test_a_completed_task_is_kept_for_its_retention_and_then_goes() -> None:
    world = a_world_with(retention_ms=60_000)
    world.settle()
    world.people.complete_task("backup")
    world.wait(59)
    assert world.converge() == []
    world.wait(1)
    assert world.converge() == ["ExpireTask backup"]
    assert state_of(world) == "gone"


def test_converging_again_finds_nothing_new() -> None:
    world = a_world_with(retention_ms=1000)
    world.people.task("late", start_deadline_ms=1000)
    world.people.task("lost")
    world.auction()
    world.people.start_task("lost")
    world.people.lose("cell-1")
    world.wait(2)
    assert world.converge() == ["WithdrawTask backup", "FailTask late", "FailTask lost"]
    assert world.converge() == []


class TestFailures:
    """Each says structurally why."""

    def test_not_started_in_time(self) -> None:
        (decision,) = repaired(a_task(), now=NOW + 1700).decisions
        assert decision.action.failure == Task.NOT_STARTED_IN_TIME

    @pytest.mark.parametrize("cells", [[], [a_cell(state=Cell.MISSING, since=at(NOW))]])
    def test_a_cell_that_is_missing_or_was_removed(self, cells: list[Cell]) -> None:
        (decision,) = repaired(*cells, a_task("t", Task.RUNNING, cell_id="cell-1")).decisions
        assert decision.action.failure == Task.CELL_LOST
        assert decision.action.outcome_unknown

    def test_a_mass_loss_holds_it_up_only_where_the_cell_may_come_back(self) -> None:
        lost = [a_cell(f"cell-{n}", Cell.MISSING, since=at(NOW)) for n in range(1, 5)]
        lost[0].loss_accepted = True
        tasks = [a_task(f"t{n}", Task.RUNNING, cell_id=f"cell-{n}") for n in (1, 2, 9)]
        repairs = repaired(*lost, a_cell("cell-5"), *tasks)
        assert repairs.mass_loss is not None
        assert [decision.key.guid for decision in repairs.decisions] == ["t1", "t9"]

    def test_what_outlives_the_deadline_of_a_drain(self) -> None:
        cell = a_cell(cordoned=True, drain=Drain(began_at=at(NOW), deadline_at=at(NOW + 600)))
        task = a_task("t", Task.RUNNING, cell_id="cell-1")
        assert repaired(cell, task).decisions == ()
        assert repaired(cell, task).next_deadline == NOW + 600
        (decision,) = repaired(cell, task, now=NOW + 600).decisions
        assert decision.action.failure == Task.DRAINED
        assert decision.action.failure_reason == "timed out during the drain of cell cell-1"
        assert not decision.action.outcome_unknown

    def test_a_drain_takes_back_at_once_what_its_cell_has_not_started(self) -> None:
        cell = a_cell(cordoned=True, drain=Drain(began_at=at(NOW), deadline_at=at(NOW + 600)))
        (decision,) = repaired(cell, a_task(placed_cell_id="cell-1", placed_at=at(NOW))).decisions
        assert described(decision) == "WithdrawTask t"
        assert decision.reason == "cell cell-1, on which it was placed, is being drained"


class TestCallbacks:
    def test_the_end_is_told_at_once_and_the_record_is_kept_meanwhile(self) -> None:
        (decision,) = repaired(completed(), now=NOW + 1_000_000).decisions
        assert described(decision) == "ClaimCallback t"
        assert decision.action.row_revision == 7
        assert decision.reason == "its end is told to its callback, try 1"

    def test_after_a_failure_it_is_tried_again_when_that_is_due(self) -> None:
        task = completed(next_try_at=at(NOW + 4), tries=3)
        assert repaired(task).decisions == ()
        assert repaired(task).next_deadline == NOW + 4
        (decision,) = repaired(task, now=NOW + 4).decisions
        assert decision.reason == "its end is told to its callback, try 4"

    @pytest.mark.parametrize("over", ["delivered", "given_up"])
    def test_then_only_the_retention_counts(self, over: str) -> None:
        task = completed(**{over: True})
        assert repaired(task).decisions == ()
        assert repaired(task).next_deadline == NOW + 50
        (decision,) = repaired(task, now=NOW + 50).decisions
        assert described(decision) == "ExpireTask t"

    def test_a_policy_without_an_end_is_tried_until_the_record_goes(self) -> None:
        task = completed(give_up_after_ms=0, next_try_at=at(NOW + 100))
        assert repaired(task).next_deadline == NOW + 50
        task.callback.next_try_at.CopyFrom(at(NOW + 49))
        (decision,) = repaired(task, now=NOW + 49).decisions
        assert described(decision) == "ClaimCallback t"
        (decision,) = repaired(task, now=NOW + 50).decisions
        assert described(decision) == "ExpireTask t"

    def test_a_task_without_one_is_never_claimed(self) -> None:
        task = a_task("t", Task.COMPLETED, completed_at=at(NOW - 10), retention_ms=60_000)
        assert repaired(task).decisions == ()

    def test_what_is_left_alone_while_it_is_resolved_is_opened_again(self) -> None:
        task = completed()
        task.state = Task.RESOLVING
        task.since.CopyFrom(at(NOW))
        assert repaired(task, now=NOW + 29.9).decisions == ()
        assert repaired(task).next_deadline == NOW + 30
        (decision,) = repaired(task, now=NOW + 30).decisions
        assert described(decision) == "ReopenTask t"

    def test_a_mass_loss_does_not_hold_up_the_telling(self) -> None:
        lost = [a_cell(f"cell-{n}", Cell.MISSING, since=at(NOW)) for n in range(4)]
        repairs = repaired(*lost, completed())
        assert repairs.mass_loss is not None
        assert [described(each) for each in repairs.decisions] == ["ClaimCallback t"]


def completed(**callback: object) -> Task:
    callback.setdefault("give_up_after_ms", 86_400_000)
    return a_task(
        "t",
        Task.COMPLETED,
        completed_at=at(NOW - 10),
        retention_ms=60_000,
        callback=Callback(url="http://example.com/", **callback),
    )
