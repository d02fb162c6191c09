"""The whole ring in one process on virtual time: one seed, one history.

Three members, two brains, three cells and clients, made of the product's classes (`roles`), on a
network (`network`) and machines (`host`) that fail (`nemesis`). After at least 30 seconds of faults
a majority of the members, chosen by chance, is healed and the rest stays dead; then everything that
is desired must become so. `Report.violations` is empty when every promise held.
"""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import astuple
from pathlib import Path
from typing import Any

from diegod.internal.v1.command_pb2 import Command
from diegod.raftbbs.raft.api import Timing
from diegod.v1.lrp_pb2 import ControlLrpRequest
from diegod.v1.record_pb2 import Change
from tests.sim import checkers
from tests.sim.checkers import Auditor, StartChecks
from tests.sim.desired import shortcomings
from tests.sim.floor import Floor
from tests.sim.history import FORMAT, History
from tests.sim.host import EPOCH_S, Machine
from tests.sim.loop import VirtualLoop
from tests.sim.nemesis import Weather
from tests.sim.ring_faults import COMMON, RingNemesis
from tests.sim.roles import Build, SimBrain, SimCell, SimMember, voter
from tests.sim.rows import Row
from tests.sim.sink import Sink
from tests.sim.slots import SlotBook
from tests.sim.stage import Report, Stage, one_story, told
from tests.sim.standings import Standings
from tests.sim.terrain import plan_cells
from tests.sim.workload import Workload

#: In so many of the seeds the members keep production's heartbeats; in the others, slower ones.
_PRODUCTION_TIMING = 0.15
FAULTS_S = (36.0, 44.0)
STORY_S = 62.0
#: In so many of the seeds a minute begins so soon.
_TWO_MINUTES = 0.3
TO_A_MINUTE_S = (6.0, 9.0)
CONVERGED_WITHIN_S = 60.0
WRITE_WITHIN_S = 10.0
STABLE_FOR_S = 1.0
_LOOK_EVERY_S = 0.5
_COMPARE_EVERY_S = 5.0


#: What must happen at all in a block of seeds, beside the faults.
COUNTS = (
    "leader changes",
    "tasks started",
    "tasks of unknown outcome",
    "tasks that waited for another",
    "callbacks delivered",
    "callbacks given up",
    "slots fired",
    "slots skipped",
    "slots missed",
    "tasks dispatched",
    "guids refused",
    "instances started",
    "rollouts done",
    "rollouts failed",
    "rollouts rolled back",
    "promotions",
    "instances evacuated",
    "instances reinstated",
    "instances suspected",
    "instances retired",
    "cells drained",
    "cells removed",
    "short of room",
)


class Ring(Stage):
    def __init__(
        self, seed: int | str, folder: Path, loop: VirtualLoop, verbose: bool, weather: Weather
    ) -> None:
        super().__init__(seed, loop, verbose)
        self.weather = weather
        self.faults_end_s = self.chance("times").uniform(*FAULTS_S)
        # Minutes, at which schedules are due, come at any moment of a story; in some seeds early,
        # and the story is long enough for the next one to find the first one's task under way.
        self.begins_s = self.chance("times").uniform(0.0, 3600.0)
        self.story_s = STORY_S
        if self.chance("times").random() < _TWO_MINUTES:
            self.story_s += TO_A_MINUTE_S[1]
            to_s = self.chance("times").uniform(*TO_A_MINUTE_S)
            self.begins_s -= (EPOCH_S + self.begins_s + to_s) % 60.0
        build = Build()
        if self.chance("timing").random() < _PRODUCTION_TIMING:
            build = Build(timing=Timing())
        self.history = History(self.complain)
        self.starts = StartChecks(self)
        self.floor = Floor(self)
        self.slots = SlotBook(self.complain, self.history.rows)
        self.standings = Standings(self)
        #: Somebody waits for the moment at which a program is about to be started.
        self.on_starting: Callable[[SimCell, str], None] = _nobody_waits
        self.history.judge = self._judge
        names = ("bbs-a", "bbs-b", "bbs-c")
        self.voters = [voter(name) for name in names]
        self.members = [SimMember(self, name, folder / name, build) for name in names]
        self.brains = [SimBrain(self, name) for name in ("brain-a", "brain-b")]
        plans = plan_cells(self.chance("terrain"))
        self.cells = [SimCell(self, plan) for plan in plans]
        self.roles = [*self.members, *self.brains, *self.cells]
        self.sink = Sink(self)
        self.people = Machine("people", loop, 77.0)
        self.workload = Workload(self, self.client("alice", self.people))
        self.auditor = Auditor(self.history, self.client("auditor", self.people))

    def _judge(self, command: Command, before: Row | None, change: Change) -> None:
        self.floor.judge(command, before, change)
        self.slots.judge(command, before, change)
        self.starts.judge(command, before, change)
        self._count(command, change)

    def _count(self, command: Command, change: Change) -> None:
        """What has come about, by the commands that were carried out."""
        kind = command.WhichOneof("command") or ""
        if name := _COUNTED.get(kind):
            self.counts[name] += 1
        if kind in ("fail_task", "complete_task"):
            self.counts["tasks of unknown outcome"] += change.task.outcome_unknown
        if kind == "start_task":
            self.counts["tasks that waited for another"] += len(change.task.depends_on)
        if kind == "control_lrp":
            promoted = command.control_lrp.verb == ControlLrpRequest.PROMOTE
            self.counts["promotions"] += promoted
        if kind == "fail_rollout":
            self.counts["rollouts rolled back"] += change.desired_lrp.rollout.rolled_back

    def machine_names(self) -> list[str]:
        return [*super().machine_names(), self.people.name]

    def living_cells(self) -> list[SimCell]:
        return [cell for cell in self.cells if cell.may_live]

    # The story.

    async def tell(self) -> float:
        """Faults, then the recovery; how long that took."""
        self.start()
        if not await self.until(lambda: self.history.cluster_format >= FORMAT, 10.0, 0.05):
            self.complain("the members do not agree on their format")
        work = self.clients["alice"].spawn(self.workload.run(self.faults_end_s))
        await RingNemesis(self).strike_until(self.faults_end_s, self.weather)
        healed_at = self.loop.time()
        self._heal()
        await self._must_write()
        await asyncio.wait([work], timeout=30.0)
        if work.done():
            work.result()
        else:
            self.complain("the clients did not come to an end")
        await self._settle()
        await self._must_converge(healed_at)
        converged_after_s = self.loop.time() - healed_at
        await self._must_last()
        await self._must_agree()
        self._check_end()
        return converged_after_s

    def start(self) -> None:
        """Everything, and those who watch."""
        for role in self.roles:
            role.start()
        self.clients["auditor"].main(self.auditor.watch())
        self._compare_again()
        self.standings.sample()

    def _heal(self) -> None:
        """A majority of the members, and all cells but perhaps a lost one; the rest is dead."""
        chance = self.chance("healing")
        self.round += 1
        dead = chance.choice(self.members)
        dead.may_live = False
        dead.kill()
        lost = [cell for cell in self.cells if not cell.is_up and not cell.host.specs()]
        if lost and chance.random() < 0.5:
            lost[0].may_live = False
        elif chance.random() < 0.3:
            gone = chance.choice(self.cells)
            gone.lose_machine()
            gone.may_live = False
        self.note(f"heal without {[role.name for role in self.roles if not role.may_live]}")
        self.network.heal()
        for role in self.roles:
            if role.process is not None:
                role.process.turns_left = 0
        for member in self.members:
            member.dies_before_commit = member.dies_after_commit = 0
        for role in self.roles:
            if role.is_paused and role.process is not None:
                role.process.resume()
            role.start()

    async def _must_write(self) -> None:
        probe = self.clients["alice"].spawn(self.workload.probe())
        await asyncio.wait([probe], timeout=WRITE_WITHIN_S)
        if probe.done():
            probe.result()
        if not self.workload.tasks["probe"].acknowledged:
            self.complain(f"no write succeeded within {WRITE_WITHIN_S:g} s")

    async def _settle(self) -> None:
        """People set right what can't work: the last that changes anything."""
        work = self.clients["alice"].spawn(self.workload.settle())
        await asyncio.wait([work], timeout=30.0)
        if not work.done():
            self.complain("the last writes did not come to an end")
        elif work.exception() is not None:
            work.result()

    async def _must_last(self) -> None:
        """So that every story has its length; what is as desired stays so."""
        left_s = self.story_s - self.loop.time()
        if left_s > 0 and not self.violations:
            await asyncio.sleep(left_s)
            self._must_be_as_desired("it did not last")

    async def _must_converge(self, healed_at: float) -> None:
        stable_since: float | None = None
        why: list[str] = []
        while self.loop.time() < healed_at + CONVERGED_WITHIN_S:
            why = self._shortcomings()
            if why:
                stable_since = None
            elif stable_since is None:
                stable_since = self.loop.time()
            elif self.loop.time() - stable_since >= STABLE_FOR_S:
                return
            await asyncio.sleep(_LOOK_EVERY_S)
        self.complain(f"not as desired after {CONVERGED_WITHIN_S:g} s: {'; '.join(why)}")

    def _shortcomings(self) -> list[str]:
        """What is not as desired, by the newest rows."""
        if not any(member.leads for member in self.members):
            return ["there is no leader"]
        return list(shortcomings(self))

    def _must_be_as_desired(self, otherwise: str) -> None:
        if why := self._shortcomings():
            self.complain(f"{otherwise}: {'; '.join(why)}")

    async def _must_agree(self) -> None:
        """The living members come to the same state, and the watcher hears of all of it."""
        for _ in range(20):
            living = [member.member.counters() for member in self.members if member.member]
            revisions = {counters.revision for counters in living}
            agreed = len({astuple(counters) for counters in living}) == 1
            if agreed and self.auditor.revision >= self.history.revision:
                return
            await asyncio.sleep(0.5)
        watched = f"the watcher is at {self.auditor.revision} of {self.history.revision}"
        self.complain(f"no agreement: {sorted(revisions)}, {watched}")

    def _check_end(self) -> None:
        checkers.compare_replicas(self)
        for member in self.members:
            if member.is_up:
                state = member.state()
                with state.transaction:
                    self.workload.check(state)
                    checkers.check_tasks(self, state)
        checkers.check_callbacks(self)
        self.violations.extend(self.network.complaints)

    def _compare_again(self) -> None:
        checkers.compare_replicas(self)
        self.network.at(_COMPARE_EVERY_S, self._compare_again)

    def report(self, converged_after_s: float) -> Report:
        counts = self.counts
        counts["leader changes"] = max(0, len(self.history.leaders) - 1)
        counts["slots fired"] = len(self.slots.fired)
        counts["tasks dispatched"] = counts["TaskSchedule Dispatch"]
        counts["cells drained"] = counts["cell drain"]
        counts["cells removed"] = counts["cell remove"]
        counts["tasks"] = len(self.workload.tasks)
        counts["tasks started"] = len(self.starts.tasks)
        counts["instances started"] = self.starts.instances
        counts["LRPs"] = len(self.workload.processes)
        counts["acknowledged writes"] = self.workload.acknowledged
        counts["writes of unknown outcome"] = self.workload.unknown
        counts["slots skipped"] = self.slots.skipped
        counts["slots missed"] = self.slots.missed
        counts["log entries"] = len(self.history.payloads)
        counts["messages lost"] = self.network.counts["messages lost"]
        return super().report(converged_after_s)


_COUNTED = {
    "finish_rollout": "rollouts done",
    "fail_rollout": "rollouts failed",
    "evacuate_instance": "instances evacuated",
    "reinstate_instance": "instances reinstated",
    "suspect_instance": "instances suspected",
}


def _nobody_waits(cell: SimCell, handle: str) -> None:
    """While nothing goes wrong."""


Tell = Callable[[Ring], Coroutine[Any, Any, float]]


def simulate(
    seed: int | str, *, verbose: bool = False, weather: Weather = COMMON, tell: Tell = Ring.tell
) -> Report:
    """Tell the story of one seed, or another story from the same beginning."""
    with one_story() as place:
        return _told(seed, *place, verbose, weather, tell)


def _told(
    seed: int | str, loop: VirtualLoop, folder: Path, verbose: bool, weather: Weather, tell: Tell
) -> Report:
    ring = Ring(seed, folder, loop, verbose, weather)
    return told(ring, tell(ring))
