"""A world for agents: a board, a host, a disk, and an agent that can be lost at any await.

Everything runs on a virtual clock. What an agent asks of the world goes through `Points`: each call
has one before and one after its effect. At the point chosen by the test the agent freezes for ever,
whatever it was doing, as a process does that is killed.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any

from diegod.cellruntime.agent import Agent
from diegod.cellruntime.core.crash_points import Record
from diegod.cellruntime.core.invariants import violations
from diegod.contracts.backend import ContainerSpec, ContainerStatus, Owner
from diegod.contracts.check import HealthCheck, Target, Unhealthy
from diegod.internal.v1.command_pb2 import Command, Outcome
from diegod.internal.v1.ring_pb2 import RenewReply, RenewRequest
from diegod.models.errors import DomainError, Reason
from diegod.testing.fake_backend import FakeBackend, FakeHost, Script
from diegod.v1.definition_pb2 import Check
from diegod.v1.event_pb2 import WatchReply, WatchRequest
from diegod.v1.record_pb2 import ActualLrp, Cell, Resources, Task
from diegod.world.ids import SeededIds
from tests.unit.cellruntime.board import Board
from tests.unit.scheduler.virtual_time import LoopClock, VirtualLoop, run

ME = "cell-1"
OWNER = Owner("cluster", ME)
LOOK_EVERY_S = 0.05


class Points:
    """Counts the awaits of an agent towards its world, and stops it at one of them."""

    def __init__(self, die_at: int = 0) -> None:
        self.count = 0
        self.died = asyncio.Event()
        self._die_at = die_at

    async def point(self) -> None:
        self.count += 1
        if self.count == self._die_at:
            self.died.set()
        if self.died.is_set():
            await asyncio.get_running_loop().create_future()
        await asyncio.sleep(0)

    async def around(self, effect: Callable[[], Any]) -> Any:
        await self.point()
        result = effect()
        await self.point()
        return result


class PointedBackend(FakeBackend):
    def __init__(self, host: FakeHost, points: Points, create_s: float) -> None:
        super().__init__(OWNER, host)
        self._points = points
        self._create_s = create_s

    async def prepare(self, spec: ContainerSpec) -> None:
        await self._points.point()
        await super().prepare(spec)
        await self._points.point()

    async def create(self, spec: ContainerSpec) -> None:
        await self._points.point()
        await asyncio.sleep(self._create_s)
        await super().create(spec)
        await self._points.point()

    async def start(self, handle: str) -> ContainerStatus:
        await self._points.point()
        status = await super().start(handle)
        await self._points.point()
        return status

    async def inspect(self, handle: str) -> ContainerStatus | None:
        await self._points.point()
        return await super().inspect(handle)

    async def wait(self, handle: str) -> ContainerStatus:
        status = await super().wait(handle)
        await self._points.point()
        return status

    async def destroy(self, handle: str) -> None:
        await self._points.point()
        await super().destroy(handle)
        await self._points.point()


class MemoryRecords:
    """A disk that has what was written, and nothing else."""

    def __init__(self, disk: dict[str, Record], points: Points) -> None:
        self._disk = disk
        self._points = points

    async def load(self) -> Sequence[Record]:
        await self._points.point()
        return list(self._disk.values())

    async def write(self, record: Record) -> None:
        await self._points.around(lambda: self._disk.update({record.handle: record}))

    async def remove(self, handle: str) -> None:
        await self._points.around(lambda: self._disk.pop(handle, None))


class NoDirectories:
    """Folders that nobody looks into."""

    async def make(self, handle: str) -> Path:
        return Path("/nonexistent") / handle

    async def keep_log(self, handle: str) -> None: ...

    async def discard(self, handle: str) -> None: ...

    async def tell(self, handle: str, lines: bytes) -> None: ...

    async def prune(self, wall_s: float) -> None: ...


class BoardBbs:
    """The cell's port to the board. `answers` may replace what becomes of a call."""

    def __init__(self, board: Board, points: Points) -> None:
        self._board = board
        self._points = points
        self.calls: list[list[str]] = []
        self.lost_answers: list[str] = []  # commands that are applied once more unanswered
        self.cut = False

    async def submit(self, commands: Sequence[Command]) -> Sequence[Outcome]:
        kinds: list[str] = [command.WhichOneof("command") or "" for command in commands]
        await self._points.point()
        if self.cut:
            raise DomainError(Reason.UNAVAILABLE, "no member answers")
        self.calls.append(kinds)
        outcomes = [self._board.apply(f"cell/{ME}", command) for command in commands]
        await self._points.point()
        for kind in kinds:
            if kind in self.lost_answers:
                self.lost_answers.remove(kind)
                raise DomainError(Reason.UNKNOWN_OUTCOME, "the connection broke")
        return outcomes

    async def watch(self, request: WatchRequest) -> AsyncIterator[WatchReply]:
        await self._points.point()
        if self.cut:
            raise DomainError(Reason.UNAVAILABLE, "no member answers")
        revision = request.from_revision or self._board.revision
        if not request.from_revision:
            yield WatchReply(rows=self._board.rows_of(ME), rows_end=True, revision=revision)
        while not self.cut:
            changes = self._board.changes_after(revision)
            if changes or revision < self._board.revision:
                revision = self._board.revision
                yield WatchReply(changes=changes, revision=revision)
            await asyncio.sleep(LOOK_EVERY_S)

    async def renew(self, request: RenewRequest) -> RenewReply:
        await self._points.point()
        if self.cut:
            raise DomainError(Reason.UNAVAILABLE, "no member answers")
        cell = self._board.cell(ME)
        held = cell is not None and cell.state == Cell.PRESENT
        held = held and cell is not None and cell.incarnation == request.sequence
        return RenewReply(nonce=request.nonce, held=held, ttl_ms=10_000)


class ScriptedCheck:
    """Healthy while `problem` is empty."""

    problem = ""

    async def probe(self, target: Target, timeout_s: float) -> Unhealthy | None:
        await asyncio.sleep(0)
        return Unhealthy(self.problem) if self.problem else None


class World:
    def __init__(self, loop: VirtualLoop, script: Script | None = None) -> None:
        self.clock = LoopClock(loop)
        self.board = Board()
        self.host = FakeHost(lambda spec: TRIAL if "trial" in spec.handle else script or Script())
        self.disk: dict[str, Record] = {}
        self.check = ScriptedCheck()
        self.lives = 0
        self.create_s = 0.0
        self._running: asyncio.Task[None] | None = None

    def live(self, die_at: int = 0, checks: Mapping[str, Any] | None = None) -> Agent:
        """A new agent over what the last one left."""
        self.lives += 1
        self.points = Points(die_at)
        self.bbs = BoardBbs(self.board, self.points)
        factory: Callable[[Check], HealthCheck] = lambda check: self.check  # noqa: E731
        self.agent = Agent(
            Cell(cell_id=ME, address="10.0.0.1:1801", capacity=CAPACITY),
            OWNER,
            self.bbs,
            PointedBackend(self.host, self.points, self.create_s),
            checks if checks is not None else {"tcp": factory},
            MemoryRecords(self.disk, self.points),
            self.clock,
            SeededIds(self.lives),
            NoDirectories(),
            range(61000, 61010),
        )
        self._running = asyncio.create_task(self.agent.run())
        return self.agent

    async def die(self) -> None:
        """The agent is gone; what it had asked the host for goes on."""
        assert self._running is not None
        while not self._running.done():  # a frozen clean-up has to be cancelled as well
            self._running.cancel()
            await asyncio.sleep(0)

    async def run_to_death(self) -> None:
        assert self._running is not None
        death = asyncio.create_task(self.points.died.wait())
        await asyncio.wait([death, self._running], return_when=asyncio.FIRST_COMPLETED)
        await self.die()

    async def until(self, holds: Callable[[], bool], timeout_s: float = 120.0) -> None:
        """Wait for it, with the brain's simplest work done meanwhile."""
        deadline = self.clock.monotonic() + timeout_s
        while not holds():
            assert self.clock.monotonic() < deadline, self.story()
            assert self._running is not None
            if self._running.done():
                self._running.result()
            assert violations(self.agent.machine) == []
            await asyncio.sleep(LOOK_EVERY_S)

    async def keep_placing(self) -> None:
        """What is not placed is placed here; a crashed instance is not tried again."""
        while True:
            cell = self.board.cell(ME)
            for (kind, guid), row in list(self.board.rows.items()):
                if cell is None or kind not in ("task", "actual_lrp") or row.placed_cell_id:
                    continue
                if kind == "task" and row.state == Task.PENDING:
                    self.board.place_task(guid, ME)
                elif kind == "actual_lrp" and row.state == ActualLrp.UNCLAIMED:
                    self.board.place_instance(guid, ME)
            await asyncio.sleep(LOOK_EVERY_S)

    def task(self, guid: str = "job") -> Task:
        row = self.board.rows["task", guid]
        assert isinstance(row, Task)
        return row

    def task_starts(self) -> int:
        return sum(n for handle, n in self.host.starts.items() if handle.startswith("t-"))

    def story(self) -> str:
        return f"{self.agent.status()}\n{self.board.rows}\n{self.disk}\n{self.host.starts}"

    async def close(self) -> None:
        await self.die()
        await self.host.close()


TRIAL = Script(runs_s=0.0)
CAPACITY = Resources(memory_mb=4096, disk_mb=8192, containers=20)


def play(
    scenario: Callable[[World], Coroutine[Any, Any, None]], script: Script | None = None
) -> None:
    """Run the scenario in a world of its own, on its own clock, and leave nothing running."""
    loop = VirtualLoop()

    async def whole() -> None:
        world = World(loop, script)
        placing = asyncio.create_task(world.keep_placing())
        try:
            await scenario(world)
        finally:
            placing.cancel()
            await world.close()

    run(whole(), loop)
