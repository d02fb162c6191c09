"""An LRP that stops an instance before it makes its replacement stops none that would be missed."""

from diegod.scheduler.core.decision import RowVersion
from diegod.v1.definition_pb2 import UpdatePolicy
from tests.unit.scheduler.core.worlds import World

_STOPS_FIRST = UpdatePolicy(order=UpdatePolicy.STOP_FIRST, max_in_flight=1, min_healthy_ms=0)


def _a_world() -> World:
    """Two instances on three cells, one of which is empty."""
    world = World()
    for number in (1, 2, 3):
        world.people.cell(f"cell-{number}", zone=f"z{number}")
    world.people.lrp("web", 2, update=_STOPS_FIRST)
    world.settle()
    return world


def test_who_is_to_be_replaced_serves_on_while_another_does_not_run() -> None:
    world = _a_world()
    world.people.retire("web", 0)
    world.people.crash(world.instance("web", 1))
    assert "RetireInstance web" not in world.converge()
    assert world.states("web")[0].startswith("0 RUNNING")
    world.settle()
    assert [state[:9] for state in world.states("web")] == ["0 RUNNING", "1 RUNNING"]


def test_nobody_leaves_a_drained_cell_while_another_takes_no_traffic() -> None:
    world = _a_world()
    other = world.instance("web", 1)
    world.people.run_again(other, routable=False)
    world.people.cell_is("DRAIN", world.instance("web", 0).cell_id)
    assert world.converge() == []
    world.people.run_again(world.instance("web", 1), routable=True)
    assert world.converge() == ["RetireInstance web"]


def test_who_takes_no_traffic_leaves_a_drained_cell_first() -> None:
    world = _a_world()
    row = world.instance("web", 0)
    world.people.run_again(row, routable=False)
    world.people.cell_is("DRAIN", row.cell_id)
    assert world.converge() == ["RetireInstance web"]


def test_an_old_one_that_takes_no_traffic_counts_and_goes_first() -> None:
    """It is missing already: while it is, the update may not make another one missing."""
    world = World()
    for number in (1, 2, 3):
        world.people.cell(f"cell-{number}", zone=f"z{number}")
    world.people.lrp("web", 3, update=_STOPS_FIRST)
    world.settle()
    world.people.run_again(world.instance("web", 0), routable=False)
    world.people.lrp("web", 3, definition="v2", update=_STOPS_FIRST)
    assert world.converge() == ["RetireInstance web"]
    stopping = [row.index for row in world.board.instances("web") if row.stopping]
    assert stopping == [0]
    world.settle()
    assert world.rollout("web") == "DONE"


def test_who_is_about_to_end_is_missing_before_that_is_seen() -> None:
    """A brain looks again while its first command is under way, and would choose another."""
    world = _a_world()
    world.people.lrp("web", 2, definition="v2", update=_STOPS_FIRST)
    world.sent = {_about(world, "RetireInstance", 0)}
    assert world.converge() == []
    world.sent = set()
    assert world.converge() == ["RetireInstance web"]


def test_who_is_about_to_be_replaced_counts_before_that_is_seen() -> None:
    world = _a_world()
    update = UpdatePolicy(max_in_flight=1, min_healthy_ms=0)
    world.people.lrp("web", 2, definition="v2", update=update)
    world.sent = {_about(world, "EvacuateInstance", 0)}
    assert world.converge() == []
    world.sent = set()
    assert world.converge() == ["EvacuateInstance web", "CreateInstance web"]


def test_who_is_about_to_end_is_not_taken_back_before_that_is_seen() -> None:
    """A rollout is taken back just then: its replacement is all that there is to serve."""
    world = _a_world()
    update = UpdatePolicy(max_in_flight=1, min_healthy_ms=0)
    world.people.lrp("web", 2, definition="v2", update=update)
    world.converge()
    world.auction()
    world.people.obey()
    ending = world.evacuating("web", 1)
    world.sent = {RowVersion("RetireInstance", ending.instance_guid, ending.provenance.revision)}
    world.people.control("web", "ROLLBACK")
    new = [each for each in world.repairs().decisions if each.about not in world.sent]
    serving = world.instance("web", 1).instance_guid
    assert [each for each in new if each.about.guid in (serving, ending.instance_guid)] == []
    world.sent = set()
    assert world.converge() == ["RetireInstance web"]


def _about(world: World, action: str, index: int) -> RowVersion:
    row = world.instance("web", index)
    return RowVersion(action, row.instance_guid, row.provenance.revision)
