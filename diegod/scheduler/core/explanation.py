"""`explain`: why a task or an instance is where it is, or nowhere; what happens next, and when.

It runs convergence and the auction on the rows that it is given, so what it says is what a brain
with those rows would do. Does not belong here: how it looks (`cli`).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from diegod.models.restart import RestartAt, restart
from diegod.scheduler.core.auction import Rules
from diegod.scheduler.core.batch import Lot, instance_lot, task_lot
from diegod.scheduler.core.cell_verdicts import PlacementView, loads_of, view, without
from diegod.scheduler.core.convergence import converge
from diegod.scheduler.core.decision import process_key, task_key
from diegod.scheduler.core.dependencies import gates, unmet
from diegod.scheduler.core.limits import Limits
from diegod.scheduler.core.snapshot import Key, Load, Snapshot, is_starting, seconds
from diegod.scheduler.core.task_repairs import callback_is_due_sometime
from diegod.v1.cell_pb2 import CellStatus
from diegod.v1.definition_pb2 import LrpDefinition
from diegod.v1.record_pb2 import ActualLrp, Cell, Change, DesiredLrp, Task, TaskSchedule

_DEFAULTS = Limits()
Row = Task | DesiredLrp | ActualLrp | Cell | TaskSchedule


@dataclass(frozen=True)
class Explanation:
    title: str  # "backup", "web/0"
    state: str  # by name; empty: there is no such row
    reason: str  # one sentence
    cell_id: str = ""  # where it is, or is on its way to
    due: tuple[str, ...] = ()  # what a brain would do about it at this moment, and why
    deadline: float | None = None  # when something happens by itself; None: nothing does
    placement: PlacementView | None = None  # None: it is over, or there is nothing to place


def snapshot_of(rows: Iterable[Row], now: float = 0.0) -> Snapshot:
    """What a brain would see that had just these rows."""
    snapshot = Snapshot()
    snapshot.apply_changes(_created(row) for row in rows)
    snapshot.at = now
    return snapshot


def explain_task(
    snapshot: Snapshot,
    task_guid: str,
    rules: Rules,
    now: float,
    limits: Limits = _DEFAULTS,
    cells: Sequence[CellStatus] = (),
) -> Explanation:
    """`cells`, if given, say how full they are; else what is in the snapshot does."""
    task = snapshot.tasks.get(task_guid)
    if task is None:
        return Explanation(task_guid, "", f"there is no task {task_guid}")
    due, deadline = _next(snapshot, task_key(task_guid), now, limits)
    placement = None
    if task.state in (Task.PENDING, Task.RUNNING):
        placement = _placement(snapshot, task, task_lot(snapshot, task), rules, cells)
        deadline = _earliest(deadline, _times_out_at(task))
    reason = _of_task(snapshot, task, placement)
    state = Task.State.Name(task.state)
    return Explanation(task_guid, state, reason, _cell_of(task), due, deadline, placement)


def explain_instance(
    snapshot: Snapshot,
    process_guid: str,
    index: int,
    rules: Rules,
    now: float,
    limits: Limits = _DEFAULTS,
    cells: Sequence[CellStatus] = (),
) -> Explanation:
    """Of several at one index, the ordinary one."""
    title = f"{process_guid}/{index}"
    due, deadline = _next(snapshot, process_key(process_guid), now, limits)
    desired = snapshot.desired.get(process_guid)
    rows = [row for row in snapshot.instances_of(process_guid) if row.index == index]
    if not rows:
        return Explanation(title, "", _why_none(desired, process_guid, index), "", due, deadline)
    row, placement = rows[0], None
    waits_for = unmet(snapshot, gates(desired)) if desired else ""
    if row.state != ActualLrp.CRASHED:
        placement = _placement(snapshot, row, instance_lot(row), rules, cells)
    elif desired is not None:
        restarts = restart(desired.crash_policy, row.crash_count, seconds(row.since), now)
        deadline = _earliest(deadline, restarts.at if isinstance(restarts, RestartAt) else None)
    reason = "; ".join([_of_instance(row, waits_for, placement), *map(_beside, rows[1:])])
    return Explanation(title, _state(row), reason, _cell_of(row), due, deadline, placement)


def _created(row: Row) -> Change:
    change = Change(verb=Change.CREATED, revision=row.provenance.revision)
    if isinstance(row, Task):
        change.task.CopyFrom(row)
    elif isinstance(row, DesiredLrp):
        change.desired_lrp.CopyFrom(row)
    elif isinstance(row, ActualLrp):
        change.actual_lrp.CopyFrom(row)
    elif isinstance(row, Cell):
        change.cell.CopyFrom(row)
    else:
        change.task_schedule.CopyFrom(row)
    return change


def _next(
    snapshot: Snapshot, key: Key, now: float, limits: Limits
) -> tuple[tuple[str, ...], float | None]:
    """What convergence does now, and when time alone makes it do more."""
    repairs = converge(snapshot, [key], now, limits)
    return tuple(decision.reason for decision in repairs.decisions), repairs.next_deadline


def _placement(
    snapshot: Snapshot, row: Task | ActualLrp, lot: Lot, rules: Rules, cells: Sequence[CellStatus]
) -> PlacementView:
    """As if it were placed now: what is somewhere already does not stand in its own way."""
    cell_id, work = _cell_of(row), lot.work
    all_cells = [each.cell for each in cells] or list(snapshot.cells.values())
    loads = loads_of(cells) or {each.cell_id: snapshot.load(each.cell_id) for each in all_cells}
    instances = dict(snapshot.instances_by_cell(work.guid)) if work.kind == "lrp" else {}
    if cell_id:
        counts_as_starting = not cells and is_starting(row)
        load = loads.get(cell_id) or Load()
        loads[cell_id] = without(load, work, is_starting=counts_as_starting)
        instances[cell_id] = max(instances.get(cell_id, 0) - 1, 0)
    return view(all_cells, loads, work, rules, lot.strategy, instances)


def _of_task(snapshot: Snapshot, task: Task, placement: PlacementView | None) -> str:
    if task.state == Task.PENDING:
        return _why_waiting(task.placed_cell_id, unmet(snapshot, task.depends_on), placement)
    if task.state == Task.RUNNING:
        cell = snapshot.cells.get(task.cell_id)
        if cell is None or cell.state != Cell.PRESENT:
            return f"it was started on {task.cell_id}, which is missing"
        drains = ", which is being drained" if cell.HasField("drain") else ""
        return f"it runs on {task.cell_id}{drains}"
    if task.state == Task.RESOLVING:
        return "somebody is using its result, or its callback is being posted"
    ended = f"it failed: {task.failure_reason}" if task.failed else "it succeeded"
    return f"{ended}; {_of_callback(task)}" if task.HasField("callback") else ended


def _of_callback(task: Task) -> str:
    callback = task.callback
    if callback.delivered:
        return f"its callback answered with status {callback.http_status}"
    if not callback_is_due_sometime(task):
        return f"its callback was given up after {callback.tries} tries: {callback.last_error}"
    if callback.tries:
        return f"its callback was not heard in {callback.tries} tries: {callback.last_error}"
    return "its callback is about to be posted"


def _why_waiting(placed_cell_id: str, waits_for: str, placement: PlacementView | None) -> str:
    if placed_cell_id:
        return f"it is placed on {placed_cell_id}, which has not taken it up yet"
    if waits_for:
        return f"it {waits_for}"
    if placement is not None and placement.refusal:
        return f"no cell can take it: {placement.refusal}"
    return "it is about to be placed"


def _of_instance(row: ActualLrp, waits_for: str, placement: PlacementView | None) -> str:
    if row.state == ActualLrp.UNCLAIMED:
        return _why_waiting(row.placed_cell_id, waits_for, placement)
    if row.state == ActualLrp.CRASHED:
        return f"it crashed {_times(row.crash_count)}: {row.crash_reason}"
    if row.stopping:
        return f"{row.cell_id} has been asked to stop it"
    if row.presence == ActualLrp.EVACUATING:
        return f"it serves on {row.cell_id} until its replacement does"
    if row.presence == ActualLrp.SUSPECT:
        return f"{row.cell_id}, on which it ran, is missing"
    if row.state == ActualLrp.CLAIMED:
        return f"{row.cell_id} is starting it"
    return f"it runs on {row.cell_id}" + ("" if row.routable else " and is not routable")


def _beside(row: ActualLrp) -> str:
    return f"beside it one is {_state(row)} on {_cell_of(row) or 'no cell'}"


def _why_none(desired: DesiredLrp | None, process_guid: str, index: int) -> str:
    if desired is None:
        return f"there is no LRP {process_guid}"
    if desired.stopped:
        return f"{process_guid} is stopped"
    if desired.mode != LrpDefinition.GLOBAL and index >= desired.instances:
        return f"only {desired.instances} instances of {process_guid} are desired"
    return "it is about to be created"


def _state(row: ActualLrp) -> str:
    words = [ActualLrp.State.Name(row.state)]
    if row.presence != ActualLrp.ORDINARY:
        words.append(ActualLrp.Presence.Name(row.presence))
    return " ".join(words)


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _cell_of(row: Task | ActualLrp) -> str:
    if isinstance(row, Task):
        is_over = row.state in (Task.COMPLETED, Task.RESOLVING)
    else:
        is_over = row.state == ActualLrp.CRASHED
    return "" if is_over else row.cell_id or row.placed_cell_id


def _times_out_at(task: Task) -> float | None:
    if task.state != Task.RUNNING or not task.execution_timeout_ms:
        return None
    return seconds(task.started_at) + task.execution_timeout_ms / 1000


def _earliest(*moments: float | None) -> float | None:
    return min((at for at in moments if at is not None), default=None)
