"""Cells, brains and watchers of a board in trouble: scripts that speak as the real ones do.

Through the product's `RingClient`: commands, leases, watches. Whoever hears UNKNOWN_OUTCOME of a
command says the same again under the same request id.
"""

import asyncio
import random
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from diegod.internal.v1 import command_pb2 as c
from diegod.internal.v1.ring_pb2 import RenewRequest
from diegod.models.errors import DomainError, Reason
from diegod.rpc.client import ClusterClient
from diegod.rpc.ring import RingClient
from diegod.v1.event_pb2 import WatchRequest
from diegod.v1.record_pb2 import Cell, Change, Resources, Task
from tests.sim.bbs_promises import WatchChecks

if TYPE_CHECKING:
    from tests.sim.bbs import Bbs

RENEWALS_A_TTL = 2
LOCK = "brain"
_START_WITHIN_S = 1.5


class Speaker:
    """A cell or a brain: says commands, holds a lease, watches what concerns it."""

    def __init__(self, bbs: "Bbs", name: str, client: ClusterClient) -> None:
        self.bbs = bbs
        self.name = name
        self.client = client
        self.ring = RingClient(client)
        self.chance: random.Random = bbs.chance(name)
        self._number = 0

    async def say(self, command: c.Command) -> c.Outcome | None:
        """Until it is known what came of it, or all is over. None: it was not."""
        self._number += 1
        command.request_id = f"{self.name}-{self._number}"
        began = self.bbs.loop.time()
        while self.bbs.loop.time() - began < 6.0:
            try:
                outcomes = await self.ring.submit([command])
            except DomainError as error:
                self.bbs.refused(error)
                self.bbs.counts["requests repeated"] += 1
                await asyncio.sleep(0.1)
                continue
            outcome = outcomes[0]
            if not outcome.reason:
                self.bbs.counts["writes acknowledged"] += 1
                history = self.bbs.history
                history.acknowledge(command.request_id, outcome.revision, not outcome.unchanged)
            return outcome
        return None

    async def hold(self, request: RenewRequest) -> None:
        """Renew a lease until it is lost."""
        ttl_s = self.bbs.build.lease_ttl_s
        kind = "cell" if request.cell_id else "lock"
        lost_at = self.bbs.loop.time() + ttl_s
        while self.bbs.loop.time() < lost_at and not self.bbs.is_over:
            sent = self.bbs.loop.time()
            try:
                reply = await self.ring.renew(request)
            except DomainError:
                await asyncio.sleep(0.1)
                continue
            if not reply.held:
                return
            self.bbs.counts["leases renewed"] += 1
            lost_at = sent + ttl_s
            name = request.cell_id or request.lock_name
            self.bbs.history.held_until(kind, name, request.sequence, lost_at)
            await asyncio.sleep(ttl_s / RENEWALS_A_TTL * self.chance.uniform(0.6, 1.2))

    async def watch(self, request: WatchRequest, checks: WatchChecks) -> AsyncIterator[Change]:
        """Rows and changes, checked; for ever."""
        while True:
            checks.begin()
            request.from_revision = 0
            try:
                async for reply in self.client.watch(request):
                    for change in (*reply.rows, *reply.changes):
                        if change.HasField("task"):
                            change.task.ClearField("definition")  # it is filled in for cells
                    checks.take(reply)
                    for change in (*reply.rows, *reply.changes):
                        yield change
            except DomainError as error:
                self.bbs.counts["watches begun anew"] += error.reason is Reason.COMPACTED
                await asyncio.sleep(0.05)


class SimpleCell(Speaker):
    """Registers, starts what is placed on it, and says how it ended."""

    incarnation = 0

    async def run(self) -> None:
        while not self.bbs.is_over:
            row = Cell(cell_id=self.name, zone="z1", capacity=Resources(memory_mb=100))
            outcome = await self.say(c.Command(register_cell=c.RegisterCell(cell=row)))
            if outcome is not None and not outcome.reason:
                self.incarnation = outcome.cell.incarnation
                await self.hold(RenewRequest(cell_id=self.name, sequence=self.incarnation))
            await asyncio.sleep(self.chance.uniform(0.0, 0.5))

    async def work(self) -> None:
        request = WatchRequest(cell_id=self.name)
        checks = self.bbs.watching(self.name, request)
        begun: dict[tuple[str, int], None] = {}
        async for change in self.watch(request, checks):
            task = change.task
            is_mine = change.HasField("task") and task.placed_cell_id == self.name
            key = task.task_guid, task.attempt
            if is_mine and task.state == Task.PENDING and key not in begun:
                begun[key] = None
                asyncio.get_running_loop().create_task(self._one(*key))

    async def _one(self, guid: str, attempt: int) -> None:
        """Start it and say how it ended; or have no room for it."""
        if self.chance.random() < 0.15:
            reject = c.RejectTask(task_guid=guid, attempt=attempt, rejection_reason="no room")
            await self.say(c.Command(reject_task=reject, cell_incarnation=self.incarnation))
            return
        start = c.Command(start_task=c.StartTask(task_guid=guid, attempt=attempt))
        start.cell_incarnation = self.incarnation
        outcome = await self.say(start)
        if outcome is None or outcome.reason:
            return
        await asyncio.sleep(self.chance.uniform(0.05, 1.0))
        status = self.chance.choice((0, 3))
        end = c.CompleteTask(
            task_guid=guid, attempt=attempt, exit_status_known=True, exit_status=status
        )
        complete = c.Command(complete_task=end, cell_incarnation=self.incarnation)
        await self.say(complete)


class SimpleBrain(Speaker):
    """Wants the lock; while it has it, places what waits."""

    token = 0

    def __init__(self, bbs: "Bbs", name: str, client: ClusterClient) -> None:
        super().__init__(bbs, name, client)
        self._waiting: dict[str, Task] = {}
        self._placed: dict[str, tuple[Task, float]] = {}
        self._cells: dict[str, Cell] = {}

    async def run(self) -> None:
        while not self.bbs.is_over:
            outcome = await self.say(c.Command(acquire_lock=c.AcquireLock(name=LOCK)))
            if outcome is not None and not outcome.reason:
                self.token = outcome.lock.token
                work = asyncio.get_running_loop().create_task(self._place())
                await self.hold(RenewRequest(lock_name=LOCK, sequence=self.token))
                work.cancel()
                if self.chance.random() < 0.5:
                    await self.say(self._under_lock(release_lock=c.ReleaseLock(name=LOCK)))
            await asyncio.sleep(self.chance.uniform(0.3, 1.0))

    async def work(self) -> None:
        request = WatchRequest(kinds=["task", "cell"])
        async for change in self.watch(request, self.bbs.watching(self.name, request)):
            if change.HasField("cell"):
                self._cells[change.cell.cell_id] = change.cell
                continue
            task = change.task
            self._waiting.pop(task.task_guid, None)
            self._placed.pop(task.task_guid, None)
            if task.state == Task.PENDING and not task.placed_cell_id:
                self._waiting[task.task_guid] = task
            elif task.state == Task.PENDING:
                self._placed[task.task_guid] = task, self.bbs.loop.time()

    async def _place(self) -> None:
        """One at a time: take back what its cell does not start, place what waits."""
        while True:
            await asyncio.sleep(0.3)
            await self._withdraw()
            present = [cell for cell in self._cells.values() if cell.state == Cell.PRESENT]
            if not present or not self._waiting:
                continue
            task = next(iter(self._waiting.values()))
            cell = self.chance.choice(present)
            await self.say(
                self._under_lock(
                    place_task=c.PlaceTask(
                        task_guid=task.task_guid,
                        row_revision=task.provenance.revision,
                        cell_id=cell.cell_id,
                        cell_incarnation=cell.incarnation,
                    )
                )
            )
            self._waiting.pop(task.task_guid, None)

    async def _withdraw(self) -> None:
        for guid, (task, since) in list(self._placed.items()):
            if self.bbs.loop.time() - since > _START_WITHIN_S:
                del self._placed[guid]
                revision = task.provenance.revision
                withdraw = c.WithdrawTask(task_guid=guid, row_revision=revision)
                await self.say(self._under_lock(withdraw_task=withdraw))
                return

    def _under_lock(self, **body: Any) -> c.Command:
        command = c.Command(**body, lock_name=LOCK, lock_token=self.token)
        if command.HasField("release_lock"):
            command.release_lock.token = self.token
        return command


class Watching(Speaker):
    """Watches through one filter, and sometimes lets go to resume at another member."""

    def __init__(
        self, bbs: "Bbs", name: str, client: ClusterClient, request: WatchRequest
    ) -> None:
        super().__init__(bbs, name, client)
        self._request = request
        self.checks = bbs.watching(name, request)

    async def run(self) -> None:
        async for _ in self.watch(self._request, self.checks):
            pass
