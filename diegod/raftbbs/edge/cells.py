"""CellService: cells, and what is on them."""

from collections.abc import AsyncIterator, Iterator

from diegod.internal.v1 import command_pb2 as c
from diegod.models import field_rules, limits
from diegod.models.errors import DomainError, Problem, Reason
from diegod.raftbbs.edge.access import Access, invalid, unhurried
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
        return {
            f"{_SERVICE}/List": self.list,
            f"{_SERVICE}/Get": self.get,
            f"{_SERVICE}/Control": self.control,
        }

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

    async def control(
        self, request: api.ControlCellRequest, caller: Principal
    ) -> api.ControlCellReply:
        if problems := [*_wrong_control(request)]:
            raise invalid(problems)
        control = c.ControlCell(
            cell_id=request.cell_id, verb=request.verb, deadline_ms=request.deadline_ms
        )
        outcome = await self._access.write(caller, request, c.Command(control_cell=control))
        reply = api.ControlCellReply(unchanged=outcome.unchanged)
        reply.cell.CopyFrom(outcome.cell)
        return reply


def _wrong_control(request: api.ControlCellRequest) -> Iterator[Problem]:
    verbs = api.ControlCellRequest.Verb
    if request.verb not in verbs.values() or request.verb == verbs.INVALID:
        known = ", ".join(name for name in verbs.keys() if name != "INVALID")  # noqa: SIM118
        yield Problem("verb", f"is none of {known}")
    if request.deadline_ms and request.verb != verbs.DRAIN:
        yield Problem("deadline_ms", "is only for a DRAIN")
    longest = limits.DRAIN_DEADLINE_MS_MAX
    yield from field_rules.between("deadline_ms", request.deadline_ms, 0, longest)


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
