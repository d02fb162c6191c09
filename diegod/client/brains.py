"""Brains: which one is active, and by what it goes."""

from diegod.client.ports import Cluster, begun_within
from diegod.v1 import event_pb2, record_pb2

#: The lock that the active brain holds.
BRAIN_LOCK = "brain"


class Brains:
    def __init__(self, cluster: Cluster, timeout_s: float) -> None:
        self._cluster = cluster
        self._timeout_s = timeout_s

    async def lock(self) -> record_pb2.Lock:
        """The brains' lock, with the settings of who holds it; empty where there never was one."""
        request = event_pb2.WatchRequest(kinds=["lock"])
        async for reply in begun_within(self._cluster.watch(request), self._timeout_s):
            for change in reply.rows:
                if change.lock.name == BRAIN_LOCK:
                    return change.lock
            if reply.rows_end:
                break
        return record_pb2.Lock()
