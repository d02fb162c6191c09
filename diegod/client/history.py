"""What happened to a row, and by what the brain goes."""

from diegod.client.ports import Cluster, begun_within
from diegod.v1 import event_pb2, record_pb2

#: The lock that the active brain holds.
BRAIN_LOCK = "brain"


class History:
    def __init__(self, cluster: Cluster, timeout_s: float) -> None:
        self._cluster = cluster
        self._timeout_s = timeout_s

    async def of_task(self, guid: str) -> list[record_pb2.Transition]:
        return await self._story(event_pb2.StoryRequest(task_guid=guid))

    async def of_lrp(self, guid: str) -> list[record_pb2.Transition]:
        return await self._story(event_pb2.StoryRequest(process_guid=guid))

    async def of_instance(self, guid: str, index: int) -> list[record_pb2.Transition]:
        """Of all instances that had this index."""
        return await self._story(event_pb2.StoryRequest(process_guid=guid, index=index))

    async def of_cell(self, cell_id: str) -> list[record_pb2.Transition]:
        return await self._story(event_pb2.StoryRequest(cell_id=cell_id))

    async def of_schedule(self, name: str) -> list[record_pb2.Transition]:
        return await self._story(event_pb2.StoryRequest(schedule_name=name))

    async def brain_lock(self) -> record_pb2.Lock:
        """The brains' lock, with the settings of who holds it; empty where there never was one."""
        request = event_pb2.WatchRequest(kinds=["lock"])
        async for reply in begun_within(self._cluster.watch(request), self._timeout_s):
            for change in reply.rows:
                if change.lock.name == BRAIN_LOCK:
                    return change.lock
            if reply.rows_end:
                break
        return record_pb2.Lock()

    async def _story(self, request: event_pb2.StoryRequest) -> list[record_pb2.Transition]:
        reply: event_pb2.StoryReply = await self._cluster.call(
            "diegod.v1.EventService/Story", request, self._timeout_s
        )
        return list(reply.transitions)
