"""Updates: in which order and how many at a time, and what they come to."""

import pytest

from diegod.v1.definition_pb2 import CrashPolicy, UpdatePolicy
from diegod.v1.record_pb2 import ActualLrp, LrpVersion
from tests.unit.scheduler.core.worlds import World, a_world

AT_ONCE = {"min_healthy_ms": 0}
MOVED = ["EvacuateInstance web", "CreateInstance web"]


def updated(instances: int = 2, cells: int = 2, **update: object) -> World:
    """v1 runs, and v2 has just been asked for."""
    policy = UpdatePolicy(**(AT_ONCE | update))
    world = a_world(cells=cells, instances=instances, update=policy)
    world.people.lrp("web", instances, definition="v2", update=policy)
    return world


def start_new(world: World, index: int) -> None:
    if not world.instance("web", index).placed_cell_id:
        world.auction()
    world.people.claim(world.instance("web", index))
    world.people.run(world.instance("web", index))


def versions(world: World) -> list[str]:
    return [LrpVersion.Outcome.Name(v.outcome) for v in world.board.lrp_versions("web")]


class TestStartFirst:
    def test_one_after_the_other_the_last_first_each_once_the_one_before_is_healthy(self) -> None:
        world = updated(instances=3)
        assert world.converge() == MOVED
        for index in (2, 1, 0):
            assert world.evacuating("web", index).routable
            assert world.converge() == []
            start_new(world, index)
            next_step = MOVED if index else ["FinishRollout web"]
            assert world.converge() == ["RetireInstance web", *next_step]
            world.people.remove_row(world.evacuating("web", index))
        wanted = world.board.desired_lrp("web").definition_revision
        assert {row.definition_revision for row in world.board.instances("web")} == {wanted}
        assert (world.rollout("web"), versions(world)) == ("DONE", ["STABLE", "STABLE"])

    @pytest.mark.parametrize("max_in_flight", [1, 2, 5])
    def test_so_many_at_a_time(self, max_in_flight: int) -> None:
        world = updated(instances=4, max_in_flight=max_in_flight)
        assert world.converge() == MOVED * min(4, max_in_flight)
        assert world.converge() == []

    def test_the_old_one_serves_until_the_new_one_was_healthy_for_long_enough(self) -> None:
        world = updated(instances=1, min_healthy_ms=10_000)
        world.converge()
        start_new(world, 0)
        world.wait(9.9)
        assert world.converge() == []
        assert not world.evacuating("web", 0).stopping
        world.wait(0.1)
        assert world.converge() == ["RetireInstance web", "FinishRollout web"]

    def test_a_new_one_that_is_not_routable_holds_up_the_others(self) -> None:
        world = updated(instances=2)
        world.converge()
        world.auction()
        world.people.claim(world.instance("web", 1))
        world.people.run(world.instance("web", 1), routable=False)
        assert world.converge() == []
        world.people.run_again(world.instance("web", 1), routable=True)
        assert world.converge() == ["RetireInstance web", *MOVED]

    def test_what_does_not_run_is_replaced_at_once(self) -> None:
        policy = CrashPolicy(max_restarts=1)
        world = a_world(instances=3, crash_policy=policy)
        for index in (0, 1):
            world.people.crash(world.instance("web", index))
        world.people.lrp("web", 3, definition="v2", crash_policy=policy)
        assert world.converge() == ["RetireInstance web", "CreateInstance web"] * 2
        assert [row.crash_count for row in world.board.instances("web")] == [0, 0, 0]
        world.settle()
        assert world.rollout("web") == "DONE"

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

    def test_a_third_version_replaces_the_second_where_it_has_not_become_healthy(self) -> None:
        world = updated(instances=1, min_healthy_ms=10_000)
        world.converge()
        start_new(world, 0)
        world.people.lrp(
            "web", 1, definition="v3", update=UpdatePolicy(min_healthy_ms=10_000)
        )
        assert world.converge() == ["RetireInstance web"]
        assert not world.evacuating("web", 0).stopping
        world.settle_in_time()
        assert world.states("web") == ["0 RUNNING cell-2"]
        assert world.rollout("web") == "DONE"

    def test_scaling_replaces_nothing(self) -> None:
        world = a_world(instances=2)
        world.people.scale("web", 3)
        world.settle()
        assert not any(row.stopping for row in world.board.instances("web"))
        assert len(world.states("web")) == 3

    def test_a_restart_replaces_what_runs_of_the_same_definition(self) -> None:
        world = a_world(instances=2)
        before = {row.instance_guid for row in world.board.instances("web")}
        world.people.control("web", "RESTART")
        world.settle()
        assert not before & {row.instance_guid for row in world.board.instances("web")}
        assert world.rollout("web") == "DONE"

    def test_a_mass_loss_holds_it_up(self) -> None:
        world = updated(instances=5, cells=5)
        world.people.lose("cell-1", "cell-2", "cell-3")
        assert world.converge() == []


class TestStopFirst:
    def test_one_stops_then_its_replacement_is_made(self) -> None:
        world = updated(instances=3, order=UpdatePolicy.STOP_FIRST)
        for index in (2, 1, 0):
            assert world.converge() == ["RetireInstance web"]
            assert world.instance("web", index).stopping
            assert world.converge() == []
            world.people.obey()
            assert world.converge() == ["CreateInstance web"]
            assert world.converge() == []
            start_new(world, index)
        assert world.converge() == ["FinishRollout web"]

    @pytest.mark.parametrize(("unavailable", "in_flight", "stopped"), [(2, 3, 2), (3, 2, 2)])
    def test_no_more_than_may_be_missing(
        self, unavailable: int, in_flight: int, stopped: int
    ) -> None:
        world = updated(
            instances=4,
            order=UpdatePolicy.STOP_FIRST,
            max_unavailable=unavailable,
            max_in_flight=in_flight,
        )
        assert world.converge() == ["RetireInstance web"] * stopped

    def test_none_while_another_one_is_down(self) -> None:
        world = updated(instances=3, order=UpdatePolicy.STOP_FIRST)
        for _ in range(3):
            world.people.crash(world.instance("web", 0))
            world.converge()
            world.auction()
            world.people.claim(world.instance("web", 0))
        assert not any(row.stopping for row in world.board.instances("web"))

    def test_what_a_person_retires_stops_before_another_one_is_made(self) -> None:
        update = UpdatePolicy(order=UpdatePolicy.STOP_FIRST, min_healthy_ms=0)
        world = a_world(instances=1, update=update)
        world.people.retire("web", 0)
        assert world.converge() == []
        world.people.obey()
        assert world.converge() == ["CreateInstance web"]


class TestRecreate:
    def test_all_old_ones_end_before_a_new_one_is_made(self) -> None:
        world = updated(instances=2, strategy=UpdatePolicy.RECREATE)
        assert world.converge() == ["RetireInstance web"] * 2
        world.people.remove_row(world.instance("web", 0))
        assert world.converge() == []
        world.people.obey()
        assert world.converge() == ["CreateInstance web"] * 2
        world.settle()
        assert world.rollout("web") == "DONE"

    def test_what_is_beyond_the_number_counts_too(self) -> None:
        world = updated(instances=2, strategy=UpdatePolicy.RECREATE)
        world.people.scale("web", 1)
        world.converge()
        world.people.remove_row(world.instance("web", 0))
        assert world.converge() == []


class TestCanaries:
    def test_so_many_first_then_a_person_is_asked(self) -> None:
        world = updated(instances=3, canaries=1, max_in_flight=3)
        assert world.converge() == MOVED
        world.settle()
        assert world.rollout("web") == "CANARIES"
        assert self.new_count(world) == 1
        world.wait(3600)
        assert world.converge() == []
        world.people.control("web", "PROMOTE")
        world.settle()
        assert (world.rollout("web"), self.new_count(world)) == ("DONE", 3)

    def test_as_many_canaries_as_instances_need_no_promotion(self) -> None:
        world = updated(instances=2, canaries=2)
        world.settle()
        assert world.rollout("web") == "DONE"

    def test_a_first_version_has_none(self) -> None:
        world = a_world(instances=2, update=UpdatePolicy(canaries=1, min_healthy_ms=0))
        assert world.rollout("web") == "DONE"

    def test_one_that_crashes_while_a_person_is_asked_fails_the_update(self) -> None:
        world = updated(instances=3, canaries=1)
        world.settle()
        crash_until_it_waits(world, 2)
        assert "FailRollout web" in world.converge()
        world.settle()
        assert (world.rollout("web"), self.new_count(world)) == ("DONE", 3)
        assert versions(world) == ["STABLE", "FAILED", "STABLE"]

    def new_count(self, world: World) -> int:
        wanted = world.board.desired_lrp("web").definition_revision
        return sum(row.definition_revision == wanted for row in world.board.instances("web"))


def crash_until_it_waits(world: World, index: int) -> None:
    """Two crashes are followed by a restart at once, the third is not."""
    for number in range(3):
        if world.instance("web", index).state != ActualLrp.RUNNING:
            start_new(world, index)
        world.people.crash(world.instance("web", index))
        if number < 2:
            world.converge()


class TestAFailure:
    def test_a_new_one_that_crashes_again_and_again(self) -> None:
        world = updated(instances=2)
        old = world.instance("web", 1).instance_guid
        world.converge()
        crash_until_it_waits(world, 1)
        assert world.converge() == ["FailRollout web"]
        assert world.board.desired_lrp("web").rollout.rolled_back
        # What was to be replaced never stopped, and is the ordinary one again.
        assert world.converge() == [
            "RetireInstance web", "ReinstateInstance web", "FinishRollout web"
        ]
        assert world.instance("web", 1).instance_guid == old
        assert versions(world) == ["STABLE", "FAILED", "STABLE"]

    def test_two_crashes_are_not_enough(self) -> None:
        world = updated(instances=1)
        world.converge()
        for _ in range(2):
            start_new(world, 0)
            world.people.crash(world.instance("web", 0))
            assert world.converge() == ["UnclaimInstance web"]
        assert world.rollout("web") == "ROLLING"

    def test_crashes_of_the_version_before_do_not_count(self) -> None:
        world = a_world(instances=2)
        crash_until_it_waits(world, 1)
        world.wait(60)
        world.settle()
        assert world.instance("web", 1).crash_count == 3
        world.people.lrp("web", 2, definition="v2")
        world.converge()
        world.people.control("web", "ROLLBACK")
        world.settle()
        assert world.rollout("web") == "DONE"
        assert "FAILED" not in versions(world)

    def test_no_new_one_became_healthy_in_time(self) -> None:
        world = updated(instances=2, progress_deadline_ms=60_000)
        world.converge()
        began = world.board.now
        assert world.repairs().next_deadline == began + 60
        world.wait(59.9)
        assert world.converge() == []
        world.wait(0.1)
        assert world.converge() == ["FailRollout web"]
        world.settle()
        assert versions(world) == ["STABLE", "FAILED", "STABLE"]

    def test_each_that_becomes_healthy_gives_it_the_full_time_again(self) -> None:
        world = updated(instances=2, progress_deadline_ms=60_000)
        world.converge()
        world.wait(50)
        start_new(world, 1)
        assert "FailRollout web" not in world.converge()
        world.wait(59)
        assert "FailRollout web" not in world.converge()
        world.wait(1)
        assert world.converge() == ["FailRollout web"]

    def test_while_there_was_no_brain_no_time_went_by(self) -> None:
        world = updated(instances=2, progress_deadline_ms=60_000)
        world.wait(300)
        world.tended_since = world.board.now
        assert "FailRollout web" not in world.converge()
        assert world.repairs().next_deadline == world.tended_since + 60
        world.wait(60)
        assert world.converge() == ["FailRollout web"]

    def test_without_a_way_back_it_stops_and_says_why(self) -> None:
        world = World()
        world.people.cell("cell-1")
        world.people.lrp("web", 1)
        world.converge()
        crash_until_it_waits(world, 0)
        assert world.converge() == ["FailRollout web"]
        assert world.rollout("web") == "PAUSED"
        reason = world.board.desired_lrp("web").rollout.reason
        assert reason == "web/0 crashed 3 times: exit status 1"
        assert world.converge() == []
        world.wait(30)
        assert world.converge() == ["UnclaimInstance web"]

    def test_where_a_person_wants_to_look_it_stays_as_it_is(self) -> None:
        world = updated(instances=2, on_failure=UpdatePolicy.PAUSE, progress_deadline_ms=1000)
        world.converge()
        world.wait(1)
        world.converge()
        assert world.rollout("web") == "PAUSED"
        assert world.evacuating("web", 1).state == ActualLrp.RUNNING
        assert world.converge() == []

    def test_paused_nothing_more_is_replaced_and_resumed_it_goes_on(self) -> None:
        world = updated(instances=2)
        world.converge()
        world.people.control("web", "PAUSE")
        start_new(world, 1)
        assert world.converge() == ["RetireInstance web"]
        world.settle()
        assert world.rollout("web") == "PAUSED"
        world.wait(3600)
        world.people.control("web", "RESUME")
        world.settle()
        assert world.rollout("web") == "DONE"
