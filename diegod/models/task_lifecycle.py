"""The life of a task: which command leads from which state to which.

The rules that check the rest (cell, attempt, revision) stand in `diegod.raftbbs.core`; no rule
moves a task in a way that is not a row of this table. The picture in `docs/explanation` is drawn
from it.
"""

from diegod.v1.record_pb2 import Task

State = Task.State

#: (from, command) -> to. A task that is not there (yet, or any more) has no state: None.
#: Where a command has two ends, the second one is what it comes to when it was once too often.
TRANSITIONS: dict[
    tuple[State.ValueType | None, str], tuple[State.ValueType | None, ...]
] = {
    (None, "desire_task"): (Task.PENDING,),
    (None, "fire_schedule"): (Task.PENDING,),
    (Task.PENDING, "place_task"): (Task.PENDING,),
    (Task.PENDING, "refuse_task"): (Task.PENDING,),
    (Task.PENDING, "withdraw_task"): (Task.PENDING,),
    (Task.PENDING, "start_task"): (Task.RUNNING,),
    (Task.PENDING, "reject_task"): (Task.PENDING, Task.COMPLETED),
    # Granted, and known never to have started:
    (Task.RUNNING, "reject_task"): (Task.PENDING, Task.COMPLETED),
    (Task.PENDING, "fail_task"): (Task.COMPLETED,),
    (Task.RUNNING, "fail_task"): (Task.COMPLETED,),
    (Task.PENDING, "cancel_task"): (Task.COMPLETED,),
    (Task.RUNNING, "cancel_task"): (Task.COMPLETED,),
    (Task.RUNNING, "complete_task"): (Task.COMPLETED,),
    (Task.COMPLETED, "resolve_task"): (Task.RESOLVING,),
    (Task.COMPLETED, "claim_callback"): (Task.RESOLVING,),
    (Task.RESOLVING, "finish_callback"): (Task.COMPLETED,),
    (Task.RESOLVING, "reopen_task"): (Task.COMPLETED,),
    (Task.COMPLETED, "expire_task"): (None,),
    (Task.COMPLETED, "delete_task"): (None,),
    (Task.RESOLVING, "delete_task"): (None,),
}


def allows(state: State.ValueType, command: str) -> bool:
    return (state, command) in TRANSITIONS
