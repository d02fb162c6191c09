"""The brain's shell against a board in memory, on virtual time.

Each scenario is the body of a coroutine; cells obey their rows every 50 ms meanwhile.
"""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from diegod.internal.v1 import command_pb2 as c
from diegod.models.errors import Reason
from diegod.scheduler.brain import Brain
from diegod.scheduler.core.filters import BUILTIN
from diegod.scheduler.lock import BrainLock
from diegod.scheduler.ports import CallbackSender
from diegod.scheduler.strategies.spread import Spread
from diegod.v1.definition_pb2 import CrashPolicy, Dependency, UpdatePolicy
from diegod.v1.record_pb2 import ActualLrp, BrainSettings, Rollout, Task
from diegod.world.ids import SeededIds
from tests.unit.scheduler.board import LOCK, Board, BoardBbs, People
from tests.unit.scheduler.virtual_time import LoopClock, VirtualLoop, run


class LiveBoard(Board):
    """Replicated time goes with the loop's."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        super().__init__()

    @property
    def now(self) -> float:
        return 1_000_000.0 + self._loop.time()

    @now.setter
    def now(self, now: float) -> None:
        """Only the loop moves it."""


class Cluster:
    """A board, its cells and as many brains as the scenario starts."""

    def __init__(self, loop: VirtualLoop) -> None:
        self.loop = loop
        self.board = LiveBoard(loop)
        self.people = People(self.board)
        self.bbs: dict[str, BoardBbs] = {}
        self.clocks: dict[str, LoopClock] = {}
        self.brains: dict[str, Brain] = {}
        self.running: dict[str, asyncio.Task[None]] = {}
        self.cells_obey = True

    def start(
        self, name: str = "brain-1", sender: CallbackSender | None = None, **settings: object
    ) -> Brain:
        bbs = self.bbs[name] = BoardBbs(self.board, f"brain/{name}")
        clock = self.clocks[name] = LoopClock(self.loop)
        for field, value in settings.items():
            setattr(bbs, field, value)
        strategies = {"spread": Spread()}
        brain = Brain(
            bbs, clock, SeededIds(name), name, strategies, BUILTIN, "spread", sender=sender
        )
        self.brains[name] = brain
        self.running[name] = asyncio.create_task(brain.run())
        return brain

    def kill(self, name: str) -> None:
        self.running[name].cancel()

    def expire_lock(self) -> None:
        """As the BBS leader does once the lease ran out there."""
        lock = self.board.lock(LOCK)
        assert lock is not None
        self.board.do("bbs/bbs-1", expire_lock=c.ExpireLock(name=LOCK, token=lock.token))

    async def until(self, true: Callable[[], object], within_s: float) -> float:
        """How long it took."""
        began = self.loop.time()
        while not true():
            self._check()
            assert self.loop.time() - began < within_s, f"not within {within_s} s"
            await asyncio.sleep(0.01)
        return self.loop.time() - began

    async def stays(self, true: Callable[[], object], for_s: float) -> None:
        began = self.loop.time()
        while self.loop.time() - began < for_s:
            self._check()
            assert true(), f"not any more after {self.loop.time() - began:.2f} s"
            await asyncio.sleep(0.05)

    async def cells(self) -> None:
        while True:
            await asyncio.sleep(0.05)
            if self.cells_obey:
                self.people.obey()

    def runs(self, process_guid: str, instances: int) -> Callable[[], bool]:
        def true() -> bool:
            rows = self.board.instances(process_guid)
            return [row.state for row in rows] == [ActualLrp.RUNNING] * instances

        return true

    def task_is(self, guid: str, state: Task.State) -> Callable[[], bool]:
        return lambda: self.board.task(guid).state == state

    def _check(self) -> None:
        """A brain that has crashed fails the test with what it crashed of."""
        for task in self.running.values():
            if task.done() and not task.cancelled():
                task.result()


Scenario = Callable[[Cluster], Awaitable[None]]


def play(scenario: Scenario) -> Cluster:
    loop = VirtualLoop()
    cluster = Cluster(loop)

    async def scene() -> None:
        cells = asyncio.create_task(cluster.cells())
        try:
            await scenario(cluster)
        finally:
            for task in [cells, *cluster.running.values()]:
                task.cancel()
            await asyncio.gather(cells, *cluster.running.values(), return_exceptions=True)

    run(scene(), loop)
    return cluster


def cells_of(cluster: Cluster) -> list[str]:
    """Where instances are, of whatever."""
    return sorted(row.cell_id for row in cluster.board.all(ActualLrp))


class TestWork:
    def test_what_is_desired_runs_in_a_moment(self) -> None:
        async def scenario(cluster: Cluster) -> None:
            cluster.people.cell("cell-1", zone="z1")
            cluster.people.cell("cell-2", zone="z2")
            brain = cluster.start()
            await cluster.until(lambda: brain.status().active, 1.0)
            cluster.people.lrp("web", 4)
            cluster.people.task("backup")
            await cluster.until(cluster.runs("web", 4), 0.5)
            await cluster.until(cluster.task_is("backup", Task.RUNNING), 0.5)
            rows = cluster.board.instances("web")
            assert [row.cell_id for row in rows] == ["cell-1", "cell-2"] * 2
            await cluster.stays(lambda: brain.status().in_flight == 0, 1.0)

        play(scenario)

    def test_every_command_carries_the_lock_and_its_reason(self) -> None:
        async def scenario(cluster: Cluster) -> None:
            cluster.people.cell("cell-1")
            cluster.people.lrp("web", 2)
            brain = cluster.start()
            await cluster.until(cluster.runs("web", 2), 1.0)
            token = brain.status().lock_token
            acquire, *commands = cluster.bbs["brain-1"].submitted
            assert acquire.WhichOneof("command") == "acquire_lock"
            assert {(each.lock_name, each.lock_token) for each in commands} == {(LOCK, token)}
            assert all(each.cause and each.request_id for each in commands)

        play(scenario)

    def test_an_update_does_not_fail_for_want_of_a_brain(self) -> None:
        async def scenario(cluster: Cluster) -> None:
            cluster.people.cell("cell-1")
            cluster.people.lrp("web", 1)
            cluster.start()
            await cluster.until(cluster.runs("web", 1), 1.0)
            cluster.kill("brain-1")
            update = UpdatePolicy(min_healthy_ms=0, progress_deadline_ms=10_000)
            cluster.people.lrp("web", 1, definition="v2", update=update)
            await asyncio.sleep(60)
            cluster.expire_lock()
            cluster.start("brain-2")
            rollout = lambda: cluster.board.desired_lrp("web").rollout  # noqa: E731
            await cluster.until(lambda: rollout().state == Rollout.DONE, 5.0)
            assert not rollout().rolled_back

        play(scenario)

    def test_what_it_goes_by_stands_beside_its_lock(self) -> None:
        async def scenario(cluster: Cluster) -> None:
            cluster.people.cell("cell-1")
            cluster.people.lrp("web", 1)
            cluster.start()
            await cluster.until(cluster.runs("web", 1), 1.0)
            lock = cluster.board.lock(LOCK)
            assert lock is not None
            assert lock.brain == BrainSettings(
                strategy="spread",
                mass_loss_percent=50,
                mass_loss_cells_min=3,
                mass_loss_hold_s=300,
                lease_ttl_s=10,
                take_up_s=10,
                full_pass_s=30,
            )

        play(scenario)

    def test_it_says_and_repeats_nothing_when_there_is_nothing_to_do(self) -> None:
        async def scenario(cluster: Cluster) -> None:
            cluster.people.cell("cell-1")
            cluster.people.lrp("web", 2)
            cluster.start()
            await cluster.until(cluster.runs("web", 2), 1.0)
            await asyncio.sleep(0.5)
            actions = cluster.bbs["brain-1"].actions()
            placed = ["create_instance"] * 2 + ["place_instance"] * 2
            assert actions == [*placed, "finish_rollout"]
            await asyncio.sleep(300)
            assert cluster.bbs["brain-1"].actions() == actions

        play(scenario)

    def test_commands_go_in_bulk_of_at_most_200(self) -> None:
        async def scenario(cluster: Cluster) -> None:
            cluster.people.cell("cell-1", memory_mb=10**6)
            cluster.people.lrp("web", 1200)
            cluster.cells_obey = False
            cluster.start()
            bbs = cluster.bbs["brain-1"]
            await cluster.until(lambda: bbs.actions().count("create_instance") == 1200, 5.0)
            assert max(bbs.calls) == 200
            assert sum(bbs.calls) == len(bbs.submitted)

        play(scenario)

    def test_what_can_not_be_placed_says_why_once_and_is_placed_when_there_is_room(self) -> None:
        async def scenario(cluster: Cluster) -> None:
            cluster.people.cell("cell-1", memory_mb=512)
            cluster.people.task("small", memory_mb=500)
            cluster.people.task("waiting", memory_mb=400)
            brain = cluster.start()
            await cluster.until(cluster.task_is("small", Task.RUNNING), 1.0)
            await asyncio.sleep(100)
            text = cluster.board.task("waiting").placement_error
            assert text == "1 cell: 1 short of memory (nearest: cell-1 lacks 388 MB)"
            assert cluster.bbs["brain-1"].actions().count("refuse_task") == 1
            assert brain.status().waiting == 1
            cluster.people.complete_task("small")
            assert await cluster.until(cluster.task_is("waiting", Task.RUNNING), 2.0) < 1.0

        play(scenario)

    def test_a_new_cell_takes_what_waits(self) -> None:
        async def scenario(cluster: Cluster) -> None:
            cluster.people.lrp("web", 1)
            cluster.start()
            await asyncio.sleep(5)
            assert cluster.board.instances("web")[0].placement_error == "no cell is present"
            cluster.people.cell("cell-1")
            await cluster.until(cluster.runs("web", 1), 1.0)

        play(scenario)

    def test_the_room_of_what_is_on_its_way_is_not_given_away(self) -> None:
        async def scenario(cluster: Cluster) -> None:
            cluster.cells_obey = False
            cluster.people.cell("cell-1", memory_mb=1000)
            cluster.start(watch_lag_s=0.5)
            await asyncio.sleep(3)
            for number in range(4):
                cluster.people.task(f"t{number}", memory_mb=400)
                await asyncio.sleep(0.3)
            await asyncio.sleep(4)
            placed = [t for t in cluster.board.all(Task) if t.placed_cell_id]
            assert len(placed) == 2
            assert cluster.bbs["brain-1"].actions().count("place_task") == 2

        play(scenario)


class TestDependencies:
    def test_what_waits_is_told_so_once_and_is_placed_as_soon_as_it_waits_no_more(self) -> None:
        async def scenario(cluster: Cluster) -> None:
            cluster.people.cell("cell-1")
            cluster.start()
            cluster.people.task("t", depends_on=[Dependency(lrp="db")])
            error = lambda: cluster.board.task("t").placement_error  # noqa: E731
            await cluster.until(lambda: error() == "waits for lrp db: there is none", 1.0)
            await asyncio.sleep(120)
            assert cluster.bbs["brain-1"].actions() == ["refuse_task"]
            cluster.people.lrp("db", 2)
            await cluster.until(lambda: error() == "waits for lrp db: 0 of 2 healthy", 1.0)
            await cluster.until(cluster.runs("db", 2), 1.0)
            await cluster.until(cluster.task_is("t", Task.RUNNING), 0.5)
            assert error() == ""

        play(scenario)

    def test_what_waits_in_vain_fails_at_once(self) -> None:
        async def scenario(cluster: Cluster) -> None:
            cluster.people.cell("cell-1")
            cluster.start()
            cluster.people.task("seed")
            cluster.people.task("t", depends_on=[Dependency(task="seed")])
            await cluster.until(cluster.task_is("seed", Task.RUNNING), 1.0)
            assert cluster.board.task("t").state == Task.PENDING
            cluster.people.lose("cell-1")
            await cluster.until(cluster.task_is("t", Task.COMPLETED), 0.5)
            assert cluster.board.task("t").failure_reason == (
                "task seed failed: cell disappeared before completion"
            )

        play(scenario)


class TestTime:
    def test_a_crashed_instance_is_back_after_its_back_off_to_the_second(self) -> None:
        async def scenario(cluster: Cluster) -> None:
            cluster.people.cell("cell-1")
            cluster.people.lrp("web", 1)
            cluster.start()
            took = []
            for _ in range(4):
                await cluster.until(cluster.runs("web", 1), 2.0)
                cluster.people.crash(cluster.board.instances("web")[0])
                took.append(await cluster.until(cluster.runs("web", 1), 65.0))
            assert [round(t) for t in took] == [0, 0, 30, 60]

        play(scenario)

    def test_a_brain_that_starts_on_a_quiet_cluster_knows_what_is_overdue(self) -> None:
        async def scenario(cluster: Cluster) -> None:
            cluster.people.cell("cell-1")
            cluster.people.task("late", memory_mb=10**6, start_deadline_ms=60_000)
            await asyncio.sleep(3600)
            cluster.start(watch_lag_s=0.5)
            await cluster.until(cluster.task_is("late", Task.COMPLETED), 2.0)
            assert cluster.board.task("late").failure_reason == "not started within time limit"

        play(scenario)

    def test_a_watch_that_begins_anew_does_not_stop_the_clock(self) -> None:
        async def scenario(cluster: Cluster) -> None:
            cluster.people.cell("cell-1")
            cluster.people.lrp("web", 1, crash_policy=CrashPolicy(immediate_restarts=0))
            cluster.start()
            await cluster.until(cluster.runs("web", 1), 2.0)
            cluster.people.crash(cluster.board.instances("web")[0])
            await asyncio.sleep(10)
            cluster.bbs["brain-1"].compacted_below = cluster.board.revision + 1
            cluster.bbs["brain-1"].break_watches()
            assert 18 < await cluster.until(cluster.runs("web", 1), 30.0) < 22

        play(scenario)

    def test_a_placement_that_no_cell_takes_up_goes_to_auction_again(self) -> None:
        async def scenario(cluster: Cluster) -> None:
            cluster.cells_obey = False
            cluster.people.cell("cell-1")
            cluster.people.task("backup")
            cluster.start()
            await cluster.until(lambda: cluster.board.task("backup").attempt, 1.0)
            first = cluster.board.task("backup").attempt
            took = await cluster.until(
                lambda: cluster.board.task("backup").attempt not in (0, first), 12.0
            )
            assert 9.5 < took < 11

        play(scenario)


class TestLostCells:
    def test_an_instance_is_replaced_and_stays_routable_until_then(self) -> None:
        async def scenario(cluster: Cluster) -> None:
            cluster.people.cell("cell-1")
            cluster.people.cell("cell-2")
            cluster.people.lrp("web", 1)
            cluster.start()
            await cluster.until(cluster.runs("web", 1), 1.0)
            cluster.people.lose("cell-1")

            def routable_cells() -> list[str]:
                return [r.cell_id for r in cluster.board.instances("web") if r.routable]

            seen = []

            def replaced() -> bool:
                seen.append(routable_cells())
                return seen[-1] == ["cell-2"]

            await cluster.until(replaced, 1.0)
            assert all(seen)

        play(scenario)

    def test_a_mass_loss_is_waited_out_and_then_repaired(self) -> None:
        async def scenario(cluster: Cluster) -> None:
            for number in (1, 2, 3):
                cluster.people.cell(f"cell-{number}")
            cluster.people.lrp("web", 3)
            brain = cluster.start()
            await cluster.until(cluster.runs("web", 3), 1.0)
            await asyncio.sleep(0.5)
            cluster.people.lose("cell-1", "cell-2")
            before = cluster.bbs["brain-1"].actions()
            await cluster.until(lambda: brain.status().why.startswith("2 of 3 cells"), 1.0)
            await asyncio.sleep(290)
            assert cluster.bbs["brain-1"].actions() == before
            await asyncio.sleep(11)
            assert brain.status().why == ""
            rows = cluster.board.instances("web")
            assert [(row.cell_id, row.state) for row in rows] == [("cell-3", ActualLrp.RUNNING)] * 3

        play(scenario)

    def test_when_enough_come_back_the_rest_is_repaired_at_once(self) -> None:
        async def scenario(cluster: Cluster) -> None:
            for number in (1, 2, 3):
                cluster.people.cell(f"cell-{number}")
                cluster.people.lrp(f"web-{number}", 1)
            cluster.start()
            for number in (1, 2, 3):
                await cluster.until(cluster.runs(f"web-{number}", 1), 1.0)
            assert cells_of(cluster) == ["cell-1", "cell-2", "cell-3"]
            cluster.people.lose("cell-1", "cell-2")
            await asyncio.sleep(60)
            assert cells_of(cluster) == ["cell-1", "cell-2", "cell-3"]
            cluster.people.cell("cell-1")
            await cluster.until(lambda: "cell-2" not in cells_of(cluster), 1.0)
            assert len(cells_of(cluster)) == 3

        play(scenario)

    def test_what_would_replace_an_instance_is_not_placed_while_a_mass_loss_holds(self) -> None:
        async def scenario(cluster: Cluster) -> None:
            cluster.people.cell("cell-1")
            cluster.people.lrp("web", 1, memory_mb=400)
            cluster.start()
            await cluster.until(cluster.runs("web", 1), 1.0)
            for number in (2, 3, 4):
                cluster.people.cell(f"cell-{number}", memory_mb=100)
            cluster.people.lose("cell-1")
            await cluster.until(lambda: len(cluster.board.instances("web")) == 2, 1.0)
            cluster.people.lose("cell-2", "cell-3")
            cluster.people.cell("cell-5")
            cluster.people.lrp("new", 1)
            await cluster.until(cluster.runs("new", 1), 1.0)
            states = sorted(row.state for row in cluster.board.instances("web"))
            assert states == [ActualLrp.UNCLAIMED, ActualLrp.RUNNING]
            await cluster.stays(lambda: cells_of(cluster) == ["", "cell-1", "cell-5"], 290)
            await cluster.until(cluster.runs("web", 1), 20)

        play(scenario)


class TestTheLock:
    def test_one_acts_and_the_other_stands_by(self) -> None:
        async def scenario(cluster: Cluster) -> None:
            first = cluster.start("brain-1")
            await cluster.until(lambda: first.status().active, 1.0)
            second = cluster.start("brain-2")
            cluster.people.cell("cell-1")
            cluster.people.lrp("web", 1)
            await cluster.until(cluster.runs("web", 1), 1.0)
            await asyncio.sleep(60)
            assert first.status().active
            assert not second.status().active
            assert second.status().why == 'lock "brain" is held by brain/brain-1'
            assert cluster.bbs["brain-2"].actions() == []

        play(scenario)

    def test_the_other_takes_over_when_the_lease_of_a_killed_one_has_run_out(self) -> None:
        async def scenario(cluster: Cluster) -> None:
            first, second = cluster.start("brain-1"), cluster.start("brain-2")
            await cluster.until(lambda: first.status().active or second.status().active, 1.0)
            active, other = (first, second) if first.status().active else (second, first)
            cluster.kill(active.status().name)
            cluster.people.cell("cell-1")
            cluster.people.lrp("web", 1)
            await cluster.stays(lambda: not other.status().active, 10)
            cluster.expire_lock()
            await cluster.until(cluster.runs("web", 1), 2.0)
            assert other.status().active

        play(scenario)

    def test_a_brain_that_is_stopped_gives_the_lock_back(self) -> None:
        async def scenario(cluster: Cluster) -> None:
            first = cluster.start("brain-1")
            await cluster.until(lambda: first.status().active, 1.0)
            second = cluster.start("brain-2")
            first.stop()
            await cluster.until(cluster.running["brain-1"].done, 1.0)
            await cluster.until(lambda: second.status().active, 1.5)

        play(scenario)

    def test_without_an_answered_renewal_it_stops_before_its_ttl_is_over(self) -> None:
        async def scenario(cluster: Cluster) -> None:
            cluster.people.cell("cell-1")
            brain = cluster.start()
            await cluster.until(lambda: brain.status().active, 1.0)
            await asyncio.sleep(5)
            left_s = brain.status().lease_left_s
            cluster.bbs["brain-1"].renewals_fail = True
            assert 6 < left_s <= 10
            await cluster.stays(lambda: brain.status().active, left_s - 0.1)
            await asyncio.sleep(0.2)
            assert not brain.status().active
            cluster.people.task("late")  # submitting would still work
            await asyncio.sleep(5)
            assert cluster.board.task("late").attempt == 0
            assert cluster.bbs["brain-1"].actions() == []

        play(scenario)

    def test_after_a_suspension_of_the_machine_it_does_not_act_on_an_old_lease(self) -> None:
        async def scenario(cluster: Cluster) -> None:
            cluster.people.cell("cell-1")
            brain = cluster.start()
            await cluster.until(lambda: brain.status().active, 1.0)
            await asyncio.sleep(1)
            cluster.clocks["brain-1"].suspended_s = 60
            cluster.bbs["brain-1"].renewals_fail = True
            cluster.people.task("late")
            await asyncio.sleep(5)
            assert cluster.bbs["brain-1"].actions() == []

        play(scenario)

    def test_one_whose_lock_was_given_away_steps_down_and_stands_by(self) -> None:
        async def scenario(cluster: Cluster) -> None:
            cluster.people.cell("cell-1")
            brain = cluster.start()
            await cluster.until(lambda: brain.status().active, 1.0)
            await asyncio.sleep(1)
            cluster.expire_lock()
            cluster.board.do("brain/brain-9", acquire_lock=c.AcquireLock(name=LOCK))
            cluster.people.lrp("web", 1)  # its command is refused before its renewal is
            await cluster.until(lambda: not brain.status().active, 0.5)
            assert cluster.board.instances("web") == []
            cluster.expire_lock()
            await cluster.until(cluster.runs("web", 1), 3.0)

        play(scenario)

    def test_an_idle_one_learns_of_it_with_its_next_renewal(self) -> None:
        async def scenario(cluster: Cluster) -> None:
            brain = cluster.start()
            await cluster.until(lambda: brain.status().active, 1.0)
            await asyncio.sleep(1)
            cluster.expire_lock()
            cluster.board.do("brain/brain-9", acquire_lock=c.AcquireLock(name=LOCK))
            await cluster.until(lambda: not brain.status().active, 3.1)
            assert cluster.bbs["brain-1"].actions() == []

        play(scenario)

    def test_the_lease_counts_from_the_sending_of_a_renewal(self) -> None:
        async def scenario(cluster: Cluster) -> None:
            brain = cluster.start()
            await cluster.until(lambda: brain.status().active, 1.0)
            cluster.bbs["brain-1"].lag_s = 2.0
            await asyncio.sleep(3)
            await cluster.stays(lambda: 0 < brain.status().lease_left_s <= 8, 60)

        play(scenario)

    def test_a_lock_that_was_got_longer_ago_than_its_ttl_is_not_trusted(self) -> None:
        async def scenario(cluster: Cluster) -> None:
            bbs = BoardBbs(cluster.board)
            lock = BrainLock(bbs, LoopClock(cluster.loop), SeededIds(1))
            acquiring = asyncio.create_task(lock.acquire())
            bbs.submit_fails = Reason.UNKNOWN_OUTCOME
            await asyncio.sleep(11)
            bbs.submit_fails = None
            await cluster.stays(lambda: not acquiring.done(), 5)
            cluster.expire_lock()
            await cluster.until(acquiring.done, 2.0)
            assert acquiring.result().token == cluster.board.lock(LOCK).token

        play(scenario)

    def test_it_acts_once_it_has_seen_all_that_was_done_before_it(self) -> None:
        async def scenario(cluster: Cluster) -> None:
            cluster.people.lrp("web", 1)
            cluster.start(watch_lag_s=2.0)
            await cluster.until(lambda: cluster.brains["brain-1"].status().active, 1.0)
            await cluster.stays(lambda: not cluster.board.instances("web"), 1.5)
            await cluster.until(lambda: cluster.board.instances("web"), 1.0)

        play(scenario)

    def test_a_lock_got_without_knowing_it_is_asked_for_under_the_same_request(self) -> None:
        async def scenario(cluster: Cluster) -> None:
            brain = cluster.start(submit_fails=Reason.UNKNOWN_OUTCOME)
            await asyncio.sleep(0.5)
            cluster.bbs["brain-1"].submit_fails = Reason.UNAVAILABLE
            await asyncio.sleep(3)
            cluster.bbs["brain-1"].submit_fails = None
            await cluster.until(lambda: brain.status().active, 2.0)
            requests = {each.request_id for each in cluster.bbs["brain-1"].submitted}
            assert len(requests) == 1
            assert brain.status().lease_left_s < 10

        play(scenario)


class TestABbsThatFails:
    def started(self, cluster: Cluster) -> BoardBbs:
        cluster.people.cell("cell-1")
        cluster.start()
        return cluster.bbs["brain-1"]

    def test_an_unknown_outcome_that_took_place_is_not_repeated(self) -> None:
        async def scenario(cluster: Cluster) -> None:
            bbs = self.started(cluster)
            await cluster.until(lambda: cluster.brains["brain-1"].status().active, 1.0)
            bbs.submit_fails = Reason.UNKNOWN_OUTCOME
            cluster.people.lrp("web", 3)
            await cluster.until(lambda: len(cluster.board.instances("web")) == 3, 1.0)
            await cluster.until(cluster.runs("web", 3), 1.0)
            await asyncio.sleep(60)
            placed = ["create_instance"] * 3 + ["place_instance"] * 3
            assert bbs.actions() == [*placed, "finish_rollout"]

        play(scenario)

    def test_an_unknown_outcome_that_did_not_take_place_is_decided_again(self) -> None:
        async def scenario(cluster: Cluster) -> None:
            bbs = self.started(cluster)
            await cluster.until(lambda: cluster.brains["brain-1"].status().active, 1.0)
            bbs.submit_fails, bbs.applies_though_unknown = Reason.UNKNOWN_OUTCOME, False
            cluster.people.lrp("web", 1)
            await asyncio.sleep(1)
            bbs.submit_fails = None
            await cluster.stays(lambda: not cluster.board.instances("web"), 8.0)
            await cluster.until(cluster.runs("web", 1), 3.0)

        play(scenario)

    def test_what_is_not_known_to_have_failed_is_not_placed_twice(self) -> None:
        async def scenario(cluster: Cluster) -> None:
            bbs = self.started(cluster)
            await cluster.until(lambda: cluster.brains["brain-1"].status().active, 1.0)
            bbs.submit_fails, bbs.applies_though_unknown = Reason.UNKNOWN_OUTCOME, False
            cluster.people.task("backup")
            await asyncio.sleep(1)
            bbs.submit_fails = None
            cluster.people.task("other")
            await cluster.until(cluster.task_is("other", Task.RUNNING), 1.0)
            await cluster.stays(lambda: not cluster.board.task("backup").attempt, 7.0)
            await cluster.until(cluster.task_is("backup", Task.RUNNING), 3.0)

        play(scenario)

    def test_a_placement_that_failed_is_tried_again_also_for_what_was_refused_before(self) -> None:
        async def scenario(cluster: Cluster) -> None:
            bbs = self.started(cluster)
            cluster.people.task("big", memory_mb=5000)
            await cluster.until(lambda: cluster.board.task("big").placement_error, 1.0)
            bbs.submit_fails = Reason.UNAVAILABLE
            cluster.people.cell("cell-2", memory_mb=6000)
            await asyncio.sleep(3)
            bbs.submit_fails = None
            await cluster.until(cluster.task_is("big", Task.RUNNING), 2.5)

        play(scenario)

    def test_what_was_certainly_not_applied_is_tried_again_within_2_s(self) -> None:
        async def scenario(cluster: Cluster) -> None:
            bbs = self.started(cluster)
            await cluster.until(lambda: cluster.brains["brain-1"].status().active, 1.0)
            bbs.submit_fails = Reason.UNAVAILABLE
            cluster.people.lrp("web", 1)
            cluster.people.task("backup")
            await asyncio.sleep(5)
            bbs.submit_fails = None
            await cluster.until(cluster.runs("web", 1), 2.0)
            await cluster.until(cluster.task_is("backup", Task.RUNNING), 2.0)

        play(scenario)

    def test_after_a_failure_the_rest_of_a_bulk_waits(self) -> None:
        async def scenario(cluster: Cluster) -> None:
            bbs = self.started(cluster)
            await cluster.until(lambda: cluster.brains["brain-1"].status().active, 1.0)
            cluster.cells_obey = False
            bbs.submit_fails, bbs.calls = Reason.UNAVAILABLE, []
            cluster.people.lrp("web", 1200)
            await asyncio.sleep(0.9)
            assert bbs.calls == [200]
            bbs.submit_fails = None
            await cluster.until(lambda: len(cluster.board.instances("web")) == 1200, 3.0)

        play(scenario)

    def test_a_watch_that_ends_goes_on_where_it_was(self) -> None:
        async def scenario(cluster: Cluster) -> None:
            bbs = self.started(cluster)
            await cluster.until(lambda: cluster.brains["brain-1"].status().active, 1.0)
            bbs.break_watches()
            cluster.people.lrp("web", 2)
            await cluster.until(cluster.runs("web", 2), 1.0)
            assert bbs.watches == 2

        play(scenario)

    def test_a_watch_that_is_too_old_begins_anew_and_sees_what_is_gone(self) -> None:
        async def scenario(cluster: Cluster) -> None:
            bbs = self.started(cluster)
            cluster.people.lrp("old", 1)
            await cluster.until(cluster.runs("old", 1), 1.0)
            bbs.is_cut_off = True
            await asyncio.sleep(0.5)
            cluster.people.remove_lrp("old")
            cluster.people.lrp("new", 2)
            bbs.compacted_below = cluster.board.revision
            bbs.is_cut_off = False
            await cluster.until(cluster.runs("new", 2), 2.0)
            await cluster.until(cluster.runs("old", 0), 2.0)

        play(scenario)

    def test_a_brain_without_a_bbs_waits_and_says_so(self) -> None:
        async def scenario(cluster: Cluster) -> None:
            brain = cluster.start(is_cut_off=True)
            await asyncio.sleep(30)
            assert not brain.status().active
            cluster.bbs["brain-1"].is_cut_off = False
            await cluster.until(lambda: brain.status().active, 2.0)

        play(scenario)


def test_the_same_seed_gives_the_same_history() -> None:
    async def scenario(cluster: Cluster) -> None:
        for number in range(3):
            cluster.people.cell(f"cell-{number}", zone=f"z{number % 2}")
        cluster.start("brain-1")
        cluster.start("brain-2")
        for number in range(5):
            cluster.people.lrp(f"web-{number}", number)
            cluster.people.task(f"task-{number}")
            await asyncio.sleep(0.7)
        cluster.people.lose("cell-1")
        await asyncio.sleep(40)

    first, second = play(scenario).board.history, play(scenario).board.history
    assert first == second
    assert len(first) > 50


def test_an_unknown_default_strategy_is_refused_at_once() -> None:
    async def scenario(cluster: Cluster) -> None:
        bbs, clock = BoardBbs(cluster.board), LoopClock(cluster.loop)
        with pytest.raises(ValueError, match=r'no placement strategy "magic"; there are: spread'):
            Brain(bbs, clock, SeededIds(1), "b", {"spread": Spread()}, BUILTIN, "magic")

    play(scenario)
