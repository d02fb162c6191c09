"""Cells: the machines that run containers."""

from diegod.client.ports import Cluster, begun_within
from diegod.v1 import cell_pb2

_SERVICE = "diegod.v1.CellService"


class Cells:
    def __init__(self, cluster: Cluster, timeout_s: float) -> None:
        self._cluster = cluster
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
