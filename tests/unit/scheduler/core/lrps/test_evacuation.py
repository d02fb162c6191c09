"""Instances that serve while their replacements are made: the tables of Diego's evacuation, and
drains.

α is cell-1, where the instance evacuates; ω is cell-2.
"""

import pytest

from diegod.v1.definition_pb2 import UpdatePolicy
from diegod.v1.record_pb2 import ActualLrp
from tests.unit.scheduler.core.worlds import World, a_world

DRAINED_S = 600


def drained(instances: int = 1, cells: int = 2, **lrp: object) -> World:
    """Everything ran, then cell-1 is drained."""
    world = a_world(cells=cells, instances=instances, **lrp)
    world.people.cell_is("DRAIN", "cell-1", DRAINED_S)
    return world


def evacuated(**update: object) -> World:
    """The instance evacuates on α, and its replacement waits for a place."""
    fields = {"min_healthy_ms": 5000} | update
    world = drained(update=UpdatePolicy(**fields))
    world.converge()
    return world


class TestTheTable:
    def test_running_on_a_it_evacuates_and_another_one_is_made(self) -> None:
        world = drained()
        assert world.converge() == ["EvacuateInstance web", "CreateInstance web"]
        assert world.states("web") == ["0 UNCLAIMED", "0 RUNNING cell-1 EVACUATING"]
        assert world.evacuating("web", 0).routable

    def test_while_the_other_one_waits_for_a_place_it_serves(self) -> None:
        world = evacuated()
        self.nothing_is_done(world)

    def test_while_the_other_one_can_not_be_placed_it_serves(self) -> None:
        world = a_world(cells=1, instances=1)
        world.people.cell_is("DRAIN", "cell-1", DRAINED_S)
        world.settle()
        assert world.instance("web", 0).placement_error
        self.nothing_is_done(world)

    def test_while_the_other_one_is_claimed_it_serves(self) -> None:
        world = evacuated()
        self.claim(world)
        self.nothing_is_done(world)

    def test_while_the_other_one_runs_without_being_routable_it_serves(self) -> None:
        world = evacuated()
        self.claim(world)
        world.people.run(world.instance("web", 0), routable=False)
        world.wait(60)
        self.nothing_is_done(world)

    def test_until_the_other_one_has_been_healthy_for_long_enough_it_serves(self) -> None:
        world = evacuated()
        self.claim(world)
        world.people.run(world.instance("web", 0))
        began = world.board.now
        world.wait(4.9)
        self.nothing_is_done(world)
        assert world.repairs().next_deadline == began + 5
        world.wait(0.1)
        assert world.converge() == ["RetireInstance web"]
        world.people.obey()
        assert world.states("web") == ["0 RUNNING cell-2"]

    def test_while_the_other_one_is_crashed_it_serves(self) -> None:
        """Diego ends it then."""
        world = evacuated()
        for _ in range(3):
            self.claim(world)
            world.people.crash(world.instance("web", 0))
            world.converge()
            world.auction()
        assert world.instance("web", 0).state == ActualLrp.CRASHED
        self.nothing_is_done(world)

    def test_without_another_one_another_one_is_made(self) -> None:
        world = evacuated()
        self.claim(world)
        row = world.instance("web", 0)
        world.people.remove_row(row)
        assert world.converge() == ["CreateInstance web"]
        assert world.evacuating("web", 0)

    def test_that_crashes_it_goes(self) -> None:
        world = evacuated()
        world.people.crash(world.evacuating("web", 0))
        assert world.states("web") == ["0 UNCLAIMED"]
        assert world.converge() == []

    def test_on_a_cell_that_is_missing_it_is_dropped(self) -> None:
        world = evacuated()
        world.people.lose("cell-1")
        assert world.converge() == ["RetireInstance web"]
        assert world.states("web") == ["0 UNCLAIMED"]

    def test_the_cell_of_the_other_one_is_lost_and_it_serves_on(self) -> None:
        world = evacuated()
        self.claim(world)
        world.people.lose("cell-2")
        assert world.converge() == ["RetireInstance web", "CreateInstance web"]
        assert world.states("web") == ["0 UNCLAIMED", "0 RUNNING cell-1 EVACUATING"]

    def test_scaled_away_it_goes(self) -> None:
        world = evacuated()
        world.people.scale("web", 0)
        assert world.converge() == ["RetireInstance web"] * 2
        world.people.obey()
        assert world.states("web") == []

    def claim(self, world: World) -> None:
        if not world.instance("web", 0).placed_cell_id:
            world.auction()
        world.people.claim(world.instance("web", 0))

    def nothing_is_done(self, world: World) -> None:
        before = world.states("web")
        assert world.converge() == []
        assert world.states("web") == before
        assert not world.evacuating("web", 0).stopping


class TestADrain:
    def test_what_is_only_being_started_is_started_elsewhere(self) -> None:
        world = World()
        world.people.cell("cell-1")
        world.people.lrp("web", 2)
        world.converge()
        world.auction()
        world.people.claim(world.instance("web", 0))
        world.people.cell_is("DRAIN", "cell-1")
        assert world.converge() == ["WithdrawInstance web", "RetireInstance web"]

    @pytest.mark.parametrize("max_in_flight", [1, 2, 3])
    def test_so_many_of_a_process_at_a_time(self, max_in_flight: int) -> None:
        update = UpdatePolicy(max_in_flight=max_in_flight, min_healthy_ms=0)
        world = a_world(cells=1, instances=3, update=update)
        world.people.cell("cell-2")
        world.people.cell_is("DRAIN", "cell-1")
        assert world.converge().count("EvacuateInstance web") == max_in_flight
        assert world.converge() == []
        world.settle()
        assert {row.cell_id for row in world.board.instances("web")} == {"cell-2"}

    @pytest.mark.parametrize(
        "update",
        [
            UpdatePolicy(order=UpdatePolicy.STOP_FIRST, min_healthy_ms=0),
            UpdatePolicy(strategy=UpdatePolicy.RECREATE, min_healthy_ms=0),
        ],
        ids=["stop first", "recreate"],
    )
    def test_what_must_not_run_twice_is_stopped_one_at_a_time(self, update: UpdatePolicy) -> None:
        world = a_world(cells=1, instances=2, update=update)
        world.people.cell("cell-2")
        world.people.cell_is("DRAIN", "cell-1")
        for _ in range(2):
            assert world.converge() == ["RetireInstance web"]
            assert world.converge() == []  # the other one stays while this one is gone
            world.people.obey()
            assert world.converge() == ["CreateInstance web"]
            world.auction()
            assert world.converge() == []
            world.people.obey()
        assert world.converge() == []
        assert [state[2:] for state in world.states("web")] == ["RUNNING cell-2"] * 2

    def test_at_the_deadline_what_is_left_is_stopped(self) -> None:
        world = a_world(cells=1, instances=2)
        world.people.cell_is("DRAIN", "cell-1", DRAINED_S)
        world.settle()
        assert world.repairs().next_deadline == world.board.now + DRAINED_S
        world.wait(DRAINED_S - 0.1)
        assert world.converge() == []
        world.wait(0.1)
        assert world.converge() == ["RetireInstance web"] * 2
        world.people.obey()
        assert not [row for row in world.board.instances("web") if row.cell_id]

    def test_called_off_what_moved_away_is_taken_back(self) -> None:
        world = drained(instances=2)
        world.converge()
        world.people.cell_is("UNCORDON", "cell-1")
        assert world.converge() == ["RetireInstance web", "ReinstateInstance web"]
        assert world.states("web") == ["0 RUNNING cell-1", "1 RUNNING cell-2"]
        assert world.converge() == []

    def test_called_off_while_the_other_one_is_being_started_that_one_goes_first(self) -> None:
        world = drained()
        world.converge()
        world.auction()
        world.people.claim(world.instance("web", 0))
        world.people.cell_is("UNCORDON", "cell-1")
        assert world.converge() == ["RetireInstance web"]
        assert world.converge() == []
        world.people.obey()
        assert world.converge() == ["ReinstateInstance web"]

    def test_a_suspect_whose_cell_is_back_to_be_drained_serves_until_another_one_runs(self) -> None:
        world = a_world(cells=2, instances=1)
        world.people.lose("cell-1")
        world.converge()
        world.people.cell_is("DRAIN", "cell-1")
        world.people.cell("cell-1")
        assert world.converge() == []
        world.auction()
        world.people.obey()
        assert world.converge() == ["RetireInstance web"]

    def test_a_mass_loss_holds_it_up(self) -> None:
        world = a_world(cells=5, instances=5)
        world.people.cell_is("DRAIN", "cell-1")
        world.people.lose("cell-2", "cell-3", "cell-4")
        assert world.converge() == []


class TestAnInstanceThatAPersonRetires:
    def test_another_one_runs_before_it_stops(self) -> None:
        world = a_world(cells=2, instances=1)
        world.people.retire("web", 0)
        assert world.converge() == ["CreateInstance web"]
        world.auction()
        assert world.converge() == []
        world.people.obey()
        assert world.converge() == ["RetireInstance web"]

    def test_it_is_not_taken_back(self) -> None:
        world = a_world(cells=2, instances=1)
        world.people.retire("web", 0)
        world.converge()
        world.people.cell_is("CORDON", "cell-1")
        world.people.cell_is("UNCORDON", "cell-1")
        assert world.converge() == []
