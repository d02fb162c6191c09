"""What convergence does about one task (Diego: bbs/db/sqldb/task_convergence.go).

A task is started at most once: a placement may be withdrawn and made anew, but a task that has
been started is never placed again. It ends as its cell says, or with its cell. Does not belong
here: posting to a callback URL (`scheduler.callbacks`).
"""

from diegod.internal.v1.command_pb2 import (
    ClaimCallback,
    ExpireTask,
    FailTask,
    ReopenTask,
    WithdrawTask,
)
from diegod.scheduler.core.decision import Action, task_key
from diegod.scheduler.core.dependencies import in_vain, vanished
from diegod.scheduler.core.placements import not_taken_up
from diegod.scheduler.core.repairs import Sheet
from diegod.scheduler.core.snapshot import Key, seconds
from diegod.v1.record_pb2 import Callback, Task

#: So long one caller may keep a completed task to itself, and one try of a callback may take.
RESOLVING_S = 30.0
#: A task may be desired so long before what it waits for: people submit both, in any order.
DEPENDENCY_GRACE_S = 30.0


def repair_task(sheet: Sheet, task: Task) -> None:
    key = task_key(task.task_guid)
    if task.state == Task.PENDING:
        _repair_pending(sheet, key, task)
    elif task.state == Task.RUNNING:
        if not _fail_if_cell_is_gone(sheet, key, task):
            _fail_if_drained(sheet, key, task)
    elif task.state == Task.RESOLVING:
        _reopen_if_left_alone(sheet, key, task)
    elif task.state == Task.COMPLETED:
        is_told = not callback_is_due_sometime(task)
        # A policy without an end of its own goes on until the record goes, and so can't keep it.
        expires = is_told or not task.callback.give_up_after_ms
        if not (expires and _expire_if_old(sheet, key, task)) and not is_told:
            _claim_if_due(sheet, key, task)


def start_deadline(task: Task) -> float:
    """Not started by then, it is failed and never run; infinite: there is none."""
    if not task.start_deadline_ms:
        return float("inf")
    return seconds(task.created_at) + task.start_deadline_ms / 1000


def callback_is_due_sometime(task: Task) -> bool:
    """Whether its end is still to be told."""
    callback = task.callback
    return task.HasField("callback") and not callback.delivered and not callback.given_up


def callback_due_at(task: Task) -> float:
    if task.callback.HasField("next_try_at"):
        return seconds(task.callback.next_try_at)
    return seconds(task.completed_at)


def _repair_pending(sheet: Sheet, key: Key, task: Task) -> None:
    if _fail_if_late(sheet, key, task):
        return
    if task.placed_cell_id:
        _withdraw_if_not_taken_up(sheet, key, task)
    elif task.depends_on:
        _fail_if_it_waits_in_vain(sheet, key, task)


def _fail_if_late(sheet: Sheet, key: Key, task: Task) -> bool:
    at = start_deadline(task)
    if at == float("inf") or not sheet.is_due(key, at):
        return False
    action = _failure(task, Task.NOT_STARTED_IN_TIME, "not started within time limit")
    reason = f"not started within {task.start_deadline_ms / 1000:g} s"
    sheet.decide_unless_held(key, [(action, reason)])
    return True


def _withdraw_if_not_taken_up(sheet: Sheet, key: Key, task: Task) -> None:
    if why := not_taken_up(sheet, key, task):
        action = WithdrawTask(task_guid=task.task_guid, row_revision=task.provenance.revision)
        sheet.decide(key, action, why)


def _fail_if_it_waits_in_vain(sheet: Sheet, key: Key, task: Task) -> None:
    why = in_vain(sheet.snapshot, task.depends_on)
    if not why and (guid := vanished(sheet.snapshot, task.depends_on)):
        if not sheet.is_due(key, seconds(task.created_at) + DEPENDENCY_GRACE_S):
            return
        why = f"task {guid}, for which it waited, is not there"
    if why:
        sheet.decide_unless_held(key, [(_failure(task, Task.DEPENDENCY, why), why)])


def _fail_if_cell_is_gone(sheet: Sheet, key: Key, task: Task) -> bool:
    """A cell that registered again keeps its tasks: only one that is missing has lost them.

    Of a cell that was removed, or whose loss was accepted, a person said that it never comes back:
    a mass loss of others does not hold that up.
    """
    cell = sheet.snapshot.cells.get(task.cell_id)
    if cell is not None and sheet.snapshot.is_present(task.cell_id):
        return False
    action = _failure(
        task, Task.CELL_LOST, "cell disappeared before completion", outcome_unknown=True
    )
    step: tuple[Action, str] = action, f"cell {task.cell_id} disappeared before completion"
    if cell is None or cell.loss_accepted:
        sheet.decide(key, *step)
    else:
        sheet.decide_unless_held(key, [step])
    return True


def _fail_if_drained(sheet: Sheet, key: Key, task: Task) -> None:
    """A drain waits for tasks until its deadline. It was asked for: no mass loss holds it up."""
    cell = sheet.snapshot.cells[task.cell_id]
    if cell.HasField("drain") and sheet.is_due(key, seconds(cell.drain.deadline_at)):
        why = f"timed out during the drain of cell {task.cell_id}"
        sheet.decide(key, _failure(task, Task.DRAINED, why), why)


def _reopen_if_left_alone(sheet: Sheet, key: Key, task: Task) -> None:
    if sheet.is_due(key, seconds(task.since) + RESOLVING_S):
        action = ReopenTask(task_guid=task.task_guid, row_revision=task.provenance.revision)
        sheet.decide(key, action, f"left alone for {RESOLVING_S:g} s while it was being resolved")


def _claim_if_due(sheet: Sheet, key: Key, task: Task) -> None:
    if sheet.is_due(key, callback_due_at(task)):
        action = ClaimCallback(task_guid=task.task_guid, row_revision=task.provenance.revision)
        sheet.decide(key, action, f"its end is told to its callback, {_try(task.callback)}")


def _expire_if_old(sheet: Sheet, key: Key, task: Task) -> bool:
    if not sheet.is_due(key, seconds(task.completed_at) + task.retention_ms / 1000):
        return False
    action = ExpireTask(task_guid=task.task_guid, row_revision=task.provenance.revision)
    reason = f"completed more than {task.retention_ms / 1000:g} s ago"
    sheet.decide_unless_held(key, [(action, reason)])
    return True


def _failure(
    task: Task, failure: Task.Failure.ValueType, why: str, *, outcome_unknown: bool = False
) -> FailTask:
    return FailTask(
        task_guid=task.task_guid,
        row_revision=task.provenance.revision,
        failure_reason=why,
        failure=failure,
        outcome_unknown=outcome_unknown,
    )


def _try(callback: Callback) -> str:
    return f"try {callback.tries + 1}"
