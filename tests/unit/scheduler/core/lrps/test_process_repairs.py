"""The scenarios that people know Diego by: scaling, crashes, lost cells, updates.

All repairs go through the real rules of the BBS, which refuse what was decided wrongly.
"""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diegod.v1.definition_pb2 import CrashPolicy
from diegod.v1.record_pb2 import ActualLrp
from tests.unit.scheduler.core.worlds import World


def a_world(cells: int = 2, instances: int = 2, **lrp: object) -> World:
    """So many cells, and an LRP "web" with all its instances running."""
    world = World()
    for number in range(1, cells + 1):
        world.people.cell(f"cell-{number}", zone=f"z{number}")
    world.people.lrp("web", instances, **lrp)
    world.settle()
    return world


class TestScaling:
    def test_a_desired_lrp_gets_its_instances(self) -> None:
        world = World()
        world.people.lrp("web", 3)
        assert world.converge() == ["CreateInstance web"] * 3
        assert world.states("web") == ["0 UNCLAIMED", "1 UNCLAIMED", "2 UNCLAIMED"]
        assert world.converge() == []

    def test_scaled_up_it_gets_the_missing_ones(self) -> None:
        world = a_world(instances=1)
        world.people.scale("web", 3)
        assert world.converge() == ["CreateInstance web"] * 2

    def test_scaled_down_it_loses_the_last_ones(self) -> None:
        world = a_world(instances=3)
        world.people.scale("web", 1)
        assert world.converge() == ["RetireInstance web"] * 2
        assert world.states("web")[1:] == ["1 RUNNING cell-2 stopping", "2 RUNNING cell-1 stopping"]
        assert world.converge() == []
        world.settle()
        assert world.states("web") == ["0 RUNNING cell-1"]

    def test_scaled_down_and_up_again_the_index_waits_until_the_old_one_has_stopped(self) -> None:
        world = a_world(instances=2)
        world.people.scale("web", 1)
        world.converge()
        world.people.scale("web", 2)
        assert world.converge() == []
        world.people.obey()
        assert world.converge() == ["CreateInstance web"]

    def test_one_that_was_to_stop_goes_with_its_cell(self) -> None:
        world = a_world(instances=2)
        world.people.scale("web", 1)
        world.converge()
        world.people.lose("cell-2")
        assert world.converge() == ["RetireInstance web"]
        assert world.states("web") == ["0 RUNNING cell-1"]

    def test_removed_everything_of_it_goes(self) -> None:
        world = a_world(instances=2)
        world.people.remove_lrp("web")
        assert world.converge() == ["RetireInstance web"] * 2
        world.settle()
        assert world.states("web") == []

    def test_an_instance_that_never_ran_goes_without_its_cell_being_asked(self) -> None:
        world = World()
        world.people.lrp("web", 1)
        world.converge()
        world.people.remove_lrp("web")
        world.converge()
        assert world.states("web") == []


class TestPlacements:
    def test_not_taken_up_in_10_s_it_is_withdrawn(self) -> None:
        world = World()
        world.people.cell("cell-1")
        world.people.lrp("web")
        world.converge()
        world.auction()
        old = world.instance("web", 0).instance_guid
        world.wait(10)
        assert world.converge() == ["WithdrawInstance web"]
        assert world.instance("web", 0).instance_guid != old

    def test_claimed_in_time_it_stays(self) -> None:
        world = World()
        world.people.cell("cell-1")
        world.people.lrp("web")
        world.converge()
        world.auction()
        world.people.claim(world.instance("web", 0))
        world.wait(60)
        assert world.converge() == []

    def test_on_a_cell_that_is_lost_it_is_withdrawn_at_once(self) -> None:
        world = World()
        world.people.cell("cell-1")
        world.people.lrp("web")
        world.converge()
        world.auction()
        world.people.lose("cell-1")
        assert world.converge() == ["WithdrawInstance web"]


class TestCrashes:
    def test_two_immediate_restarts_then_back_off(self) -> None:
        world = a_world(cells=1, instances=1)
        for _ in range(2):
            world.people.crash(world.instance("web", 0))
            assert world.converge() == ["UnclaimInstance web"]
            world.settle()
        world.people.crash(world.instance("web", 0))
        repairs = world.repairs()
        assert repairs.decisions == ()
        assert repairs.next_deadline == world.board.now + 30
        world.wait(30)
        assert world.converge() == ["UnclaimInstance web"]
        assert world.instance("web", 0).crash_count == 3

    def test_it_gives_up_as_its_policy_says(self) -> None:
        world = a_world(cells=1, instances=1, crash_policy=CrashPolicy(max_restarts=1))
        world.people.crash(world.instance("web", 0))
        repairs = world.repairs()
        assert (repairs.decisions, repairs.next_deadline) == ((), None)
        world.wait(1e6)
        assert world.converge() == []

    def test_a_crashed_one_that_is_not_wanted_any_more_goes(self) -> None:
        world = a_world(cells=1, instances=1, crash_policy=CrashPolicy(max_restarts=1))
        world.people.crash(world.instance("web", 0))
        world.people.scale("web", 0)
        world.converge()
        assert world.states("web") == []


class TestALostCell:
    """The table of diego.md 2.7; i1 is on cell-1, which is lost, i2 replaces it."""

    def lost(self) -> World:
        world = a_world(cells=2, instances=1)
        world.people.lose("cell-1")
        return world

    def test_i1_becomes_suspect_and_i2_is_made(self) -> None:
        world = self.lost()
        assert world.converge() == ["SuspectInstance web", "CreateInstance web"]
        assert world.states("web") == ["0 UNCLAIMED", "0 RUNNING cell-1 SUSPECT"]
        assert world.suspect("web", 0).routable
        assert world.converge() == []

    def test_once_i2_runs_i1_is_removed(self) -> None:
        world = self.lost()
        world.settle()
        assert world.states("web") == ["0 RUNNING cell-2"]

    def test_while_i2_is_only_claimed_i1_stays(self) -> None:
        world = self.lost()
        world.converge()
        world.auction()
        world.people.claim(world.instance("web", 0))
        assert world.converge() == []
        assert world.states("web") == ["0 CLAIMED cell-2", "0 RUNNING cell-1 SUSPECT"]

    def test_cell_1_is_back_before_i2_was_placed(self) -> None:
        world = self.lost()
        world.converge()
        world.people.cell("cell-1")
        assert world.converge() == ["RetireInstance web", "UnsuspectInstance web"]
        assert world.states("web") == ["0 RUNNING cell-1"]
        assert world.converge() == []

    def test_cell_1_is_back_while_i2_is_claimed(self) -> None:
        world = self.lost()
        world.converge()
        world.auction()
        world.people.claim(world.instance("web", 0))
        world.people.cell("cell-1")
        assert world.converge() == ["RetireInstance web"]
        assert world.converge() == []
        world.people.obey()
        assert world.converge() == ["UnsuspectInstance web"]
        assert world.states("web") == ["0 RUNNING cell-1"]

    def test_cell_1_is_back_after_i2_ran(self) -> None:
        world = self.lost()
        world.converge()
        world.auction()
        world.people.obey()
        world.people.cell("cell-1")
        assert world.converge() == ["RetireInstance web"]
        world.settle()
        assert world.states("web") == ["0 RUNNING cell-2"]

    def test_i2_starts_although_it_was_to_stop_and_i1_stays_all_the_same(self) -> None:
        world = self.lost()
        world.converge()
        world.auction()
        world.people.claim(world.instance("web", 0))
        world.people.cell("cell-1")
        world.converge()
        world.people.run(world.instance("web", 0))
        assert world.converge() == []
        world.people.obey()
        assert world.converge() == ["UnsuspectInstance web"]

    def test_i1_is_not_called_back_once_it_was_told_to_stop(self) -> None:
        world = self.lost()
        world.converge()
        world.auction()
        world.people.obey()
        world.people.cell("cell-1")
        world.converge()
        world.people.crash(world.instance("web", 0))
        assert world.converge() == ["UnclaimInstance web"]

    def test_i2_can_not_be_placed_and_both_stay(self) -> None:
        world = a_world(cells=1, instances=1)
        world.people.lose("cell-1")
        world.settle()
        assert world.states("web") == ["0 UNCLAIMED", "0 RUNNING cell-1 SUSPECT"]

    def test_i2_crashes_and_i1_stays(self) -> None:
        world = self.lost()
        world.converge()
        world.auction()
        world.people.claim(world.instance("web", 0))
        world.people.crash(world.instance("web", 0))
        assert world.converge() == ["UnclaimInstance web"]
        assert world.states("web")[1:] == ["0 RUNNING cell-1 SUSPECT"]

    def test_i2s_cell_is_lost_too_and_i1_stays_suspect(self) -> None:
        world = a_world(cells=6, instances=1)
        world.people.lose("cell-1")
        world.converge()
        world.auction()
        world.people.claim(world.instance("web", 0))
        world.people.lose(world.instance("web", 0).cell_id)
        assert world.converge() == ["RetireInstance web", "CreateInstance web"]
        assert world.states("web") == ["0 UNCLAIMED", "0 RUNNING cell-1 SUSPECT"]
        assert world.converge() == []

    def test_the_lrp_is_removed_while_i1_is_suspect(self) -> None:
        world = self.lost()
        world.converge()
        world.people.remove_lrp("web")
        assert world.converge() == ["RetireInstance web"] * 2
        assert world.states("web") == []

    def test_an_instance_that_was_to_stop_is_not_made_suspect(self) -> None:
        world = a_world(cells=2, instances=2)
        world.people.scale("web", 1)
        world.converge()
        world.people.scale("web", 2)
        world.people.lose("cell-2")
        assert world.converge() == ["RetireInstance web", "CreateInstance web"]


class TestANewDefinition:
    def test_running_instances_are_replaced_one_at_a_time(self) -> None:
        world = a_world(instances=3)
        world.people.lrp("web", 3, definition="v2")
        for index in (2, 1, 0):
            assert world.converge() == ["RetireInstance web"]
            assert world.instance("web", index).stopping
            assert world.converge() == []
            world.people.obey()
            assert world.converge() == ["CreateInstance web"]
            world.auction()
            assert world.converge() == []
            world.people.obey()
        assert world.converge() == []
        revision = world.board.desired_lrp("web").definition_revision
        assert {row.definition_revision for row in world.board.instances("web")} == {revision}

    def test_a_new_one_that_crashes_stops_the_update(self) -> None:
        world = a_world(instances=2, crash_policy=CrashPolicy(max_restarts=1))
        policy = CrashPolicy(max_restarts=1)
        world.people.lrp("web", 2, definition="v2", crash_policy=policy)
        world.converge()
        world.people.obey()
        world.converge()
        world.auction()
        world.people.obey()
        world.people.crash(world.instance("web", 1))
        world.settle()
        assert world.states("web") == ["0 RUNNING cell-1", "1 CRASHED"]

    def test_a_better_definition_replaces_one_that_can_not_start(self) -> None:
        policy = CrashPolicy(max_restarts=1)
        world = a_world(instances=2, crash_policy=policy)
        for index in (0, 1):
            world.people.crash(world.instance("web", index))
        world.settle()
        assert world.states("web") == ["0 CRASHED", "1 CRASHED"]
        world.people.lrp("web", 2, definition="v2", crash_policy=policy)
        assert world.converge() == ["RetireInstance web", "CreateInstance web"] * 2
        assert [row.crash_count for row in world.board.instances("web")] == [0, 0]
        world.settle()
        assert world.states("web") == ["0 RUNNING cell-1", "1 RUNNING cell-2"]

    def test_one_that_is_only_being_started_is_replaced_at_once(self) -> None:
        world = World()
        world.people.cell("cell-1")
        world.people.lrp("web", 2)
        world.converge()
        world.auction()
        for index in (0, 1):
            world.people.claim(world.instance("web", index))
        world.people.lrp("web", 2, definition="v2")
        assert world.converge() == ["RetireInstance web"] * 2
        assert world.converge() == []

    def test_scaling_replaces_nothing(self) -> None:
        world = a_world(instances=2)
        world.people.scale("web", 3)
        world.settle()
        assert not any(row.stopping for row in world.board.instances("web"))
        assert len(world.states("web")) == 3


EVENTS = ("crash", "lose", "return", "scale", "update", "remove", "desire", "wait", "task", "obey")


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(EVENTS), st.integers(0, 3), st.booleans()),
        min_size=1,
        max_size=12,
    )
)
def test_whatever_happens_the_bbs_accepts_every_repair_and_a_second_pass_finds_none(
    story: list[tuple[str, int, bool]],
) -> None:
    world = World()
    for number in range(4):
        world.people.cell(f"cell-{number}", zone=f"z{number % 2}")
    world.people.lrp("web", 2)
    for event, number, then_converge in story:
        _happen(world, event, number)
        if then_converge:
            world.converge()
            assert world.converge() == []
            world.auction()
    _everything_comes_back(world)
    world.settle()
    running = [f"{index} RUNNING" for index in range(2)]
    assert [state[:9] for state in world.states("web")] == running


def _happen(world: World, event: str, number: int) -> None:
    people, cell_id = world.people, f"cell-{number}"
    present = [cell for cell in world.snapshot().present_cells() if cell.cell_id == cell_id]
    desired = world.board.desired_lrp("web")
    match event:
        case "crash":
            for row in world.board.instances("web"):
                if row.state == ActualLrp.RUNNING and world.snapshot().is_present(row.cell_id):
                    people.crash(row)
                    return
        case "lose" if present:
            people.lose(cell_id)
        case "return":
            people.cell(cell_id, zone=f"z{number % 2}")
        case "scale" if desired is not None:
            people.scale("web", number)
        case "update" if desired is not None:
            people.lrp("web", 2, definition=f"v{number}")
        case "remove" if desired is not None:
            people.remove_lrp("web")
        case "desire" if desired is None:
            people.lrp("web", 2)
        case "task":
            people.task(f"task-{number}")
        case "wait":
            world.wait(10 * number)
        case "obey":
            people.obey()


def _everything_comes_back(world: World) -> None:
    for number in range(4):
        if not world.snapshot().is_present(f"cell-{number}"):
            world.people.cell(f"cell-{number}", zone=f"z{number % 2}")
    world.people.lrp("web", 2, definition="the last one")
    world.wait(3600)


def test_a_pass_over_one_process_leaves_the_others_alone() -> None:
    world = World()
    world.people.lrp("web", 1)
    world.people.lrp("api", 1)
    touched = world.snapshot().apply_changes([world.board.history[-1]])
    assert [d.key.guid for d in world.repairs(touched.keys).decisions] == ["api"]


@pytest.mark.parametrize("instances", [0, 1, 7])
def test_every_decision_says_why_in_one_sentence(instances: int) -> None:
    world = a_world(instances=3)
    world.people.scale("web", instances)
    for decision in world.repairs().decisions:
        assert decision.reason
        assert "\n" not in decision.reason
        assert decision.reason in str(decision)
