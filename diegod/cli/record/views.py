"""Which columns each kind of record has, and what stands in them.

Pure: the present time is handed in. Does not belong here: printing (`terminal/render.py`).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from google.protobuf.timestamp_pb2 import Timestamp

from diegod.cli.terminal.quantities import age, amount_mb
from diegod.cli.terminal.render import Column, View
from diegod.models.json_form import json_form
from diegod.v1 import cell_pb2, record_pb2
from diegod.v1.definition_pb2 import Dependency, LrpDefinition
from diegod.v1.record_pb2 import ActualLrp, Cell, DesiredLrp, Rollout, Task

R = TypeVar("R")


def since(moment: Timestamp, now: float) -> str:
    """How long ago; nothing where nobody knows."""
    return age(now - moment.ToNanoseconds() / 1e9) if moment.ToNanoseconds() else ""


def has_own_status(task: Task) -> bool:
    """Whether the exit status of its program tells how it ended.

    A program can end with 0 and its task have failed: cancelled, or without its result file.
    """
    return task.exit_status_known and not (task.failed and task.exit_status == 0)


def task_result(task: Task) -> str:
    """How a task ended, or why it has not begun."""
    if task.state == Task.PENDING:
        return task.placement_error or task.rejection_reason
    if task.state not in (Task.COMPLETED, Task.RESOLVING):
        return ""
    if task.outcome_unknown:
        return f"outcome unknown: {task.failure_reason}"
    if has_own_status(task):
        return f"exit status {task.exit_status}"
    return f"failed: {task.failure_reason}" if task.failed else "succeeded"


def dependency_text(dependency: Dependency) -> str:
    """`lrp db`, `task schema-17 (SUCCEEDED)`."""
    what = f"lrp {dependency.lrp}" if dependency.lrp else f"task {dependency.task}"
    if dependency.condition == Dependency.DEFAULT:
        return what
    return f"{what} ({Dependency.Condition.Name(dependency.condition)})"


def task_view(now: float, standings: Mapping[str, str] | None = None) -> View[Task]:
    """`standings`: how each stands, by guid, for those who asked for more."""
    return View(
        columns=[
            Column("TASK", lambda t: t.task_guid),
            Column("STATE", lambda t: Task.State.Name(t.state)),
            Column("CELL", lambda t: t.cell_id or t.placed_cell_id),
            Column("AGE", lambda t: since(t.created_at, now)),
            Column("RESULT", task_result),
            Column("DOMAIN", lambda t: t.domain, wide=True),
            Column("MEMORY", lambda t: amount_mb(t.needs.resources.memory_mb), wide=True),
            Column("ROOTFS", lambda t: t.needs.rootfs_provider, wide=True),
            Column("ATTEMPT", lambda t: str(t.attempt or ""), wide=True),
            Column("REVISION", lambda t: str(t.provenance.revision), wide=True),
            Column("BY", lambda t: t.provenance.by, wide=True),
            *_standing(standings, lambda t: t.task_guid),
        ],
        name=lambda t: t.task_guid,
        form=json_form,
        nothing="no tasks",
    )


def _standing(
    standings: Mapping[str, str] | None, guid: Callable[[R], str]
) -> Sequence[Column[R]]:
    """What it waits for, and when that is over; no column where nobody found it out."""
    if standings is None:
        return ()
    return [Column("STANDING", lambda row: standings.get(guid(row), ""), wide=True)]


def instances_text(count: int) -> str:
    return f"{count} instance{'' if count == 1 else 's'}"


def running_of(lrp: DesiredLrp) -> str:
    return f"{lrp.counts.running}/{_wanted(lrp)}"


def _wanted(lrp: DesiredLrp) -> int:
    """A GLOBAL one has as many as there are cells for it: those that it has, in whatever state."""
    if lrp.mode != LrpDefinition.GLOBAL or lrp.stopped or lrp.removing:
        return lrp.instances
    counts = lrp.counts
    return (
        counts.running + counts.unclaimed + counts.claimed + counts.crashed + counts.suspect
    )


def lrp_note(lrp: DesiredLrp) -> str:
    """What goes on with it as a whole; nothing while it simply runs."""
    if lrp.removing:
        return "being removed"
    if lrp.stopped:
        return "stopped"
    rollout = lrp.rollout
    if rollout.state == Rollout.DONE:
        return f"went back: {rollout.reason}" if rollout.rolled_back else ""
    back = ", on its way back" if rollout.rolled_back else ""
    why = f": {rollout.reason}" if rollout.reason else ""
    return f"rollout {Rollout.State.Name(rollout.state)}{back}{why}"


def other_states(lrp: DesiredLrp) -> str:
    """What is not as it should be: `1 crashed, 1 unclaimed`."""
    counts = lrp.counts
    named = [
        (counts.unclaimed, "unclaimed"),
        (counts.claimed, "claimed"),
        (counts.crashed, "crashed"),
        (counts.suspect, "suspect"),
        (counts.evacuating, "evacuating"),
    ]
    return ", ".join(f"{count} {state}" for count, state in named if count)


def lrp_view(now: float) -> View[DesiredLrp]:
    return View(
        columns=[
            Column("LRP", lambda d: d.process_guid),
            Column("RUNNING", running_of),
            Column("OTHERS", other_states),
            Column("AGE", lambda d: since(d.created_at, now)),
            Column("NOTE", lrp_note),
            Column("DOMAIN", lambda d: d.domain, wide=True),
            Column("MEMORY", lambda d: amount_mb(d.needs.resources.memory_mb), wide=True),
            Column("ROOTFS", lambda d: d.needs.rootfs_provider, wide=True),
            Column("DEFINITION", lambda d: str(d.definition_revision), wide=True),
            Column("REVISION", lambda d: str(d.provenance.revision), wide=True),
            Column("BY", lambda d: d.provenance.by, wide=True),
        ],
        name=lambda d: d.process_guid,
        form=json_form,
        nothing="no LRPs",
    )


def instance_ref(instance: ActualLrp) -> str:
    return f"{instance.process_guid}/{instance.index}"


def instance_state(instance: ActualLrp) -> str:
    """`RUNNING`, `RUNNING, SUSPECT`."""
    state = ActualLrp.State.Name(instance.state)
    if instance.presence == ActualLrp.ORDINARY:
        return state
    return f"{state}, {ActualLrp.Presence.Name(instance.presence)}"


def port_mappings(instance: ActualLrp) -> str:
    """`61003→8080`, as the cell has them."""
    return " ".join(f"{port.host_port}→{port.container_port}" for port in instance.net_info.ports)


def instance_note(instance: ActualLrp) -> str:
    """What a person should know about an instance that is not simply running."""
    if instance.state == ActualLrp.UNCLAIMED:
        return instance.placement_error
    if instance.stopping:
        return "stopping"
    return instance.crash_reason if instance.state == ActualLrp.CRASHED else ""


def instance_view(now: float, standings: Mapping[str, str] | None = None) -> View[ActualLrp]:
    """`standings`: how each stands, by instance guid, for those who asked for more."""
    return View(
        columns=[
            Column("INSTANCE", instance_ref),
            Column("STATE", instance_state),
            Column("CELL", lambda i: i.cell_id or i.placed_cell_id),
            Column("PORTS", port_mappings),
            Column("ROUTABLE", lambda i: "yes" if i.routable else "no"),
            Column("SINCE", lambda i: since(i.since, now)),
            Column("CRASHES", lambda i: str(i.crash_count)),
            Column("NOTE", instance_note),
            Column("ADDRESS", lambda i: i.net_info.address, wide=True),
            Column("ZONE", lambda i: i.zone, wide=True),
            Column("DEFINITION", lambda i: str(i.definition_revision), wide=True),
            Column("REVISION", lambda i: str(i.provenance.revision), wide=True),
            Column("GUID", lambda i: i.instance_guid, wide=True),
            *_standing(standings, lambda i: i.instance_guid),
        ],
        name=instance_ref,
        form=json_form,
        nothing="no instances",
    )


def instances_in_order(rows: list[ActualLrp]) -> list[ActualLrp]:
    return sorted(rows, key=lambda row: (row.process_guid, row.index, row.presence))


def _of(used: int, capacity: int) -> str:
    return f"{amount_mb(used)} of {amount_mb(capacity)}"


def _tags(cell: Cell) -> str:
    return " ".join([*cell.placement_tags, *(f"({tag})" for tag in cell.optional_placement_tags)])


def cell_note(status: cell_pb2.CellStatus) -> str:
    """Why a cell takes no new work; nothing where it does."""
    cell = status.cell
    by_operator = "cordoned" if cell.cordoned else ""
    if cell.HasField("drain"):
        by_operator = "drained" if _is_empty(status) else _drain(cell.drain)
    accepted = "its loss is accepted" if cell.loss_accepted else ""
    return "; ".join(text for text in (by_operator, accepted, cell.unhealthy_reason) if text)


def _is_empty(status: cell_pb2.CellStatus) -> bool:
    return not status.tasks and not status.instances


def _drain(drain: record_pb2.Drain) -> str:
    return f"draining until {drain.deadline_at.ToDatetime():%Y-%m-%dT%H:%M:%SZ} at the latest"


def cell_view(now: float) -> View[cell_pb2.CellStatus]:
    return View(
        columns=[
            Column("CELL", lambda s: s.cell.cell_id),
            Column("STATE", lambda s: Cell.State.Name(s.cell.state)),
            Column("ZONE", lambda s: s.cell.zone),
            Column("TASKS", lambda s: str(s.tasks)),
            Column("INSTANCES", lambda s: str(s.instances)),
            Column("MEMORY", lambda s: _of(s.used.memory_mb, s.cell.capacity.memory_mb)),
            Column("CONTAINERS", lambda s: f"{s.used.containers} of {s.cell.capacity.containers}"),
            Column("BACKEND", lambda s: s.cell.backend),
            Column("SINCE", lambda s: since(s.cell.since, now)),
            Column("NOTE", lambda s: cell_note(s)),
            Column("DISK", lambda s: _of(s.used.disk_mb, s.cell.capacity.disk_mb), wide=True),
            Column("ADDRESS", lambda s: s.cell.address, wide=True),
            Column("TAGS", lambda s: _tags(s.cell), wide=True),
            Column("ISOLATION", lambda s: s.cell.isolation, wide=True),
        ],
        name=lambda s: s.cell.cell_id,
        form=json_form,
        nothing="no cells",
    )


def change_kind(change: record_pb2.Change) -> str:
    return change.WhichOneof("row") or ""


def change_line(change: record_pb2.Change) -> str:
    """One step of the history for a person."""
    at = change.at.ToDatetime().strftime("%H:%M:%S.%f")[:-3]
    verb = record_pb2.Change.Verb.Name(change.verb)
    by = f"  by {change.by}" if change.by else ""
    cause = f": {change.cause}" if change.cause else ""
    what = f"{change_kind(change)} {_change_subject(change)}"
    return f"{at}  {change.revision}  {verb:<7}  {what}{by}{cause}"


def _change_subject(change: record_pb2.Change) -> str:
    kind = change_kind(change)
    if kind == "task":
        result = task_result(change.task)
        words = [
            change.task.task_guid,
            Task.State.Name(change.task.state),
            change.task.cell_id,
            result,
        ]
    elif kind == "desired_lrp":
        words = [change.desired_lrp.process_guid, instances_text(change.desired_lrp.instances)]
    elif kind == "actual_lrp":
        instance = change.actual_lrp
        words = [instance_ref(instance), instance_state(instance), instance.cell_id]
        words.append(instance_note(instance))
    elif kind == "cell":
        words = [change.cell.cell_id, Cell.State.Name(change.cell.state)]
    elif kind == "task_schedule":
        schedule = change.task_schedule
        words = [schedule.name, schedule.cron, "paused" if schedule.paused else ""]
        words.append(f"last task {schedule.last_task_guid}" if schedule.last_task_guid else "")
    elif kind == "domain":
        words = [change.domain.domain, f"ttl {change.domain.ttl_s} s"]
    else:
        words = [change.lock.name, change.lock.owner or "free"]
    return "  ".join(word for word in words if word)
