"""Our side: three BBS members as processes, and no other role."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from diegod.client.tasks import Tasks
from diegod.models.errors import DomainError
from diegod.node.dev import foreground
from diegod.node.dev import layout as layouts
from diegod.node.dev.layout import Layout
from diegod.node.supervise import Child, Supervisor
from diegod.rpc.channel import GrpcDialer
from diegod.rpc.client import ClusterClient
from diegod.rpc.methods import method
from diegod.security.credentials import channel_credentials, load_identity
from diegod.security.identity import Role
from diegod.v1.cluster_pb2 import GetBbsStatusReply, GetBbsStatusRequest
from diegod.v1.definition_pb2 import Action, LrpDefinition, RunAction, TaskDefinition
from diegod.v1.event_pb2 import WatchRequest
from diegod.v1.lrp_pb2 import DesireLrpRequest, ListLrpsRequest
from diegod.v1.task_pb2 import DesireTaskRequest, GetTaskRequest, ListTasksRequest
from diegod.world import RandomIds, SystemClock
from tests.bench.bbs.side import MEMBERS, VALUE_BYTES

_WAIT_S = 0.02
_PATIENCE_S = 30.0
_PAGE_ROWS = 5_000


@dataclass
class _Member(Child):
    """A member on a disk of the benchmark's choice."""

    prefix: Sequence[str] = ()

    @property
    def argv(self) -> list[str]:
        return [*self.prefix, *super().argv]


class Ours:
    name = "ours"

    def __init__(self, directory: Path, prefix: Sequence[str] = ()) -> None:
        self._directory = directory
        self._prefix = prefix
        self._clock, self._ids = SystemClock(), RandomIds()
        self._dialers: dict[int, GrpcDialer] = {}
        self.members: Sequence[str] = ()
        self._supervisor = Supervisor([])

    async def start(self) -> None:
        os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
        self._layout = self._furnished()
        self._supervisor = Supervisor([self._child(part) for part in self._layout.parts])
        self.members = list(self._supervisor.children)
        self._addresses = dict(zip(self.members, self._layout.bbs_addresses, strict=True))
        self._identity = load_identity(self._layout.client_dir, Role.USER, self._clock.wall())
        self._client = self._client_of(self._layout.bbs_addresses, channel=0)
        self._tasks = Tasks(self._client, self._ids, _PATIENCE_S)
        self._supervisor.start()
        await self._supervisor.wait_ready()
        await self.whole()
        await self.put("first")  # the client finds the leader

    def _furnished(self) -> Layout:
        """A dev cluster's folders and certificates; of its parts only the members."""
        shutil.rmtree(self._directory, ignore_errors=True)
        cluster_id = self._ids.new_id()
        made = layouts.create(
            "bench", self._directory, "exec", MEMBERS, 1, cluster_id, self._clock
        )
        layout = replace(made, parts=tuple(made.of_role("bbs")))
        foreground.give_birth(layout, self._ids)
        return layout

    def _child(self, part: layouts.Part) -> _Member:
        layout = self._layout
        files = layout.config(part), part.role, layout.log(part), layout.run_dir
        return _Member(part.name, *files, prefix=self._prefix)

    async def stop(self) -> None:
        dialers, self._dialers = list(self._dialers.values()), {}
        for dialer in dialers:
            await dialer.close()
        await self._supervisor.stop()
        shutil.rmtree(self._directory, ignore_errors=True)

    def pid(self, member: str) -> int:
        return self._supervisor.children[member].pid

    async def leader(self) -> str:
        while True:
            for member in self.members:
                status = await self._status(member)
                if status is not None and status.leader_id:
                    return status.leader_id
            await asyncio.sleep(_WAIT_S)

    async def kill(self, member: str) -> None:
        await self._supervisor.kill(member)

    async def restart(self, member: str) -> None:
        self._supervisor.start_child(member)
        await self._supervisor.children[member].ready.wait()
        name = "diegod.v1.TaskService/Get"
        while True:
            try:
                await self._call(member, name, GetTaskRequest(task_guid="none"))
            except DomainError as error:
                if error.reason.name == "RESOURCE_NOT_FOUND":
                    return
            await asyncio.sleep(_WAIT_S)

    async def whole(self) -> None:
        while True:
            found = [await self._status(member) for member in self.members]
            statuses = [status for status in found if status is not None]
            applied = {status.applied_index for status in statuses}
            links = [peer.connected for status in statuses for peer in status.members]
            if len(statuses) == MEMBERS and len(applied) == 1 and _led(statuses) and all(links):
                return
            await asyncio.sleep(_WAIT_S)

    async def log_range(self, member: str) -> tuple[int, int]:
        """The first entry in a member's log, and the last that it has applied."""
        status = await self._status(member)
        return (0, 0) if status is None else (status.log_first_index, status.applied_index)

    async def put(self, key: str) -> None:
        request = DesireTaskRequest(request_id=self._ids.new_id(), definition=_task(key))
        await self._client.call("diegod.v1.TaskService/Desire", request)

    async def put_many(self, keys: Sequence[str]) -> None:
        answered = 0
        async for reply in self._tasks.desire_many(_task(key) for key in keys):
            assert not reply.error_reason, reply.error_message
            answered += 1
        assert answered == len(keys), f"{answered} of {len(keys)} were answered"

    async def put_lrp(self, key: str) -> None:
        request = DesireLrpRequest(request_id=self._ids.new_id(), definition=_lrp(key))
        await self._client.call("diegod.v1.LrpService/Desire", request)

    async def follow(self, member: str, key: str, channel: int) -> AsyncIterator[str]:
        request = WatchRequest(kinds=["task"], guid=key, changes_only=True)
        watching = self._client_of([self._addresses[member]], channel)
        begun = False
        async for reply in watching.watch(request):
            if not begun:
                begun = True
                yield ""
            for change in reply.changes:
                yield change.task.task_guid

    async def list_all(self) -> int:
        request = ListTasksRequest(page_size=_PAGE_ROWS)
        replies = self._client.stream("diegod.v1.TaskService/List", request)
        return sum([len(reply.tasks) async for reply in replies])

    async def list_lrps(self) -> int:
        request = ListLrpsRequest(page_size=_PAGE_ROWS)
        replies = self._client.stream("diegod.v1.LrpService/List", request)
        return sum([len(reply.desired_lrps) async for reply in replies])

    def _client_of(self, addresses: Sequence[str], channel: int) -> ClusterClient:
        """Credentials of its own make a connection its own: gRPC would share it otherwise."""
        if channel not in self._dialers:
            self._dialers[channel] = GrpcDialer(lambda: channel_credentials(self._identity))
        return ClusterClient(self._dialers[channel], addresses, self._clock, self._ids)

    async def _status(self, member: str) -> GetBbsStatusReply | None:
        try:
            name = "diegod.v1.ClusterService/GetBbsStatus"
            reply: GetBbsStatusReply = await self._call(member, name, GetBbsStatusRequest())
        except DomainError:
            return None
        return reply

    async def _call(self, member: str, name: str, request: Any) -> Any:
        address = self._addresses[member]
        return await self._dialers[0].call(address, method(name), request, timeout_s=5.0)


def _led(statuses: Sequence[GetBbsStatusReply]) -> bool:
    return len({status.leader_id for status in statuses}) == 1 and bool(statuses[0].leader_id)


def _task(guid: str) -> TaskDefinition:
    action = Action(run=RunAction(path="true"))
    definition = TaskDefinition(
        task_guid=guid, domain="bench", rootfs="preloaded:none", action=action, memory_mb=16
    )
    definition.annotation = _filling(definition.ByteSize())
    return definition


def _lrp(guid: str) -> LrpDefinition:
    action = Action(run=RunAction(path="true"))
    definition = LrpDefinition(
        process_guid=guid, domain="bench", rootfs="preloaded:none", action=action, memory_mb=16,
        instances=1,
    )  # fmt: skip
    definition.annotation = _filling(definition.ByteSize())
    return definition


def _filling(size: int) -> str:
    """Up to the size that is compared; a field needs three bytes of its own."""
    return "x" * (VALUE_BYTES - size - 3)
