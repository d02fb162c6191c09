"""The cluster on one screen: what is there in which state, and what is short of what was asked."""

from collections import defaultdict
from dataclasses import dataclass

from diegod.raftbbs.core.stamps import nanoseconds
from diegod.raftbbs.edge.access import unhurried
from diegod.raftbbs.store.state import StateView
from diegod.v1.cluster_pb2 import GetStatusReply, LrpShortfall
from diegod.v1.definition_pb2 import LrpDefinition
from diegod.v1.record_pb2 import ActualLrp, Cell, DesiredLrp, Rollout, Task

#: How many LRPs that are short of instances are named; all are counted.
SHORTFALLS_MAX = 100
ROLLOUTS_MAX = 100
#: Whose holder is the brain that acts.
_BRAINS_LOCK = "brain"


@dataclass
class _Counted:
    rows: int = 0
    running: int = 0


async def overview(state: StateView) -> GetStatusReply:
    """Of one moment of the state."""
    reply = GetStatusReply(revision=state.counters().revision)
    reply.collected_tasks = state.counters().collected_tasks
    await _count_tasks(state, reply)
    counted = await _count_instances(state, reply)
    await _count_lrps(state, reply, counted)
    reply.brain_id = _brain_id(state)
    for cell in state.tables.cells.scan(state.transaction):
        reply.cells[Cell.State.Name(cell.state)] += 1
    return reply


def _brain_id(state: StateView) -> str:
    """After a restore the lock is the BBS's own for a while."""
    lock = state.lock(_BRAINS_LOCK)
    role, _, name = lock.owner.partition("/") if lock is not None else ("", "", "")
    return name if role == "brain" else ""


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


async def _count_instances(state: StateView, reply: GetStatusReply) -> dict[str, _Counted]:
    """The instances of each process that are in their ordinary place."""
    counted: dict[str, _Counted] = defaultdict(_Counted)
    async for _, actual in unhurried(state.tables.actual_lrps.scan(state.transaction)):
        if actual.presence == ActualLrp.ORDINARY:
            reply.instances[ActualLrp.State.Name(actual.state)] += 1
            counted[actual.process_guid].rows += 1
            counted[actual.process_guid].running += actual.state == ActualLrp.RUNNING
        else:
            reply.instances[ActualLrp.Presence.Name(actual.presence)] += 1
    return counted


async def _count_lrps(
    state: StateView, reply: GetStatusReply, counted: dict[str, _Counted]
) -> None:
    async for _, desired in unhurried(state.tables.desired_lrps.scan(state.transaction)):
        reply.lrps += 1
        if desired.rollout.state != Rollout.DONE and len(reply.rollouts) < ROLLOUTS_MAX:
            reply.rollouts.append(desired.process_guid)
        _note_shortfall(reply, desired, counted[desired.process_guid])


def _note_shortfall(reply: GetStatusReply, desired: DesiredLrp, counted: _Counted) -> None:
    """A GLOBAL LRP is to have what it has a row for: one for each cell that may run it."""
    if desired.stopped or desired.removing:
        return
    is_global = desired.mode == LrpDefinition.GLOBAL
    wanted = counted.rows if is_global else desired.instances
    if counted.running >= wanted:
        return
    reply.short_lrps_total += 1
    if len(reply.short_lrps) < SHORTFALLS_MAX:
        reply.short_lrps.append(
            LrpShortfall(
                process_guid=desired.process_guid, desired=wanted, running=counted.running
            )
        )
