"""A member on a simulated machine whose disk takes time and can be full.

What `roles.SimMember` does in no time takes a while here: a tick, and a copy of the state. So a
member can die with a tick on disk of which nobody has heard, and what comes in meanwhile waits, as
it does beside production's thread.
"""

import random
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextvars import copy_context
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from diegod.internal.v1.raft_pb2 import RaftFrame
from diegod.raftbbs.member import Member
from diegod.raftbbs.raft.api import Fatal, Proposal, StepResult
from diegod.raftbbs.raft.engine import Engine
from diegod.raftbbs.raft.snapshot import Background, inline
from diegod.raftbbs.store.environment import StoreFailed
from diegod.raftbbs.ticking import TickResult
from tests.sim.host import Killed, Machine, Process
from tests.sim.loop import Turn, VirtualLoop
from tests.sim.roles import Build, ObservedTicking, SimMember

if TYPE_CHECKING:
    from tests.sim.bbs import Bbs

T = TypeVar("T")

TICK_S = (0.0005, 0.01)
BRING_BACK_S = 0.0005
COPY_S_MAX = 0.2
#: Pages that are left on a disk that fills up.
_PAGES_LEFT = (0, 12)
_PAGE_BYTES = 4096
_CLOCK_RATE_ERROR = 0.02


class BbsMember(SimMember):
    ring: "Bbs"

    def __init__(self, stage: "Bbs", name: str, folder: Path, build: Build) -> None:
        super().__init__(stage, name, folder, build)
        chance = stage.chance("clocks")
        rate = chance.uniform(1 - _CLOCK_RATE_ERROR, 1 + _CLOCK_RATE_ERROR)
        self.machine = Machine(name, stage.loop, chance.uniform(1000, 5000), rate)
        self.is_disk_full = False

    def _assemble(self, process: Process) -> None:
        self.is_disk_full = False  # somebody has made room
        super()._assemble(process)
        assert self.member is not None
        assert self.log is not None
        self.member.note = self._noticed
        self._look_at_reads(self.log)
        self._count_conflicts(self.log)

    def _look_at_reads(self, log: Engine) -> None:
        """A read may be answered from an index that has all that was acknowledged before."""
        step, history = log.step, self.ring.history
        floors: dict[int, int] = {}

        def observed(
            inbox: Sequence[tuple[str, RaftFrame]],
            proposals: Sequence[Proposal],
            reads: Sequence[int],
            now: float,
        ) -> StepResult:
            floors.update(dict.fromkeys(reads, history.acknowledged_index))
            result = step(inbox, proposals, reads, now)
            for read in result.reads:
                floor = floors.pop(read.id)
                if read.ok and read.index < floor:
                    self.ring.complain(
                        f"{self.name} reads at {read.index}, {floor} was acknowledged before"
                    )
            return result

        log.step = observed  # type: ignore[method-assign]

    def _count_conflicts(self, log: Engine) -> None:
        journal, counts = log._journal, self.ring.counts
        cut_from = journal.cut_from

        def cut_conflict(index: int) -> None:
            counts["conflicts truncated"] += 1
            cut_from(index)

        journal.cut_from = cut_conflict  # type: ignore[method-assign]

    def driver(self, ticking: ObservedTicking) -> "PacedDriver":
        return PacedDriver(ticking, self.machine, self.ring.loop, self.ring.chance("ticks"))

    def background(self, process: Process) -> Background:
        loop, chance = self.ring.loop, self.ring.chance("copies")

        def start(work: Callable[[], T]) -> "Future[T]":
            future: Future[T] = Future()
            context = copy_context()  # of this process: it ends with it
            ends_at = loop.time() + chance.uniform(0, COPY_S_MAX)
            loop.call_at(ends_at, self._end, work, future, context=context)
            return future

        return start

    def _end(self, work: Callable[[], T], future: "Future[T]") -> None:
        done = inline(self._no_room if self.is_disk_full else work)
        error = done.exception()
        if isinstance(error, Killed):
            self._died()
        elif error is not None:
            self.ring.counts["copies refused"] += 1
            future.set_exception(error)
        else:
            future.set_result(done.result())  # type: ignore[arg-type]

    def _no_room(self) -> None:
        raise StoreFailed("there is no room for a copy")

    # A full disk.

    def fill_disk(self) -> bool:
        """Leave room for a few pages only: LMDB itself says so when they are used up."""
        if self.environment is None or self.environment.writing_thread is not None:
            return False
        self.is_disk_full = True
        left = self.ring.chance("disks").randint(*_PAGES_LEFT) * _PAGE_BYTES
        self.environment._environment.set_mapsize(self.environment.used_bytes() + left)
        return True

    def failed(self, error: StoreFailed | Fatal) -> None:
        """The process ends; with the next start there is room again on a disk that was full."""
        if isinstance(error, StoreFailed) and self.is_disk_full:
            self.ring.faults["member ended by a full disk"] += 1
        else:
            self.ring.complain(f"{self.name} stopped: {error}")
        self.ring.note(f"{self.name}: {error}")
        self._died()

    def _before_commit(self) -> None:
        before = self.dies_before_commit
        super_check = super()._before_commit
        try:
            super_check()
        except Killed:
            self.ring.counts["ticks lost"] += before > 0
            raise

    def _noticed(self, notice: str) -> None:
        self.ring.note(f"{self.name}: {notice}")
        self.ring.counts["transfers resumed"] += "from byte" in notice
        if "it fetches the state" in notice:
            self._perhaps_break_off(notice.partition(" bytes) from ")[2].partition(" ")[0])
        self.ring.counts["copies made"] += notice.startswith("made a copy")


    def _perhaps_break_off(self, source: str) -> None:
        """Chance alone seldom meets a transfer: some lose their connection in the middle."""
        chance, network = self.ring.chance("transfers"), self.ring.network
        if self.ring.loop.time() < self.ring.faults_end_s and chance.random() < 0.5:
            network.at(chance.uniform(0.01, 0.15), lambda: self._break_off(source))

    def _break_off(self, source: str) -> None:
        self.ring.network.reset(self.name, source)


class PacedDriver:
    """Ticks as production's thread does: what comes in during a tick waits for the next one."""

    def __init__(
        self, ticking: Any, machine: Machine, loop: VirtualLoop, chance: random.Random
    ) -> None:
        self._ticking = ticking
        self._machine = machine
        self._loop = loop
        self._chance = chance
        self._member: Member | None = None
        self._timer: Turn | None = None
        self._free_at = self._brought_back_at = 0.0

    def wake(self) -> None:
        self._due(self._loop.time())

    async def run(self, member: Member) -> None:
        self._member = member
        self.wake()
        await self._loop.create_future()  # for as long as the process lives

    def _due(self, at: float) -> None:
        at = max(at, self._free_at)
        if self._member is None:
            return
        if self._timer is not None:
            if self._timer.when() <= at:
                return
            self._timer.cancel()
        self._timer = self._loop.call_at(at, self._tick)

    def _tick(self) -> None:
        self._timer = None
        member, machine, now = self._member, self._machine, self._loop.time()
        assert member is not None
        try:
            result = self._ticking.tick(member.take(), machine.monotonic(), machine.wall())
        except Killed:
            return
        self._free_at = now + self._chance.uniform(*TICK_S)
        delay_s = self._chance.random() * BRING_BACK_S
        self._brought_back_at = max(self._brought_back_at, self._free_at + delay_s)
        self._loop.call_at(self._brought_back_at, self._bring_back, result)
        self._due(machine.loop_time_at(self._ticking.next_deadline()))

    def _bring_back(self, result: TickResult) -> None:
        assert self._member is not None
        self._member.deliver(result)
