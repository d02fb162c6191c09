"""People who use a bulletin board while it is in trouble, through the product's `ClusterClient`.

Each has its own rows, so what it was told is what must be there.
"""

import asyncio
import random
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from diegod.models.errors import DomainError, Reason
from diegod.rpc.client import ClusterClient
from diegod.rpc.dialer import Dialer
from diegod.rpc.methods import Method, method
from diegod.v1 import lrp_pb2, task_pb2
from diegod.v1.definition_pb2 import LrpDefinition, TaskDefinition
from tests.sim.bbs_promises import RowKey
from tests.sim.history import digest

if TYPE_CHECKING:
    from tests.sim.bbs import Bbs


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
