"""GLOBAL LRPs: one instance on each cell that may run it."""

from diegod.v1.definition_pb2 import CrashPolicy, LrpDefinition, UpdatePolicy
from diegod.v1.record_pb2 import ActualLrp
from tests.unit.scheduler.core.worlds import World

AT_ONCE = UpdatePolicy(min_healthy_ms=0)


def everywhere(cells: int = 3, **lrp: object) -> World:
    world = World()
    for number in range(1, cells + 1):
        world.people.cell(f"cell-{number}")
    world.people.lrp("agent", mode=LrpDefinition.GLOBAL, **lrp)
    world.settle()
    return world


def where(world: World) -> list[str]:
    return sorted(row.cell_id for row in world.board.instances("agent"))


def on(world: World, cell_id: str) -> ActualLrp:
    rows = world.board.instances("agent")
    (row,) = (row for row in rows if row.needs.cell_id == cell_id)
    return row


def test_one_on_each_cell_each_with_an_index_of_its_own() -> None:
    world = everywhere(3)
    assert where(world) == ["cell-1", "cell-2", "cell-3"]
    assert [row.index for row in world.board.instances("agent")] == [0, 1, 2]
    assert world.rollout("agent") == "DONE"
    assert world.converge() == []


def test_a_new_cell_gets_one_and_only_the_cell_has_to_be_looked_at() -> None:
    world = everywhere(2)
    world.snapshot()
    world.people.cell("cell-9")
    touched = world.snapshot().apply_changes([world.board.history[-1]])
    decisions = world.repairs(touched.keys).decisions
    assert [(d.action.index, d.action.cell_id) for d in decisions] == [(2, "cell-9")]
    world.settle()
    assert where(world) == ["cell-1", "cell-2", "cell-9"]


def test_the_lowest_index_that_is_free() -> None:
    world = everywhere(3)
    world.people.lose("cell-2")
    world.people.cell_is("REMOVE", "cell-2")
    world.settle()
    world.people.cell("cell-9")
    world.settle()
    assert {row.needs.cell_id: row.index for row in world.board.instances("agent")} == {
        "cell-1": 0,
        "cell-9": 1,
        "cell-3": 2,
    }


def test_only_where_it_may_run() -> None:
    world = World()
    world.people.cell("cell-1", placement_tags=["gpu"])
    world.people.cell("cell-2")
    world.people.lrp("agent", mode=LrpDefinition.GLOBAL)
    world.settle()
    assert where(world) == ["cell-2"]
    world.people.lrp("tagged", mode=LrpDefinition.GLOBAL, tags=["gpu"])
    world.settle()
    assert [r.cell_id for r in world.board.instances("tagged")] == ["cell-1"]


def test_a_cell_that_is_cordoned_or_unhealthy_keeps_it_and_gets_no_new_one() -> None:
    world = everywhere(2)
    world.people.cell("cell-3", unhealthy_reason="disk full")
    world.people.cell_is("CORDON", "cell-1")
    world.settle()
    assert where(world) == ["cell-1", "cell-2"]
    world.people.lrp("agent", definition="v2", mode=LrpDefinition.GLOBAL)
    world.settle()
    # What could not be made anew there is left, and the update does not wait for it.
    assert where(world) == ["cell-1", "cell-2"]
    assert world.rollout("agent") == "DONE"
    world.people.cell_is("UNCORDON", "cell-1")
    world.settle()
    wanted = world.board.desired_lrp("agent").definition_revision
    assert {row.definition_revision for row in world.board.instances("agent")} == {wanted}


def test_on_a_missing_cell_it_is_suspect_and_no_other_one_is_made() -> None:
    world = everywhere(4)
    world.people.lose("cell-1")
    assert world.converge() == ["SuspectInstance agent"]
    assert world.converge() == []
    world.people.cell("cell-1")
    assert world.converge() == ["UnsuspectInstance agent"]
    assert world.converge() == []


def test_on_a_cell_that_was_removed_it_goes() -> None:
    world = everywhere(4)
    world.people.lose("cell-1")
    world.converge()
    world.people.cell_is("REMOVE", "cell-1")
    assert world.converge() == ["RetireInstance agent"]
    assert where(world) == ["cell-2", "cell-3", "cell-4"]


def test_on_a_cell_that_is_drained_it_goes_and_comes_back_with_it() -> None:
    world = everywhere(2)
    world.people.cell_is("DRAIN", "cell-1")
    assert world.converge() == ["RetireInstance agent"]
    world.settle()
    assert where(world) == ["cell-2"]
    world.people.cell_is("UNCORDON", "cell-1")
    world.settle()
    assert where(world) == ["cell-1", "cell-2"]


def test_crashed_it_is_run_again_on_the_same_cell() -> None:
    world = everywhere(2, crash_policy=CrashPolicy(immediate_restarts=5))
    world.people.crash(on(world, "cell-2"))
    assert world.converge() == ["UnclaimInstance agent"]
    world.settle()
    assert where(world) == ["cell-1", "cell-2"]


def test_an_update_goes_from_cell_to_cell_and_stops_first() -> None:
    world = everywhere(3)
    world.people.lrp("agent", definition="v2", mode=LrpDefinition.GLOBAL, update=AT_ONCE)
    for _ in range(3):
        assert world.converge() == ["RetireInstance agent"]
        assert world.converge() == []
        world.people.obey()
        assert world.converge() == ["CreateInstance agent"]
        world.auction()
        assert world.converge() == []
        world.people.obey()
    assert world.converge() == ["FinishRollout agent"]
    assert where(world) == ["cell-1", "cell-2", "cell-3"]


def test_what_a_person_retires_is_made_anew_on_its_cell() -> None:
    world = everywhere(2)
    before = on(world, "cell-1")
    world.people.retire("agent", before.index)
    world.settle()
    assert on(world, "cell-1").instance_guid != before.instance_guid


def test_removed_all_of_it_goes() -> None:
    world = everywhere(3)
    world.people.remove_lrp("agent")
    world.settle()
    assert world.board.instances("agent") == []
    assert world.board.desired_lrp("agent") is None


def test_a_change_of_mode_moves_it_to_where_it_is_to_be() -> None:
    world = everywhere(3)
    world.people.lrp("agent", 1, definition="v2")
    world.settle()
    assert len(where(world)) == 1
    world.people.lrp("agent", 1, definition="v3", mode=LrpDefinition.GLOBAL)
    world.settle()
    assert where(world) == ["cell-1", "cell-2", "cell-3"]
