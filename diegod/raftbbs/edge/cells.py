"""CellService: cells, and what is on them."""

from collections.abc import AsyncIterator

from diegod.models.errors import DomainError, Reason
from diegod.raftbbs.edge.access import Access, unhurried
from diegod.raftbbs.store.state import StateView
from diegod.rpc.handlers import Handlers
from diegod.security.identity import Principal
from diegod.v1 import cell_pb2 as api
from diegod.v1.record_pb2 import ActualLrp, PlacementNeeds, Resources, Task

_SERVICE = "diegod.v1.CellService"


class CellService:
    def __init__(self, access: Access) -> None:
        self._access = access

    def handlers(self) -> Handlers:
        return {f"{_SERVICE}/List": self.list, f"{_SERVICE}/Get": self.get}

    async def list(
        self, request: api.ListCellsRequest, caller: Principal
    ) -> AsyncIterator[api.ListCellsReply]:
        pages = self._access.pages(_statuses, request, lambda status: True)
        async for cells, revision, token in pages:
            yield api.ListCellsReply(cells=cells, revision=revision, page_token=token)

    async def get(self, request: api.GetCellRequest, caller: Principal) -> api.GetCellReply:
        await self._access.read(request.stale)
        async with self._access.moment() as state:
            async for _, status in _statuses(state, b""):
                if status.cell.cell_id == request.cell_id:
                    return api.GetCellReply(cell=status, revision=state.counters().revision)
        raise DomainError(Reason.RESOURCE_NOT_FOUND, f'there is no cell "{request.cell_id}"')


async def _statuses(state: StateView, after: bytes) -> AsyncIterator[tuple[bytes, api.CellStatus]]:
    """Every cell with the resources of the tasks and instances that are placed or run there."""
    statuses = {
        cell.cell_id: api.CellStatus(cell=cell, used=Resources())
        for cell in state.tables.cells.scan(state.transaction)
    }
    async for _, task in unhurried(state.tables.tasks.scan(state.transaction)):
        if task.state in (Task.PENDING, Task.RUNNING):
            status = statuses.get(task.cell_id or task.placed_cell_id)
            if status is not None:
                status.tasks += 1
                _use(status, task.needs)
    async for _, row in unhurried(state.tables.actual_lrps.scan(state.transaction)):
        if row.state != ActualLrp.CRASHED:
            status = statuses.get(row.cell_id or row.placed_cell_id)
            if status is not None:
                status.instances += 1
                _use(status, row.needs)
    for cell_id, status in statuses.items():
        if cell_id.encode() > after:
            yield cell_id.encode(), status


def _use(status: api.CellStatus, needs: PlacementNeeds) -> None:
    status.used.memory_mb += needs.resources.memory_mb
    status.used.disk_mb += needs.resources.disk_mb
    status.used.containers += needs.resources.containers
