"""A full pass is slices of the same function, whatever is asked and in whatever order."""

from diegod.scheduler.core.convergence import all_keys, converge, sliced
from diegod.scheduler.core.snapshot import CELL, PROCESS, TASK, Key, Snapshot
from diegod.v1.definition_pb2 import LrpDefinition
from tests.unit.scheduler.board import as_created
from tests.unit.scheduler.core.worlds import World

NOW = 1_000_000.0


def a_busy_world() -> World:
    world = World()
    for number in range(4):
        world.people.cell(f"cell-{number}")
    for number in range(6):
        world.people.lrp(f"web-{number}", number)
        world.people.task(f"task-{number}")
    world.settle()
    world.people.lose("cell-1")
    world.people.scale("web-5", 2)
    world.people.lrp("web-4", 4, definition="v2")
    world.people.lrp("agent", mode=LrpDefinition.GLOBAL)
    return world


def slices(snapshot: Snapshot, rows: int) -> list[list[Key]]:
    return list(sliced(snapshot, all_keys(snapshot), lambda: rows))


def test_slices_come_to_the_same_as_one_pass_over_everything() -> None:
    world = a_busy_world()
    snapshot, now = world.snapshot(), world.board.now
    whole = converge(snapshot, all_keys(snapshot), now)
    assert whole.decisions
    for rows in (1, 3, 1000):
        parts = [converge(snapshot, part, now) for part in slices(snapshot, rows)]
        decided = sorted(str(each) for part in parts for each in part.decisions)
        assert decided == sorted(map(str, whole.decisions))


def test_every_task_and_process_comes_once() -> None:
    snapshot = a_busy_world().snapshot()
    keys = [key for part in slices(snapshot, 3) for key in part]
    expected = [Key(PROCESS, guid) for guid in snapshot.processes()]
    expected += [Key(TASK, guid) for guid in snapshot.tasks]
    assert sorted(keys) == sorted(expected)


def test_a_slice_weighs_its_rows_and_holds_one_process_at_least() -> None:
    snapshot = a_busy_world().snapshot()
    for part in slices(snapshot, 5)[:-1]:
        weights = [1 + snapshot.instance_count(k.guid) * (k.kind == PROCESS) for k in part]
        assert sum(weights) >= 5
        assert sum(weights[:-1]) < 5


def test_what_many_cells_share_is_looked_at_once() -> None:
    snapshot = a_busy_world().snapshot()
    cells = [Key(CELL, cell_id) for cell_id in snapshot.cells]
    keys = [key for part in sliced(snapshot, cells, lambda: 1) for key in part]
    assert len(keys) == len(set(keys))
    assert Key(PROCESS, "agent") in keys


def test_the_same_snapshot_comes_to_the_same_twice() -> None:
    world = a_busy_world()
    snapshot, now = world.snapshot(), world.board.now
    assert converge(snapshot, all_keys(snapshot), now) == converge(
        snapshot, all_keys(snapshot), now
    )


def test_a_brain_that_has_just_begun_decides_the_same() -> None:
    world = a_busy_world()
    seen, fresh = world.snapshot(), Snapshot()
    fresh.apply_changes([as_created(row) for row in world.board.rows.values()])
    fresh.at = seen.at
    one, other = (converge(s, all_keys(s), world.board.now) for s in (seen, fresh))
    assert one.decisions == other.decisions
