"""The life of a task: which command leads from which state to which.

The rules that check the rest (cell, attempt, revision) stand in `diegod.raftbbs.core.tasks`; no
rule moves a task in a way that is not a row of this table.
"""

from diegod.v1.record_pb2 import Task

State = Task.State

#: (from, command) -> to. A task that is deleted has no state: None.
TRANSITIONS: dict[tuple[State.ValueType, str], State.ValueType | None] = {
    (Task.PENDING, "place_task"): Task.PENDING,
    (Task.PENDING, "refuse_task"): Task.PENDING,
    (Task.PENDING, "withdraw_task"): Task.PENDING,
    (Task.PENDING, "start_task"): Task.RUNNING,
    (Task.PENDING, "reject_task"): Task.PENDING,  # or COMPLETED, when too often
    (Task.RUNNING, "reject_task"): Task.PENDING,  # granted, and known never to have started
    (Task.PENDING, "fail_task"): Task.COMPLETED,
    (Task.RUNNING, "fail_task"): Task.COMPLETED,
    (Task.PENDING, "cancel_task"): Task.COMPLETED,
    (Task.RUNNING, "cancel_task"): Task.COMPLETED,
    (Task.RUNNING, "complete_task"): Task.COMPLETED,
    (Task.COMPLETED, "expire_task"): None,
    (Task.COMPLETED, "delete_task"): None,
}


def allows(state: State.ValueType, command: str) -> bool:
    return (state, command) in TRANSITIONS
