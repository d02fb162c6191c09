"""What every simulation stands on: virtual time, a network, processes on machines, and one trace.

One seed is one history. `Ring` puts all roles on this stage, `Bbs` members and their clients only.
Does not belong here: which roles there are, what goes wrong, and what must hold.
"""

import asyncio
import gc
import hashlib
import logging
import random
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

from diegod.rpc.client import ClusterClient
from diegod.rpc.dialer import Dialer
from diegod.security.identity import Principal, Role
from diegod.world.ids import SeededIds
from tests.sim.dialer import SimDialer
from tests.sim.history import History
from tests.sim.host import Machine, Process
from tests.sim.loop import TimeStandsStillError, VirtualLoop
from tests.sim.network import Network
from tests.sim.roles import CLUSTER, SimRole

if TYPE_CHECKING:
    from diegod.raftbbs.store.identity import Voter

FAST_DISK = Path("/dev/shm")
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


class Stage:
    """One story in one process. The parts of it ask it for time, chance and a network."""

    #: Where the trouble ends, in seconds from the beginning; a story sets it.
    faults_end_s = 0.0
    #: What people call its beginning, in seconds after `host.EPOCH_S`.
    begins_s = 0.0
    history: History
    processes: list[Process]

    def __init__(self, seed: int | str, loop: VirtualLoop, verbose: bool) -> None:
        self.seed = str(seed)
        self.loop = loop
        self.violations: list[str] = []
        self.notes: list[str] = []
        self.faults: Counter[str] = Counter()
        self.counts: Counter[str] = Counter()
        self.processes = []
        self.roles: list[SimRole] = []
        self.voters: list[Voter] = []
        self.clients: dict[str, Process] = {}
        self.round = 0
        """One more whenever all faults were ended: those of an earlier one have nothing to end."""
        self._verbose = verbose
        self._chances: dict[str, random.Random] = {}
        self.trace = hashlib.blake2b(digest_size=16)
        self.network = Network(loop, self.chance("network"), self.trace)

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
        if any(said.endswith(f" s: {what}") for said in self.violations):
            return  # said before
        self.violations.append(f"at {self.loop.time():.3f} s: {what}")
        self.note(f"VIOLATION: {what}")
        if len(self.violations) >= _VIOLATIONS_MAX:
            self.loop.stop()

    def machine_names(self) -> list[str]:
        return [role.name for role in self.roles]

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

    def client(self, name: str, machine: Machine, role: Role = Role.USER) -> ClusterClient:
        """A client in a process of its own."""
        process = Process(name, machine, self.loop, self.process_ended)
        self.processes.append(process)
        self.clients[name] = process
        dialer = self.dialer(process, Principal(CLUSTER, role, name))
        addresses = [each.api_address for each in self.voters]
        turn = self.chance("addresses").randrange(len(addresses))
        addresses = addresses[turn:] + addresses[:turn]
        return ClusterClient(dialer, addresses, machine, SeededIds(f"{self.seed} {name}"))

    def dialer(self, process: Process, principal: Principal) -> Dialer:
        return SimDialer(self.network, process, principal)

    async def until(self, done: Callable[[], bool], seconds: float, step_s: float = 0.001) -> bool:
        """Whether it became so within that time."""
        end = self.loop.time() + seconds
        while not done() and self.loop.time() < end:
            await asyncio.sleep(step_s)
        return done()

    def close(self) -> None:
        for role in self.roles:
            role.kill()
        for process in self.processes:
            process.bury()

    def report(self, converged_after_s: float) -> Report:
        self.counts["turns"] = self.loop.turns
        self.trace.update(repr((self.violations, sorted(self.counts.items()))).encode())
        return Report(
            self.seed,
            self.violations,
            self.trace.hexdigest(),
            self.faults,
            self.counts,
            self.loop.time(),
            converged_after_s,
            self.notes,
        )


def told(stage: Stage, story: Any) -> Report:
    """Let a coroutine tell the story; how it went, whatever happens in it."""
    loop = stage.loop
    loop.set_exception_handler(lambda _, context: stage.complain(str(context)))
    try:
        return stage.report(_run(stage, story))
    finally:
        loop.abandon()
        stage.close()


def _run(stage: Stage, story: Any) -> float:
    try:
        converged_after_s: float = stage.loop.run_until_complete(story)
    except TimeStandsStillError as error:
        stage.complain(f"time stands still {error}")
    except RuntimeError:
        if not stage.violations:  # the loop is stopped when there are too many of them
            raise
    else:
        return converged_after_s
    return 0.0


@contextmanager
def one_story() -> Iterator[tuple[VirtualLoop, Path]]:
    """A loop and a disk, without what would make one run differ from the next or disturb others.

    A generator that the collector finds unreachable sooner or later would change the story, so it
    is off meanwhile; and what is collected afterwards, in the middle of its work, says nothing.
    Whatever tells the story must have let go of it by the end of the block, or it is never freed:
    what is frozen by the next one is not collected.
    """
    loop, was_collecting, logging_before = VirtualLoop(), gc.isenabled(), structlog.get_config()
    folder = tempfile.mkdtemp(dir=FAST_DISK if FAST_DISK.is_dir() else None, prefix="diegod-sim-")
    # A simulation has its own trace; to format what the roles log would take half its time.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    gc.disable()
    gc.freeze()
    asyncio.set_event_loop(loop)
    try:
        yield loop, Path(folder)
    finally:
        gc.collect()
        asyncio.set_event_loop(None)
        loop.close()
        gc.unfreeze()
        structlog.configure(**logging_before)
        if was_collecting:
            gc.enable()
        shutil.rmtree(folder)
