"""The client itself: one connection, and what can be asked over it."""

import os
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from diegod.client.cells import Cells
from diegod.client.connect import Connection, connect
from diegod.client.domains import Domains
from diegod.client.logs import Logs
from diegod.client.lrps import Lrps
from diegod.client.members import Members
from diegod.client.ports import begun_within
from diegod.client.schedules import Schedules
from diegod.client.stories import Stories
from diegod.client.tasks import Tasks
from diegod.config.contexts import Target, TlsFiles, resolve
from diegod.v1 import cluster_pb2, record_pb2, stream_pb2
from diegod.v1.event_pb2 import WatchReply, WatchRequest
from diegod.world import Ids, RandomIds

TIMEOUT_S = 10.0


class Client:
    """A cluster. Use it as an async context manager, or `close` it."""

    def __init__(
        self,
        addresses: Sequence[str],
        tls_dir: Path | str,
        *,
        domain: str = "",
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        """`tls_dir` holds ca.crt, user.crt and user.key."""
        files = TlsFiles.of_user(Path(tls_dir))
        target = Target(tuple(addresses), files, cluster="", domain=domain, context="")
        self._begin(connect(target), RandomIds(), domain, timeout_s)

    @classmethod
    def from_context(
        cls,
        name: str | None = None,
        *,
        timeout_s: float = TIMEOUT_S,
        environ: Mapping[str, str] = os.environ,
    ) -> Self:
        """The cluster of a context; without a name, of the environment or the current one."""
        target = resolve(environ, name)
        return cls.over(connect(target), domain=target.domain, timeout_s=timeout_s)

    @classmethod
    def over(
        cls,
        connection: Connection,
        *,
        ids: Ids | None = None,
        domain: str = "",
        timeout_s: float = TIMEOUT_S,
    ) -> Self:
        """A client over a connection that somebody else made."""
        client = cls.__new__(cls)
        client._begin(connection, ids or RandomIds(), domain, timeout_s)
        return client

    def _begin(self, connection: Connection, ids: Ids, domain: str, timeout_s: float) -> None:
        self.connection = connection
        self.domain = domain
        self.timeout_s = timeout_s
        self.tasks = Tasks(connection.cluster, ids, timeout_s)
        self.schedules = Schedules(connection.cluster, ids, timeout_s)
        self.domains = Domains(connection.cluster, ids, timeout_s)
        self.stories = Stories(connection.cluster, timeout_s)
        self.lrps = Lrps(connection.cluster, ids, timeout_s)
        self.cells = Cells(connection.cluster, ids, timeout_s)
        self.members = Members(connection.cluster, timeout_s)

    def logs(
        self,
        of: record_pb2.Task | record_pb2.ActualLrp,
        *,
        follow: bool = False,
        tail_lines: int = 0,
    ) -> Logs:
        """The output of a task or an instance; followed until its container has ended."""
        request = stream_pb2.ReadLogsRequest(follow=follow, tail_lines=tail_lines)
        if isinstance(of, record_pb2.Task):
            request.task_guid = of.task_guid
        else:
            request.instance_guid = of.instance_guid
        return Logs(self.connection.cluster, request, self.timeout_s)

    def watch(self, request: WatchRequest) -> AsyncIterator[WatchReply]:
        """The history of the cluster as it is served: rows, changes and progress marks."""
        return begun_within(self.connection.cluster.watch(request), self.timeout_s)

    async def events(
        self,
        *,
        from_revision: int = 0,
        kinds: Sequence[str] = (),
        domain: str = "",
        cell_id: str = "",
        guid: str = "",
    ) -> AsyncIterator[record_pb2.Change]:
        """What changes from now on, or what has changed since a revision. Without an end."""
        request = WatchRequest(
            from_revision=from_revision,
            kinds=kinds,
            domain=domain,
            cell_id=cell_id,
            guid=guid,
            changes_only=from_revision == 0,
        )
        async for reply in self.watch(request):
            for change in reply.changes:
                yield change

    async def version(self) -> cluster_pb2.GetVersionReply:
        reply: cluster_pb2.GetVersionReply = await self.connection.cluster.call(
            "diegod.v1.ClusterService/GetVersion", cluster_pb2.GetVersionRequest(), self.timeout_s
        )
        return reply

    async def bbs_status(self) -> cluster_pb2.GetBbsStatusReply:
        """One member's own view of the BBS."""
        reply: cluster_pb2.GetBbsStatusReply = await self.connection.cluster.call(
            "diegod.v1.ClusterService/GetBbsStatus",
            cluster_pb2.GetBbsStatusRequest(),
            self.timeout_s,
        )
        return reply

    async def status(self, *, stale: bool = False) -> cluster_pb2.GetStatusReply:
        """What there is, in which state, and what is short of what was asked."""
        reply: cluster_pb2.GetStatusReply = await self.connection.cluster.call(
            "diegod.v1.ClusterService/GetStatus",
            cluster_pb2.GetStatusRequest(stale=stale),
            self.timeout_s,
        )
        return reply

    async def rekey(self, address: str) -> cluster_pb2.RekeyReply:
        """How far the member at this address has encrypted its store under its active key."""
        reply: cluster_pb2.RekeyReply = await self.connection.member(address).call(
            "diegod.v1.ClusterService/Rekey", cluster_pb2.RekeyRequest(), self.timeout_s
        )
        return reply

    async def backup(self, *, stale: bool = False) -> AsyncIterator[bytes]:
        """A backup of one member's store, as a file in pieces."""
        request = cluster_pb2.SaveSnapshotRequest(stale=stale)
        name = "diegod.v1.ClusterService/SaveSnapshot"
        async for reply in self.connection.cluster.stream(name, request):
            yield reply.data

    async def compact_store(self) -> cluster_pb2.CompactReply:
        """Have the member that is asked replace its store by a smaller copy, and start again."""
        reply: cluster_pb2.CompactReply = await self.connection.cluster.call(
            "diegod.v1.ClusterService/Compact", cluster_pb2.CompactRequest(), self.timeout_s
        )
        return reply

    async def close(self) -> None:
        await self.connection.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()
