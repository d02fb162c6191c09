"""A whole BBS of one member for tests: real store, real log, ticked on the test's event loop."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from diegod.internal.v1.command_pb2 import AcquireLock, Command, Outcome, RegisterCell
from diegod.models.errors import DomainError, Reason
from diegod.raftbbs.core.leases import LeaseTable
from diegod.raftbbs.driver import LoopDriver
from diegod.raftbbs.edge.access import Access
from diegod.raftbbs.member import Member
from diegod.raftbbs.raft.engine import Engine
from diegod.raftbbs.replica import Replica
from diegod.raftbbs.store import identity
from diegod.raftbbs.store.environment import Environment
from diegod.raftbbs.store.identity import Birth, Voter
from diegod.raftbbs.store.tables import Tables
from diegod.raftbbs.ticking import Ticking
from diegod.security.at_rest import NO_KEYS, Keyring
from diegod.security.identity import Principal, Role
from diegod.v1.definition_pb2 import Action, LrpDefinition, RunAction, TaskDefinition
from diegod.v1.record_pb2 import Cell, Resources
from diegod.world import SystemClock
from diegod.world.ids import SeededIds

CLUSTER = "test"
MEMBER = "m1"
ADDRESS = "m1:8889"
TTL_S = 10.0
MAP_SIZE = 256 << 20

ANN = Principal(CLUSTER, Role.USER, "ann")
BRAIN = Principal(CLUSTER, Role.BRAIN, "b1")
C1 = Principal(CLUSTER, Role.CELL, "c1")
C2 = Principal(CLUSTER, Role.CELL, "c2")


@dataclass
class Parts:
    """A member's parts, nobody ticks yet."""

    birth: Birth
    environment: Environment
    tables: Tables
    log: Engine
    ticking: Ticking


def parts(
    folder: Path,
    history_changes: int = 1000,
    now: float | None = None,
    keyring: Keyring = NO_KEYS,
) -> Parts:
    """Make the store where there is none, and open it."""
    if not folder.exists():
        voters = (Voter(MEMBER, ADDRESS, "m1:8892"),)
        birth = Birth("cluster-id", CLUSTER, MEMBER, "store-1", voters)
        identity.create(folder, birth, durable=False)
    environment, birth = identity.load(
        folder, durable=False, map_size=MAP_SIZE, keyring=keyring
    )
    tables = Tables.open(environment)
    replica = Replica(tables, history_changes)
    begin = SystemClock().monotonic() if now is None else now
    log = Engine(
        environment,
        birth,
        replica.apply_entry,
        SeededIds(1),
        begin,
        members_of=replica.members_of,
        state=replica,
    )
    ticking = Ticking(MEMBER, log, environment, tables, LeaseTable(TTL_S))
    return Parts(birth, environment, tables, log, ticking)


@dataclass
class Bbs:
    """A member that runs and leads."""

    member: Member
    access: Access

    async def say(self, caller: Principal, incarnation: int = 1, **command: Any) -> Outcome:
        """One command, with what its speaker would add; its outcome, which may be a refusal."""
        made = Command(by=str(caller), **command)
        if caller.role is Role.CELL:
            made.cell_incarnation = incarnation
        if caller.role is Role.BRAIN:
            with self.access.state() as state:
                lock = state.lock("brain")
            made.lock_name, made.lock_token = "brain", lock.token if lock is not None else 0
        return (await self.member.submit([made]))[0]

    async def done(self, caller: Principal, **command: Any) -> Outcome:
        outcome = await self.say(caller, **command)
        assert not outcome.reason, outcome.message
        return outcome

    async def in_format_2(self) -> None:
        """The leader of a new cluster raises its format a moment after it leads."""
        async with asyncio.timeout(10):
            while True:
                with self.access.state() as state:
                    if state.cluster_format() >= 2:
                        return
                await asyncio.sleep(0.01)

    async def with_brain(self) -> None:
        await self.done(BRAIN, acquire_lock=AcquireLock(name="brain"))

    async def with_cell(self, cell: Principal, address: str = "") -> None:
        capacity = Resources(memory_mb=1000, disk_mb=1000, containers=10)
        row = Cell(cell_id=cell.id, zone="z1", address=address, capacity=capacity)
        await self.done(cell, register_cell=RegisterCell(cell=row))


@asynccontextmanager
async def running(folder: Path, history_changes: int = 1000) -> AsyncIterator[Bbs]:
    made = parts(folder, history_changes)
    driver = LoopDriver(made.ticking, SystemClock())
    member = Member(made.birth, made.environment, made.tables, made.log.leadership(), driver.wake)
    task = asyncio.create_task(driver.run(member))
    try:
        await _led(member, task)
        yield Bbs(member, Access(member))
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        made.environment.close()


async def _led(member: Member, task: "asyncio.Task[None]") -> None:
    async with asyncio.timeout(5):
        while not (member.leadership.leads and member.leadership.noop_applied):
            assert not task.done(), task.exception()
            await asyncio.sleep(0.001)


def a_task(guid: str = "t1", **fields: Any) -> TaskDefinition:
    run = RunAction(path="/bin/true")
    given = {"domain": "default", "rootfs": "preloaded:busybox", **fields}
    return TaskDefinition(task_guid=guid, action=Action(run=run), **given)


def an_lrp(guid: str = "web", instances: int = 1, **fields: Any) -> LrpDefinition:
    run = RunAction(path="/bin/true")
    given = {"domain": "default", "rootfs": "preloaded:busybox", **fields}
    return LrpDefinition(process_guid=guid, instances=instances, action=Action(run=run), **given)


async def collected(replies: AsyncIterator[Any]) -> list[Any]:
    return [reply async for reply in replies]


async def refused(awaitable: Any) -> DomainError:
    """The refusal that must come."""
    try:
        async with asyncio.timeout(5):
            reply = await awaitable
    except DomainError as error:
        return error
    raise AssertionError(f"it was not refused, but answered with {reply}")


async def refusal_of_stream(replies: AsyncIterator[Any]) -> Reason:
    return (await refused(collected(replies))).reason


async def stream_of(requests: Sequence[Any]) -> AsyncIterator[Any]:
    for request in requests:
        yield request
