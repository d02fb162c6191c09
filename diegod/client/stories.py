"""Stories: the last transitions of one row, the oldest first."""

from diegod.client.ports import Cluster
from diegod.v1.event_pb2 import StoryReply, StoryRequest
from diegod.v1.record_pb2 import Transition

_METHOD = "diegod.v1.EventService/Story"


class Stories:
    def __init__(self, cluster: Cluster, timeout_s: float) -> None:
        self._cluster = cluster
        self._timeout_s = timeout_s

    async def of_task(self, task_guid: str) -> list[Transition]:
        """Also of one that was deleted less than a day ago."""
        return await self._told(StoryRequest(task_guid=task_guid))

    async def of_lrp(self, process_guid: str) -> list[Transition]:
        return await self._told(StoryRequest(process_guid=process_guid))

    async def of_instance(self, process_guid: str, index: int) -> list[Transition]:
        """Of all instances that had this index."""
        return await self._told(StoryRequest(process_guid=process_guid, index=index))

    async def of_cell(self, cell_id: str) -> list[Transition]:
        return await self._told(StoryRequest(cell_id=cell_id))

    async def of_schedule(self, name: str) -> list[Transition]:
        return await self._told(StoryRequest(schedule_name=name))

    async def _told(self, request: StoryRequest) -> list[Transition]:
        reply: StoryReply = await self._cluster.call(_METHOD, request, self._timeout_s)
        return list(reply.transitions)
