"""Cells: the machines that run containers."""

from diegod.client.ports import Cluster, begun_within
from diegod.v1 import cell_pb2
from diegod.world import Ids

_SERVICE = "diegod.v1.CellService"


class Cells:
    def __init__(self, cluster: Cluster, ids: Ids, timeout_s: float) -> None:
        self._cluster = cluster
        self._ids = ids
        self._timeout_s = timeout_s

    async def get(self, cell_id: str) -> cell_pb2.CellStatus:
        reply: cell_pb2.GetCellReply = await self._cluster.call(
            f"{_SERVICE}/Get", cell_pb2.GetCellRequest(cell_id=cell_id), self._timeout_s
        )
        return reply.cell

    async def list(self) -> list[cell_pb2.CellStatus]:
        """Every cell with what is on it, as of one revision."""
        replies = self._cluster.stream(f"{_SERVICE}/List", cell_pb2.ListCellsRequest())
        return [
            cell async for reply in begun_within(replies, self._timeout_s) for cell in reply.cells
        ]

    async def control(
        self,
        cell_id: str,
        verb: cell_pb2.ControlCellRequest.Verb.ValueType,
        *,
        deadline_ms: int = 0,
        cause: str = "",
    ) -> cell_pb2.ControlCellReply:
        """Cordon, uncordon, drain (`deadline_ms` from now; 0: 10 min), remove, accept its loss."""
        request = cell_pb2.ControlCellRequest(
            request_id=self._ids.new_id(),
            cell_id=cell_id,
            verb=verb,
            deadline_ms=deadline_ms,
            cause=cause,
        )
        reply: cell_pb2.ControlCellReply = await self._cluster.call(
            f"{_SERVICE}/Control", request, self._timeout_s
        )
        return reply
