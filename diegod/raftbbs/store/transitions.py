"""One line of a story, made of a row: its state by name, where it was, and why it is so."""

from google.protobuf.timestamp_pb2 import Timestamp

from diegod.raftbbs.core.decision import Row
from diegod.v1.record_pb2 import (
    ActualLrp,
    Cell,
    Change,
    DesiredLrp,
    Rollout,
    Task,
    TaskSchedule,
    Transition,
)


def transition_of(row: Row, verb: Change.Verb.ValueType, at: Timestamp) -> Transition:
    """The version of a row that came to be at this time, or what was removed then."""
    said = row.provenance
    line = Transition(revision=said.revision, at=at, verb=verb, by=said.by, cause=said.cause)
    match row:
        case Task():
            _of_task(row, line)
        case DesiredLrp():
            _of_desired(row, line)
        case ActualLrp():
            _of_actual(row, line)
        case Cell():
            _of_cell(row, line)
        case TaskSchedule():
            _of_schedule(row, line)
    return line


def _of_task(task: Task, line: Transition) -> None:
    line.state = Task.State.Name(task.state)
    line.cell_id = task.cell_id or task.placed_cell_id
    line.attempt = task.attempt
    if task.state == Task.PENDING:
        line.detail = task.placement_error or task.rejection_reason
    else:
        unheard = "" if task.callback.delivered else task.callback.last_error
        line.detail = task.failure_reason or unheard


def _of_desired(desired: DesiredLrp, line: Transition) -> None:
    if desired.removing:
        line.state = "REMOVING"
    elif desired.stopped:
        line.state = "STOPPED"
    else:
        line.state = Rollout.State.Name(desired.rollout.state)
    version = f", version {desired.version}" if desired.version else ""
    reason = f": {desired.rollout.reason}" if desired.rollout.reason else ""
    line.detail = f"{desired.instances} instances{version}{reason}"


def _of_actual(row: ActualLrp, line: Transition) -> None:
    presence = "" if row.presence == ActualLrp.ORDINARY else ActualLrp.Presence.Name(row.presence)
    line.state = f"{ActualLrp.State.Name(row.state)} {presence}".rstrip()
    line.cell_id = row.cell_id or row.placed_cell_id or row.last_cell_id
    line.instance_guid = row.instance_guid
    line.detail = _why(row)


def _why(row: ActualLrp) -> str:
    if row.state == ActualLrp.UNCLAIMED:
        return row.placement_error
    if row.state == ActualLrp.CRASHED:
        return row.crash_reason
    return "asked to stop" if row.stopping else ""


def _of_cell(cell: Cell, line: Transition) -> None:
    words = [Cell.State.Name(cell.state)]
    if cell.HasField("drain"):
        words.append("DRAINING")
    elif cell.cordoned:
        words.append("CORDONED")
    line.state = " ".join(words)
    line.cell_id = cell.cell_id
    line.detail = "loss accepted" if cell.loss_accepted else cell.unhealthy_reason


def _of_schedule(schedule: TaskSchedule, line: Transition) -> None:
    line.state = "PAUSED" if schedule.paused else "ACTIVE"
    was_skipped = schedule.HasField("last_skipped_slot") and (
        schedule.last_skipped_slot == schedule.last_slot
    )
    line.detail = schedule.last_skip_reason if was_skipped else schedule.last_task_guid
