"""The life of a task as convergence sees it, in the order of Diego's task convergence."""

from diegod.v1.record_pb2 import Task
from tests.unit.scheduler.core.worlds import World


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
