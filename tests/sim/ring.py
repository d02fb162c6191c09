"""The whole ring in one process on virtual time: one seed, one history.

Three members, two brains, three cells and clients, made of the product's classes (`roles`), on a
network (`network`) and machines (`host`) that fail (`nemesis`). After at least 30 seconds of faults
a majority of the members, chosen by chance, is healed and the rest stays dead; then everything that
is desired must become so. `Report.violations` is empty when every promise held.
"""

import asyncio
import gc
import hashlib
import logging
import random
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass, field
from pathlib import Path
from typing import Any

import structlog

from diegod.rpc.client import ClusterClient
from diegod.security.identity import Principal, Role
from diegod.world.ids import SeededIds
from tests.sim import checkers
from tests.sim.checkers import Auditor, StartChecks
from tests.sim.dialer import SimDialer
from tests.sim.history import History
from tests.sim.host import Machine, Process
from tests.sim.loop import TimeStandsStillError, VirtualLoop
from tests.sim.nemesis import COMMON, Nemesis, Weather
from tests.sim.network import Network
from tests.sim.roles import CLUSTER, SimBrain, SimCell, SimMember, SimRole, voter
from tests.sim.workload import Workload

FAST_DISK = Path("/dev/shm")
#: In so many of the seeds the members keep production's heartbeats; in the others, slower ones.
_PRODUCTION_TIMING = 0.15
FAULTS_S = (30.0, 34.0)
CONVERGED_WITHIN_S = 60.0
WRITE_WITHIN_S = 10.0
STABLE_FOR_S = 1.0
_LOOK_EVERY_S = 0.5
_COMPARE_EVERY_S = 5.0
_VIOLATIONS_MAX = 10


@dataclass
class Report:
    """What came of one seed."""

    seed: str
    violations: list[str]
    digest: str
    faults: Counter[str]
    counts: Counter[str]
    simulated_s: float = 0.0
    converged_after_s: float = 0.0
    notes: list[str] = field(default_factory=list)


class TooManyViolationsError(Exception):
    """The history is broken; to go on would only repeat it."""


class Ring:
    def __init__(
        self, seed: int | str, folder: Path, loop: VirtualLoop, verbose: bool, weather: Weather
    ) -> None:
        self.seed = str(seed)
        self.loop = loop
        self.violations: list[str] = []
        self.notes: list[str] = []
        self.faults: Counter[str] = Counter()
        self.counts: Counter[str] = Counter()
        self.processes: list[Process] = []
        self.round = 0
        self.clients: dict[str, Process] = {}
        self.weather = weather
        self._verbose = verbose
        self._chances: dict[str, random.Random] = {}
        self._trace = hashlib.blake2b(digest_size=16)
        self.network = Network(loop, self.chance("network"), self._trace)
        self.faults_end_s = self.chance("times").uniform(*FAULTS_S)
        self.has_production_timing = self.chance("timing").random() < _PRODUCTION_TIMING
        self.history = History(self.complain)
        self.starts = StartChecks(self)
        names = ("bbs-a", "bbs-b", "bbs-c")
        self.voters = [voter(name) for name in names]
        self.members = [SimMember(self, name, folder / name) for name in names]
        self.brains = [SimBrain(self, name) for name in ("brain-a", "brain-b")]
        zones = {"cell-a": "z1", "cell-b": "z1", "cell-c": "z2"}
        self.cells = [SimCell(self, name, zone) for name, zone in zones.items()]
        self.roles: list[SimRole] = [*self.members, *self.brains, *self.cells]
        self.people = Machine("people", loop, 77.0)
        self.workload = Workload(self, self._client("alice"))
        self.auditor = Auditor(self.history, self._client("auditor"))

    # What its parts ask of it.

    def chance(self, concern: str) -> random.Random:
        """A source of chance for one concern: one more draw here changes nothing there."""
        if concern not in self._chances:
            self._chances[concern] = random.Random(f"{self.seed} {concern}")
        return self._chances[concern]

    def note(self, what: str) -> None:
        self.network.note(what)
        if self._verbose:
            self.notes.append(f"{self.loop.time():9.4f} {what}")

    def complain(self, what: str) -> None:
        self.violations.append(f"at {self.loop.time():.3f} s: {what}")
        self.note(f"VIOLATION: {what}")
        if len(self.violations) >= _VIOLATIONS_MAX:
            self.loop.stop()

    def machine_names(self) -> list[str]:
        return [*(role.name for role in self.roles), self.people.name]

    def living_cells(self) -> list[SimCell]:
        return [cell for cell in self.cells if cell.may_live]

    def revive_later(self, role: SimRole, seconds: float | None = None) -> None:
        delay_s = self.chance("revivals").uniform(0.2, 5.0) if seconds is None else seconds
        self.network.at(delay_s, role.start)

    def process_ended(self, process: Process, error: BaseException | None) -> None:
        """A role's own process must not end; here it is started again, as a supervisor would."""
        self.complain(f"{process.name} ended: {error!r}")
        for role in self.roles:
            if role.process is process:
                role.kill()
                self.revive_later(role, 1.0)

    def _client(self, name: str) -> ClusterClient:
        process = Process(name, self.people, self.loop, self.process_ended)
        self.processes.append(process)
        self.clients[name] = process
        dialer = SimDialer(self.network, process, Principal(CLUSTER, Role.USER, name))
        addresses = [each.api_address for each in self.voters]
        return ClusterClient(dialer, addresses, self.people, SeededIds(f"{self.seed} {name}"))

    # The story.

    async def tell(self) -> float:
        """Faults, then the recovery; how long that took."""
        self.start()
        work = self.clients["alice"].spawn(self.workload.run(self.faults_end_s))
        await Nemesis(self).strike_until(self.faults_end_s, self.weather)
        healed_at = self.loop.time()
        self._heal()
        await self._must_write()
        await asyncio.wait([work], timeout=30.0)
        if work.done():
            work.result()
        else:
            self.complain("the clients did not come to an end")
        await self._must_converge(healed_at)
        converged_after_s = self.loop.time() - healed_at
        await self._must_agree()
        self._check_end()
        return converged_after_s

    def start(self) -> None:
        """Everything, and those who watch."""
        for role in self.roles:
            role.start()
        self.clients["auditor"].main(self.auditor.watch())
        self._compare_again()

    async def until(self, done: Callable[[], bool], seconds: float) -> bool:
        """Whether it became so within that time."""
        end = self.loop.time() + seconds
        while not done() and self.loop.time() < end:
            await asyncio.sleep(0.001)
        return done()

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

    async def _must_converge(self, healed_at: float) -> None:
        stable_since: float | None = None
        why = ["there is no leader"]
        while self.loop.time() < healed_at + CONVERGED_WITHIN_S:
            leader = next((member for member in self.members if member.leads), None)
            if leader is not None:
                state = leader.state()
                with state.transaction:
                    why = list(checkers.shortcomings(self, state))
            if leader is None or why:
                stable_since = None
            elif stable_since is None:
                stable_since = self.loop.time()
            elif self.loop.time() - stable_since >= STABLE_FOR_S:
                return
            await asyncio.sleep(_LOOK_EVERY_S)
        self.complain(f"not as desired after {CONVERGED_WITHIN_S:g} s: {'; '.join(why)}")

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
        self.violations.extend(self.network.complaints)

    def _compare_again(self) -> None:
        checkers.compare_replicas(self)
        self.network.at(_COMPARE_EVERY_S, self._compare_again)

    def close(self) -> None:
        for role in self.roles:
            role.kill()
        for process in self.processes:
            process.bury()

    def report(self, converged_after_s: float) -> Report:
        counts = self.counts
        counts["leader changes"] = max(0, len(self.history.leaders) - 1)
        counts["tasks"] = len(self.workload.tasks)
        counts["tasks started"] = len(self.starts.tasks)
        counts["instances started"] = self.starts.instances
        counts["LRPs"] = len(self.workload.processes)
        counts["acknowledged writes"] = self.workload.acknowledged
        counts["writes of unknown outcome"] = self.workload.unknown
        counts["log entries"] = len(self.history.payloads)
        counts["messages lost"] = self.network.counts["messages lost"]
        counts["turns"] = self.loop.turns
        self._trace.update(repr((self.violations, sorted(counts.items()))).encode())
        return Report(
            self.seed,
            self.violations,
            self._trace.hexdigest(),
            self.faults,
            counts,
            self.loop.time(),
            converged_after_s,
            self.notes,
        )


Tell = Callable[[Ring], Coroutine[Any, Any, float]]


def simulate(
    seed: int | str, *, verbose: bool = False, weather: Weather = COMMON, tell: Tell = Ring.tell
) -> Report:
    """Tell the story of one seed, or another story from the same beginning."""
    folder = Path(tempfile.mkdtemp(dir=FAST_DISK if FAST_DISK.is_dir() else None, prefix="ring-"))
    try:
        with _one_story() as loop:
            return _story(Ring(seed, folder, loop, verbose, weather), tell)
    finally:
        shutil.rmtree(folder)


def _story(ring: Ring, tell: Tell) -> Report:
    loop = ring.loop
    loop.set_exception_handler(lambda _, context: ring.complain(str(context)))
    try:
        return ring.report(_told(ring, tell))
    finally:
        loop.abandon()
        ring.close()


def _told(ring: Ring, tell: Tell) -> float:
    try:
        return ring.loop.run_until_complete(tell(ring))
    except TimeStandsStillError as error:
        ring.complain(f"time stands still {error}")
    except RuntimeError:
        if not ring.violations:  # the loop is stopped when there are too many of them
            raise
    return 0.0


@contextmanager
def _one_story() -> Iterator[VirtualLoop]:
    """A loop of its own, without what would make one run differ from the next or disturb others.

    A generator that the collector finds unreachable sooner or later would change the story, so it
    is off meanwhile; and what is collected afterwards, in the middle of its work, says nothing.
    """
    loop, was_collecting, logging_before = VirtualLoop(), gc.isenabled(), structlog.get_config()
    # A simulation has its own trace; to format what the roles log would take half its time.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    gc.disable()
    gc.freeze()
    asyncio.set_event_loop(loop)
    try:
        yield loop
    finally:
        gc.collect()
        asyncio.set_event_loop(None)
        loop.close()
        gc.unfreeze()
        structlog.configure(**logging_before)
        if was_collecting:
            gc.enable()
