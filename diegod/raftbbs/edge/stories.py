"""EventService/Story: what became of one row, as far back as it is kept."""

from collections.abc import Sequence

from diegod.models.errors import DomainError, Problem, Reason
from diegod.raftbbs.core.decision import Row
from diegod.raftbbs.edge.access import Access, invalid
from diegod.raftbbs.store.state import StateView
from diegod.raftbbs.store.stories import began_at
from diegod.raftbbs.store.transitions import transition_of
from diegod.rpc.handlers import Handlers
from diegod.security.identity import Principal
from diegod.v1.event_pb2 import StoryReply, StoryRequest
from diegod.v1.record_pb2 import ActualLrp, Cell, Change, DesiredLrp, Task, TaskSchedule


class StoryTeller:
    def __init__(self, access: Access) -> None:
        self._access = access

    def handlers(self) -> Handlers:
        return {"diegod.v1.EventService/Story": self.story}

    async def story(self, request: StoryRequest, caller: Principal) -> StoryReply:
        row = _named(request)
        await self._access.read(request.stale)
        with self._access.state() as state:
            lines = state.story(row)
            if not lines:  # nothing has happened but that it was created
                rows = _present(state, row)
                lines = [transition_of(each, Change.CREATED, began_at(each)) for each in rows]
            if not lines:
                raise DomainError(Reason.RESOURCE_NOT_FOUND, f"there is no {_called(row)}")
            return StoryReply(transitions=lines, revision=state.counters().revision)


def _named(request: StoryRequest) -> Row:
    """A row that has the name which was asked for, and nothing else."""
    match request.WhichOneof("of"):
        case "task_guid":
            return Task(task_guid=request.task_guid)
        case "cell_id":
            return Cell(cell_id=request.cell_id)
        case "schedule_name":
            return TaskSchedule(name=request.schedule_name)
        case "process_guid" if request.HasField("index"):
            return ActualLrp(process_guid=request.process_guid, index=request.index)
        case "process_guid":
            return DesiredLrp(process_guid=request.process_guid)
    found = "is required: one of task_guid, process_guid, cell_id, schedule_name"
    raise invalid([Problem("of", found)])


def _present(state: StateView, row: Row) -> Sequence[Row]:
    """The rows of this name as they are; more than one only of an index."""
    found: Row | None = None
    match row:
        case Task():
            found = state.task(row.task_guid)
        case Cell():
            found = state.cell(row.cell_id)
        case TaskSchedule():
            found = state.task_schedule(row.name)
        case DesiredLrp():
            found = state.desired_lrp(row.process_guid)
        case ActualLrp():
            return state.instances_at(row.process_guid, row.index)
    return [] if found is None else [found]


def _called(row: Row) -> str:
    match row:
        case Task():
            return f'task "{row.task_guid}"'
        case Cell():
            return f'cell "{row.cell_id}"'
        case TaskSchedule():
            return f'schedule "{row.name}"'
        case DesiredLrp():
            return f'LRP "{row.process_guid}"'
        case ActualLrp():
            return f'instance {row.index} of an LRP "{row.process_guid}"'
    return "such row"
