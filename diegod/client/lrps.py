"""Long-running processes: N instances, kept running."""

from collections.abc import AsyncIterator
from typing import Any

from diegod.client.ports import Cluster, begun_within
from diegod.v1 import definition_pb2, lrp_pb2, record_pb2
from diegod.v1.event_pb2 import WatchReply, WatchRequest
from diegod.world import Ids

_SERVICE = "diegod.v1.LrpService"


class Lrps:
    def __init__(self, cluster: Cluster, ids: Ids, timeout_s: float) -> None:
        self._cluster = cluster
        self._ids = ids
        self._timeout_s = timeout_s

    async def desire(
        self,
        definition: definition_pb2.LrpDefinition,
        *,
        expected_revision: int = 0,
        cause: str = "",
    ) -> lrp_pb2.DesireLrpReply:
        """Create an LRP or replace its definition. An equal one is answered `already_there`."""
        request = lrp_pb2.DesireLrpRequest(
            request_id=self._ids.new_id(),
            definition=definition,
            expected_revision=expected_revision,
            cause=cause,
        )
        reply: lrp_pb2.DesireLrpReply = await self._call("Desire", request)
        return reply

    async def get(self, guid: str) -> lrp_pb2.GetLrpReply:
        """The desired LRP and its instances."""
        reply: lrp_pb2.GetLrpReply = await self._call(
            "Get", lrp_pb2.GetLrpRequest(process_guid=guid)
        )
        return reply

    async def instances(
        self, *, process_guid: str = "", cell_id: str = "", domain: str = ""
    ) -> list[record_pb2.ActualLrp]:
        """Every actual instance that matches, as of one revision."""
        request = lrp_pb2.ListInstancesRequest(
            process_guid=process_guid, cell_id=cell_id, domain=domain
        )
        replies = self._cluster.stream(f"{_SERVICE}/ListInstances", request)
        return [
            instance
            async for reply in begun_within(replies, self._timeout_s)
            for instance in reply.actual_lrps
        ]

    async def scale(
        self, guid: str, instances: int, *, expected_revision: int = 0, cause: str = ""
    ) -> record_pb2.DesiredLrp:
        request = lrp_pb2.ScaleLrpRequest(
            request_id=self._ids.new_id(),
            process_guid=guid,
            instances=instances,
            expected_revision=expected_revision,
            cause=cause,
        )
        reply: lrp_pb2.ScaleLrpReply = await self._call("Scale", request)
        return reply.desired_lrp

    async def remove(self, guid: str, cause: str = "") -> int:
        """Stop every instance and forget the LRP; the revision of the removal."""
        request = lrp_pb2.RemoveLrpRequest(
            request_id=self._ids.new_id(), process_guid=guid, cause=cause
        )
        reply: lrp_pb2.RemoveLrpReply = await self._call("Remove", request)
        return reply.revision

    async def control(
        self,
        guid: str,
        verb: lrp_pb2.ControlLrpRequest.Verb.ValueType,
        *,
        to_version: int = 0,
        expected_revision: int = 0,
        cause: str = "",
    ) -> lrp_pb2.ControlLrpReply:
        """Stop, start, restart, pause, resume, promote, or roll back (to the last stable one)."""
        request = lrp_pb2.ControlLrpRequest(
            request_id=self._ids.new_id(),
            process_guid=guid,
            verb=verb,
            to_version=to_version,
            expected_revision=expected_revision,
            cause=cause,
        )
        reply: lrp_pb2.ControlLrpReply = await self._call("Control", request)
        return reply

    async def retire(self, guid: str, index: int, cause: str = "") -> record_pb2.ActualLrp:
        """Have one instance replaced; as it is now, running until its replacement runs."""
        request = lrp_pb2.RetireInstanceRequest(
            request_id=self._ids.new_id(), process_guid=guid, index=index, cause=cause
        )
        reply: lrp_pb2.RetireInstanceReply = await self._call("Retire", request)
        return reply.instance

    async def history(self, guid: str) -> lrp_pb2.LrpHistoryReply:
        """The versions that are kept, with their definitions, the latest first."""
        reply: lrp_pb2.LrpHistoryReply = await self._call(
            "History", lrp_pb2.LrpHistoryRequest(process_guid=guid)
        )
        return reply

    async def list(self, *, domain: str = "") -> list[record_pb2.DesiredLrp]:
        """Every desired LRP, with counts of its instances, as of one revision."""
        replies = self._cluster.stream(f"{_SERVICE}/List", lrp_pb2.ListLrpsRequest(domain=domain))
        return [
            lrp
            async for reply in begun_within(replies, self._timeout_s)
            for lrp in reply.desired_lrps
        ]

    def watch(self, guid: str) -> AsyncIterator[WatchReply]:
        """The LRP and its instances as they are, then what changes; without an end."""
        request = WatchRequest(guid=guid, kinds=["desired_lrp", "actual_lrp"])
        return begun_within(self._cluster.watch(request), self._timeout_s)

    async def _call(self, verb: str, request: Any) -> Any:
        return await self._cluster.call(f"{_SERVICE}/{verb}", request, self._timeout_s)
