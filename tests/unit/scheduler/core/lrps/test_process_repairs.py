"""Diego's convergence, step by step and in its order: scaling, placements, crashes.

All repairs go through the real rules of the BBS, which refuse what was decided wrongly. Lost cells,
evacuations, rollouts and GLOBAL LRPs have modules of their own.
"""

from typing import ClassVar

import pytest

from diegod.scheduler.core.convergence import all_keys, converge
from diegod.scheduler.core.snapshot import Snapshot
from diegod.v1.definition_pb2 import CrashPolicy
from diegod.v1.record_pb2 import ActualLrp, Cell, Change, DesiredLrp, Rollout
from tests.unit.scheduler.core.worlds import World, a_world

NOW = 1_000_000


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
        assert world.board.desired_lrp("web") is None

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


class TestTheOrder:
    """Each step of Diego's convergence once, in one LRP, all due at the same time."""

    ROWS: ClassVar = {
        "2: drop what evacuates on a missing cell": [
            (0, ActualLrp.CLAIMED, "here", {}),
            (0, ActualLrp.RUNNING, "gone", {"presence": ActualLrp.EVACUATING}),
        ],
        "3: withdraw what is not taken up": [(1, ActualLrp.UNCLAIMED, "", {"placed": "here"})],
        "4: suspect what is on a missing cell": [(2, ActualLrp.RUNNING, "gone", {})],
        "5: create what is missing": [],  # index 3
        "6: retire what is extra": [(9, ActualLrp.RUNNING, "here", {})],
        "7: settle suspects": [
            (4, ActualLrp.RUNNING, "here", {}),
            (4, ActualLrp.RUNNING, "gone", {"presence": ActualLrp.SUSPECT}),
        ],
        "8: restart what crashed": [(5, ActualLrp.CRASHED, "", {"crash_count": 1})],
    }
    DECISIONS: ClassVar = [
        "RetireInstance i0-1",
        "WithdrawInstance i1-0",
        "SuspectInstance i2-0",
        "CreateInstance web/2",
        "CreateInstance web/3",
        "RetireInstance i9-0",
        "RetireInstance i4-1",
        "UnclaimInstance i5-0",
    ]

    def test_each_step_comes_after_the_one_before(self) -> None:
        assert self.decided(*self.ROWS) == self.DECISIONS

    @pytest.mark.parametrize("left_out", ROWS)
    def test_a_step_is_about_nothing_but_its_own_rows(self, left_out: str) -> None:
        steps = [name for name in self.ROWS if name != left_out]
        indexes = {f"i{index}-" for index, *_ in self.ROWS[left_out]}
        others = [each for each in self.DECISIONS if not any(i in each for i in indexes)]
        decided = self.decided(*steps)
        assert [each for each in decided if each in others] == others

    @pytest.mark.parametrize("seed", range(6))
    def test_in_whatever_order_the_rows_came(self, seed: int) -> None:
        names = list(self.ROWS)
        assert self.decided(*names[seed:], *names[:seed]) == self.DECISIONS

    def decided(self, *steps: str) -> list[str]:
        snapshot = Snapshot()
        snapshot.apply_changes(self.changes(*steps))
        repairs = converge(snapshot, all_keys(snapshot), NOW)
        assert converge(snapshot, all_keys(snapshot), NOW) == repairs
        return [f"{each.about.action} {each.about.guid}" for each in repairs.decisions]

    def changes(self, *steps: str) -> list[Change]:
        cells = [Cell(cell_id="here", state=Cell.PRESENT), Cell(cell_id="gone", state=Cell.MISSING)]
        for cell in cells:
            cell.since.seconds = NOW - 3600
        desired = DesiredLrp(process_guid="web", domain="default", instances=6)
        desired.rollout.state = Rollout.DONE
        changes = [Change(verb=Change.CREATED, cell=cell) for cell in cells]
        changes.append(Change(verb=Change.CREATED, desired_lrp=desired))
        for step in steps:
            for number, (index, state, cell_id, more) in enumerate(self.ROWS[step]):
                row = ActualLrp(
                    process_guid="web",
                    index=index,
                    domain="default",
                    instance_guid=f"i{index}-{number}",
                    state=state,
                    cell_id=cell_id,
                    routable=True,
                    placed_cell_id=more.get("placed", ""),
                    presence=more.get("presence", ActualLrp.ORDINARY),
                    crash_count=more.get("crash_count", 0),
                )
                row.since.seconds = row.placed_at.seconds = NOW - 60
                changes.append(Change(verb=Change.CREATED, actual_lrp=row))
        return changes


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
