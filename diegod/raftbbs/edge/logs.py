"""LogService on a member: finds the cell that has the output, and relays its stream."""

from collections.abc import AsyncIterator

from diegod.models.errors import DomainError, Reason
from diegod.raftbbs.edge.access import Access
from diegod.rpc.dialer import Dialer
from diegod.rpc.handlers import Handlers
from diegod.rpc.methods import method
from diegod.security.identity import Principal
from diegod.v1.record_pb2 import Cell
from diegod.v1.stream_pb2 import ReadLogsReply, ReadLogsRequest

READ = "diegod.v1.LogService/Read"


class LogRelay:
    """Back-pressured: the next chunk is asked of the cell when the client has taken this one."""

    def __init__(self, access: Access, dialer: Dialer) -> None:
        self._access = access
        self._dialer = dialer

    def handlers(self) -> Handlers:
        return {READ: self.read}

    async def read(
        self, request: ReadLogsRequest, caller: Principal
    ) -> AsyncIterator[ReadLogsReply]:
        await self._access.read(stale=False)
        cell = self._cell(request)
        async for reply in self._dialer.stream(cell.address, method(READ), request, None):
            yield reply

    def _cell(self, request: ReadLogsRequest) -> Cell:
        with self._access.state() as state:
            if request.WhichOneof("of") == "task_guid":
                what, row = f"task {request.task_guid}", state.task(request.task_guid)
                cell_id = row.cell_id if row is not None else ""
            else:
                what = f"instance {request.instance_guid}"
                instance = state.actual_lrp(request.instance_guid)
                cell_id = (instance.cell_id or instance.last_cell_id) if instance else ""
            cell = state.cell(cell_id)
        if cell is None:
            raise DomainError(
                Reason.RESOURCE_NOT_FOUND, f"{what} has no output: it has not started anywhere"
            )
        if cell.state != Cell.PRESENT:
            raise DomainError(
                # Not UNAVAILABLE: no other member could do better.
                Reason.CELL_MISSING,
                f"{what} ran on cell {cell.cell_id}, which is missing",
            )
        return cell
