"""More than half of at least three cells lost within one TTL: nothing is ended or replaced."""

import pytest

from diegod.models.mass_loss import MassLoss, mass_loss
from diegod.scheduler.core.limits import Limits
from tests.unit.scheduler.core.worlds import LIMITS, World


def a_world(cells: int) -> World:
    world = World()
    for number in range(1, cells + 1):
        world.people.cell(f"cell-{number}")
    return world


def in_force(world: World, limits: Limits = LIMITS) -> MassLoss | None:
    snapshot = world.snapshot()
    return mass_loss(snapshot.missing, snapshot.present_count, world.board.now, limits)


@pytest.mark.parametrize(
    ("cells", "lost", "held"),
    [(1, 1, False), (2, 2, False), (3, 1, False), (3, 2, True), (4, 2, False), (4, 3, True)],
)
def test_more_than_half_of_at_least_three(cells: int, lost: int, held: bool) -> None:
    world = a_world(cells)
    world.people.lose(*[f"cell-{number}" for number in range(1, lost + 1)])
    cell_ids = tuple(f"cell-{number}" for number in range(1, lost + 1))
    expected = MassLoss(lost, cells, world.board.now + 300, cell_ids) if held else None
    assert in_force(world) == expected


def test_cells_lost_one_after_the_other_are_not_a_mass_loss() -> None:
    world = a_world(4)
    for cell_id in ("cell-1", "cell-2"):
        world.people.lose(cell_id)
        world.wait(11)
    world.people.lose("cell-3")
    assert in_force(world) is None


def test_losses_within_one_ttl_count_together() -> None:
    world = a_world(4)
    for cell_id in ("cell-1", "cell-2", "cell-3"):
        world.people.lose(cell_id)
        world.wait(5)
    assert in_force(world).lost == 3


def test_cells_missing_since_long_ago_do_not_count() -> None:
    world = a_world(5)
    world.people.lose("cell-4", "cell-5")
    world.wait(3600)
    world.people.lose("cell-1")
    assert in_force(world) is None
    world.people.lose("cell-2")
    assert in_force(world) == MassLoss(2, 3, world.board.now + 300, ("cell-1", "cell-2"))


def test_the_hold_ends_after_5_minutes() -> None:
    world = a_world(3)
    world.people.lose("cell-1", "cell-2")
    world.wait(299)
    assert in_force(world) is not None
    world.wait(1)
    assert in_force(world) is None


def test_the_hold_ends_when_enough_are_back() -> None:
    world = a_world(3)
    world.people.lose("cell-1", "cell-2")
    world.people.cell("cell-1")
    assert in_force(world) is None


def test_the_share_is_a_setting() -> None:
    world = a_world(4)
    world.people.lose("cell-1", "cell-2")
    assert in_force(world, Limits(mass_loss_percent=49)) is not None


class TestWhileItHolds:
    def lost(self) -> World:
        world = a_world(3)
        world.people.lrp("web", 3)
        world.people.task("backup")
        world.people.task("done", retention_ms=1000)
        world.settle()
        world.people.complete_task("done")
        world.wait(2)
        world.people.lose("cell-1", "cell-2")
        return world

    def test_nothing_is_ended_or_replaced(self) -> None:
        repairs = self.lost().repairs()
        assert repairs.decisions == ()
        assert repairs.mass_loss.reason.startswith("2 of 3 cells were lost at once")
        assert repairs.next_deadline == repairs.mass_loss.until

    def test_afterwards_everything_is(self) -> None:
        world = self.lost()
        world.wait(300)
        done = world.converge()
        assert done.count("SuspectInstance web") == done.count("CreateInstance web") == 2
        assert "ExpireTask done" in done

    def test_what_comes_back_in_time_has_lost_nothing(self) -> None:
        world = self.lost()
        before = world.states("web")
        world.converge()
        world.wait(60)
        for cell_id in ("cell-1", "cell-2"):
            world.people.cell(cell_id)
        assert world.converge() == ["ExpireTask done"]
        assert world.states("web") == before

    def test_new_work_is_still_created_placed_and_restarted(self) -> None:
        world = self.lost()
        world.people.lrp("api", 1)
        assert world.converge() == ["CreateInstance api"]
        assert [p.cell_id for p in world.auction().placements] == ["cell-3"]
        world.people.claim(world.instance("api", 0))
        world.people.crash(world.instance("api", 0))
        assert world.converge() == ["UnclaimInstance api"]

    def test_what_a_person_asks_for_is_done_where_the_cell_is_there(self) -> None:
        world = self.lost()
        world.people.remove_lrp("web")
        assert world.converge() == ["RetireInstance web"]
        assert [state for state in world.states("web") if state.endswith("stopping")] == [
            state for state in world.states("web") if "cell-3" in state
        ]
