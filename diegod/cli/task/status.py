"""What `task run` ends with: the program's status, or why there is none. Pure."""

from diegod.cli.record.views import has_own_status
from diegod.cli.terminal.errors import (
    COULD_NOT_RUN,
    DONE,
    NO_SUCH_PROGRAM,
    NOT_EXECUTABLE,
    TIMED_OUT,
)
from diegod.v1.record_pb2 import Task

#: As the cell words it when `execution_timeout_ms` is over.
_TIMED_OUT = "timed out"
#: As the kernel words what happens to a program that can't be started, and what shells make of it.
_STATUS_OF_START_FAILURE = (
    (("no such file", "not found"), NO_SUCH_PROGRAM),
    (("permission denied", "exec format error", "is a directory"), NOT_EXECUTABLE),
)


def program_status(task: Task) -> int:
    """The exit status of a completed task, as `docker run` and shells number them."""
    if task.failure_reason.startswith(_TIMED_OUT):
        return TIMED_OUT
    if task.outcome_unknown:
        return COULD_NOT_RUN
    if has_own_status(task):
        return task.exit_status
    return _status_of_failure(task.failure_reason) if task.failed else DONE


def _status_of_failure(reason: str) -> int:
    for wordings, status in _STATUS_OF_START_FAILURE:
        if any(wording in reason.lower() for wording in wordings):
            return status
    return COULD_NOT_RUN


def failure_line(task: Task) -> str:
    """One line on a task that ended otherwise than by its program; "" where that one ended it."""
    guid, reason = task.task_guid, task.failure_reason
    if task.failure_reason.startswith(_TIMED_OUT):
        return f"task {guid} timed out after {task.execution_timeout_ms / 1000:g} s"
    if task.outcome_unknown:
        where = f" on {task.cell_id} (attempt {task.attempt})" if task.cell_id else ""
        return f"task {guid}: outcome unknown: {reason}{where}. It will not be run again"
    if has_own_status(task) or not task.failed:
        return ""
    if task.exit_status_known:
        return f"task {guid} failed: {reason}"
    return f"task {guid} could not be run: {reason}"
