"""The cluster on one screen: what is there in which state, and what is short of what was asked."""

from collections import Counter

from diegod.raftbbs.core.stamps import nanoseconds
from diegod.raftbbs.edge.access import unhurried
from diegod.raftbbs.store.state import StateView
from diegod.v1.cluster_pb2 import GetStatusReply, LrpShortfall
from diegod.v1.record_pb2 import ActualLrp, Cell, DesiredLrp, Task

#: How many LRPs that are short of instances are named; all are counted.
SHORTFALLS_MAX = 100


async def overview(state: StateView) -> GetStatusReply:
    """Of one moment of the state."""
    reply = GetStatusReply(revision=state.counters().revision)
    reply.collected_tasks = state.counters().collected_tasks
    await _count_tasks(state, reply)
    running = await _count_instances(state, reply)
    await _count_lrps(state, reply, running)
    for cell in state.tables.cells.scan(state.transaction):
        reply.cells[Cell.State.Name(cell.state)] += 1
    return reply


async def _count_tasks(state: StateView, reply: GetStatusReply) -> None:
    oldest: Task | None = None
    async for _, task in unhurried(state.tables.tasks.scan(state.transaction)):
        reply.tasks[Task.State.Name(task.state)] += 1
        if task.state == Task.COMPLETED and (oldest is None or _ended(task) < _ended(oldest)):
            oldest = task
    if oldest is not None:
        reply.oldest_ended_task.CopyFrom(oldest.completed_at)


def _ended(task: Task) -> int:
    return nanoseconds(task.completed_at)


async def _count_instances(state: StateView, reply: GetStatusReply) -> Counter[str]:
    """How many instances of each process run in their ordinary place."""
    running: Counter[str] = Counter()
    async for _, actual in unhurried(state.tables.actual_lrps.scan(state.transaction)):
        if actual.presence == ActualLrp.ORDINARY:
            reply.instances[ActualLrp.State.Name(actual.state)] += 1
            running[actual.process_guid] += actual.state == ActualLrp.RUNNING
        else:
            reply.instances[ActualLrp.Presence.Name(actual.presence)] += 1
    return running


async def _count_lrps(state: StateView, reply: GetStatusReply, running: Counter[str]) -> None:
    async for _, desired in unhurried(state.tables.desired_lrps.scan(state.transaction)):
        reply.lrps += 1
        if running[desired.process_guid] < desired.instances:
            _name_shortfall(reply, desired, running[desired.process_guid])


def _name_shortfall(reply: GetStatusReply, desired: DesiredLrp, running: int) -> None:
    reply.short_lrps_total += 1
    if len(reply.short_lrps) < SHORTFALLS_MAX:
        reply.short_lrps.append(
            LrpShortfall(
                process_guid=desired.process_guid, desired=desired.instances, running=running
            )
        )
