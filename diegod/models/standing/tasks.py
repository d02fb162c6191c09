"""How a task stands."""

from diegod.models.standing.facts import (
    Facts,
    Standing,
    at_rest,
    by_brain,
    has_place,
    in_next_pass,
    moving,
    seconds,
)
from diegod.v1.record_pb2 import Task

#: Whoever claimed the end of a task and did nothing with it for so long has lost it again.
RESOLVING_S = 30.0


def of_task(task: Task, facts: Facts, now: float) -> Standing:
    if task.state == Task.PENDING:
        return _pending(task, facts, now)
    if task.state == Task.RUNNING:
        return _running(task, facts, now)
    if task.state == Task.RESOLVING:
        reason = "its end is being told, or its result fetched"
        return by_brain(facts, reason, seconds(task.since) + RESOLVING_S, now)
    return _completed(task, facts, now)


def _pending(task: Task, facts: Facts, now: float) -> Standing:
    if task.placed_cell_id:
        return has_place(facts, task.placed_cell_id, task.placed_at, now)
    reason = task.placement_error or "waits for the next auction"
    if task.rejection_reason and not task.placement_error:
        reason = f"rejected ({task.rejection_reason}), placed anew in the next auction"
    if not task.start_deadline_ms:
        return in_next_pass(facts, reason, now)
    at = seconds(task.created_at) + task.start_deadline_ms / 1000
    return by_brain(facts, reason, at, now, held=True)


def _running(task: Task, facts: Facts, now: float) -> Standing:
    cell_id = task.cell_id
    if not facts.is_present(cell_id):
        reason = f"its cell {cell_id} is missing: it is failed, its outcome unknown"
        return in_next_pass(facts, reason, now, held=True)
    limits = []
    if task.execution_timeout_ms:
        limits.append(seconds(task.started_at) + task.execution_timeout_ms / 1000)
    drained_at = facts.drain_deadline(cell_id)
    if drained_at is not None:
        limits.append(drained_at)
    if not limits:
        return at_rest(f"runs on {cell_id}")
    why = f"{cell_id} is being drained" if drained_at == min(limits) else "its time is limited"
    return moving(f"runs on {cell_id}; {why}", min(limits))


def _completed(task: Task, facts: Facts, now: float) -> Standing:
    callback = task.callback
    if task.HasField("callback") and not (callback.delivered or callback.given_up):
        due = seconds(callback.next_try_at) or seconds(task.completed_at)
        said = f" (try {callback.tries} failed: {callback.last_error})" if callback.tries else ""
        return by_brain(facts, f"its callback has not been told yet{said}", due, now)
    return at_rest(
        "ended; kept until it is fetched and deleted",
        seconds(task.completed_at) + task.retention_ms / 1000,
    )
