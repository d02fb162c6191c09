"""What convergence does about one task (Diego: bbs/db/sqldb/task_convergence.go).

A task is started at most once: a placement may be withdrawn and made anew, but a task that has
been started is never placed again. It ends as its cell says, or with its cell.
"""

from diegod.internal.v1.command_pb2 import ExpireTask, FailTask, WithdrawTask
from diegod.scheduler.core.decision import task_key
from diegod.scheduler.core.placements import not_taken_up
from diegod.scheduler.core.repairs import Sheet
from diegod.scheduler.core.snapshot import Key, seconds
from diegod.v1.record_pb2 import Task


def repair_task(sheet: Sheet, task: Task) -> None:
    key = task_key(task.task_guid)
    if task.state == Task.PENDING:
        if not _fail_if_late(sheet, key, task):
            _withdraw_if_not_taken_up(sheet, key, task)
    elif task.state == Task.RUNNING:
        _fail_if_cell_is_gone(sheet, key, task)
    elif task.state == Task.COMPLETED:
        _expire_if_old(sheet, key, task)


def start_deadline(task: Task) -> float:
    """Not started by then, it is failed and never run; infinite: there is none."""
    if not task.start_deadline_ms:
        return float("inf")
    return seconds(task.created_at) + task.start_deadline_ms / 1000


def _fail_if_late(sheet: Sheet, key: Key, task: Task) -> bool:
    at = start_deadline(task)
    if at == float("inf") or not sheet.is_due(key, at):
        return False
    action = FailTask(
        task_guid=task.task_guid,
        row_revision=task.provenance.revision,
        failure_reason="not started within time limit",
    )
    reason = f"not started within {task.start_deadline_ms / 1000:g} s"
    sheet.decide_unless_held(key, [(action, reason)])
    return True


def _withdraw_if_not_taken_up(sheet: Sheet, key: Key, task: Task) -> None:
    if task.placed_cell_id and (why := not_taken_up(sheet, key, task)):
        action = WithdrawTask(task_guid=task.task_guid, row_revision=task.provenance.revision)
        sheet.decide(key, action, why)


def _fail_if_cell_is_gone(sheet: Sheet, key: Key, task: Task) -> None:
    """A cell that registered again keeps its tasks: only one that is missing has lost them."""
    if sheet.snapshot.is_present(task.cell_id):
        return
    action = FailTask(
        task_guid=task.task_guid,
        row_revision=task.provenance.revision,
        failure_reason="cell disappeared before completion",
        outcome_unknown=True,
    )
    sheet.decide_unless_held(key, [(action, f"cell {task.cell_id} disappeared before completion")])


def _expire_if_old(sheet: Sheet, key: Key, task: Task) -> None:
    if not sheet.is_due(key, seconds(task.completed_at) + task.retention_ms / 1000):
        return
    action = ExpireTask(task_guid=task.task_guid, row_revision=task.provenance.revision)
    reason = f"completed more than {task.retention_ms / 1000:g} s ago"
    sheet.decide_unless_held(key, [(action, reason)])
