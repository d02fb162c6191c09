"""Those who use a bulletin board while it is in trouble: people, cells, brains, watchers.

Scripted, but for what they speak through: the product's `ClusterClient` and `RingClient`. Each
writer has its own rows, so what it was told is what must be there. Whoever hears UNKNOWN_OUTCOME
of a command with a request id says the same again under the same id.
"""

import asyncio
import random
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from diegod.internal.v1 import command_pb2 as c
from diegod.internal.v1.ring_pb2 import RenewRequest
from diegod.models.errors import DomainError, Reason
from diegod.rpc.client import ClusterClient
from diegod.rpc.dialer import Dialer
from diegod.rpc.methods import Method, method
from diegod.rpc.ring import RingClient
from diegod.v1 import lrp_pb2, task_pb2
from diegod.v1.definition_pb2 import LrpDefinition, TaskDefinition
from diegod.v1.event_pb2 import WatchRequest
from diegod.v1.record_pb2 import Cell, Change, Resources, Task
from tests.sim.bbs_promises import RowKey, WatchChecks
from tests.sim.history import digest

if TYPE_CHECKING:
    from tests.sim.bbs import Bbs

RENEWALS_A_TTL = 2
LOCK = "brain"
_START_WITHIN_S = 1.5


class CountingDialer:
    """A dialer that counts what comes back: the simulation must meet every kind of it."""

    def __init__(self, bbs: "Bbs", dialer: Dialer) -> None:
        self._counts = bbs.counts
        self._dialer = dialer
        self._asked: dict[str, None] = {}

    async def call(self, address: str, row: Method, request: Any, timeout_s: float) -> Any:
        id_ = getattr(request, "request_id", "")
        if id_:
            self._counts["requests repeated"] += id_ in self._asked
            self._asked[id_] = None
        try:
            return await self._dialer.call(address, row, request, timeout_s)
        except DomainError as error:
            if row.leader_only:
                self._counts["ambiguous answers"] += error.reason is Reason.UNKNOWN_OUTCOME
                self._counts["redirected to the leader"] += bool(error.leader_address)
            raise

    async def stream(
        self, address: str, row: Method, request: Any, timeout_s: float | None
    ) -> AsyncIterator[Any]:
        is_resumed = row.name.endswith("/Watch") and request.from_revision > 0
        async for reply in self._dialer.stream(address, row, request, timeout_s):
            self._counts["watches resumed"] += is_resumed
            is_resumed = False
            yield reply

    def duplex(
        self, address: str, row: Method, requests: AsyncIterator[Any], timeout_s: float | None
    ) -> AsyncIterator[Any]:
        return self._dialer.duplex(address, row, requests, timeout_s)

    async def close(self) -> None:
        await self._dialer.close()


class Person:
    """Desires tasks and an LRP, changes its mind, and reads back what it was told."""

    def __init__(self, bbs: "Bbs", name: str, client: ClusterClient) -> None:
        self._bbs = bbs
        self.name = name
        self._client = client
        self._chance: random.Random = bbs.chance(name)
        self._number = 0
        self._lrp_revision = 0
        self.tasks: list[str] = []

    async def run(self) -> None:
        while not self._bbs.is_over:
            await asyncio.sleep(self._chance.expovariate(1 / self._bbs.think_s))
            kind = self._chance.random()
            if kind < 0.45 or not self.tasks:
                await self.desire_task()
            elif kind < 0.70:
                await self._change_lrp()
            elif kind < 0.78:
                await self._cancel_task()
            elif kind < 0.95:
                await self.read_task(self._chance.choice(self.tasks))
            else:
                await self._list_tasks()

    async def desire_task(self) -> bool:
        self._number += 1
        guid = f"{self.name}-{self._number}"
        definition = TaskDefinition(task_guid=guid, rootfs="preloaded:busybox")
        definition.action.run.path = "/bin/true"
        request = task_pb2.DesireTaskRequest(definition=definition)
        reply = await self._write("Task", "Desire", request)
        if reply is None:
            return False
        self.tasks.append(guid)
        self._bbs.history.latest_task = guid
        self._bbs.history.acknowledge(
            request.request_id, reply.task.provenance.revision, not reply.already_there
        )
        return True

    async def _change_lrp(self) -> None:
        """A chain of changes, each on the revision that the one before it came to."""
        guid, instances = f"{self.name}-web", self._chance.randint(1, 50)
        if not self._lrp_revision:
            definition = LrpDefinition(
                process_guid=guid, rootfs="preloaded:busybox", instances=instances
            )
            definition.action.run.path = "/bin/true"
            request: Any = lrp_pb2.DesireLrpRequest(definition=definition)
            reply = await self._write("Lrp", "Desire", request)
        else:
            request = lrp_pb2.ScaleLrpRequest(process_guid=guid, instances=instances)
            if self._chance.random() < 0.7:
                request.expected_revision = self._lrp_revision
            reply = await self._write("Lrp", "Scale", request)
        if reply is None:
            await self._look_up_lrp(guid)
            return
        revision = reply.desired_lrp.provenance.revision
        self._bbs.history.acknowledge(request.request_id, revision, revision != self._lrp_revision)
        self._lrp_revision = revision

    async def _look_up_lrp(self, guid: str) -> None:
        """What became of it is not known: go on from what is there."""
        request = lrp_pb2.GetLrpRequest(process_guid=guid)
        reply = await self._read("diegod.v1.LrpService/Get", request)
        if reply is not None:
            self._lrp_revision = reply.desired_lrp.provenance.revision

    async def _cancel_task(self) -> None:
        request = task_pb2.CancelTaskRequest(task_guid=self._chance.choice(self.tasks))
        reply = await self._write("Task", "Cancel", request)
        if reply is not None:
            self._bbs.history.acknowledge(
                request.request_id, reply.task.provenance.revision, effect=False
            )

    async def read_task(self, guid: str) -> None:
        history = self._bbs.history
        floor = history.acknowledged_revision
        request = task_pb2.GetTaskRequest(task_guid=guid)
        reply = await self._read("diegod.v1.TaskService/Get", request)
        if reply is not None:
            reply.task.ClearField("definition")
            history.check_read(("task", guid), reply.task, reply.revision, floor)

    async def _list_tasks(self) -> None:
        history = self._bbs.history
        floor = history.acknowledged_revision
        rows: dict[RowKey, bytes] = {}
        revisions: dict[int, None] = {}
        request = task_pb2.ListTasksRequest(page_size=self._chance.choice((3, 1000)))
        try:
            async for reply in self._client.stream("diegod.v1.TaskService/List", request):
                revisions[reply.revision] = None
                for task in reply.tasks:
                    rows["task", task.task_guid] = digest(
                        task.SerializeToString(deterministic=True)
                    )
        except DomainError:
            return
        if len(revisions) != 1:
            history.complain(f"one list is of the revisions {list(revisions)}")
        history.check_list(rows, next(iter(revisions)), floor)

    async def _write(self, service: str, verb: str, request: Any) -> Any:
        """The reply; None when it was refused, or nobody knows."""
        request.cause = f"{self.name} wants it"
        try:
            reply = await self._client.call(f"diegod.v1.{service}Service/{verb}", request, 6.0)
        except DomainError as error:
            self._bbs.refused(error)
            if error.applied == "no":
                self._bbs.history.deny(request.request_id, str(error))
            return None
        self._bbs.counts["writes acknowledged"] += 1
        return reply

    async def _read(self, name: str, request: Any) -> Any:
        try:
            return await self._client.call(name, request, 3.0)
        except DomainError as error:
            if error.reason is Reason.RESOURCE_NOT_FOUND and request.DESCRIPTOR.name == (
                "GetTaskRequest"
            ):
                self._bbs.complain(f"{request.task_guid} was acknowledged, a read finds nothing")
            return None


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


class Reader:
    """Reads what was acknowledged to others, from whichever member."""

    def __init__(self, bbs: "Bbs", name: str, client: ClusterClient) -> None:
        self._bbs = bbs
        self.name = name
        self._dialer = client.dialer
        self._chance: random.Random = bbs.chance(name)

    async def run(self) -> None:
        row = method("diegod.v1.TaskService/Get")
        while not self._bbs.is_over:
            await asyncio.sleep(self._chance.expovariate(1 / self._bbs.read_every_s))
            address = self._chance.choice(self._bbs.voters).api_address
            asyncio.get_running_loop().create_task(self._read(row, address))

    async def _read(self, row: Method, address: str) -> None:
        history = self._bbs.history
        guid = history.latest_task or "none"
        floor = history.acknowledged_revision
        request = task_pb2.GetTaskRequest(task_guid=guid)
        try:
            reply = await self._dialer.call(address, row, request, 3.0)
        except DomainError as error:
            if error.reason is Reason.RESOURCE_NOT_FOUND and guid != "none":
                self._bbs.complain(f"{guid} was acknowledged, {address} has no such task")
            return
        reply.task.ClearField("definition")
        history.check_read(("task", guid), reply.task, reply.revision, floor)


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
