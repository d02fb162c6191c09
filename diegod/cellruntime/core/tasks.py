"""What is special about tasks: the start grant, the time limit, the result.

A task is started only on a grant that was the answer to this cell's own question. That a row says
RUNNING here is no grant: the answer may have been given to an earlier life of this agent.
"""

from diegod.cellruntime.core import commands, ending, steps
from diegod.cellruntime.core.container import Container, View, note_away, note_row
from diegod.cellruntime.core.crash_points import Phase, Verb, Verdict
from diegod.cellruntime.core.keys import TaskKey
from diegod.cellruntime.core.lifecycle import State
from diegod.cellruntime.core.states import CellState
from diegod.contracts.backend import Exit
from diegod.internal.v1.command_pb2 import Outcome
from diegod.v1.record_pb2 import Task

GRANT_TOO_LATE = "not started: the grant came too late"


def unknown(reason: str) -> Verdict:
    """It may have run, to its end or not; nobody can tell."""
    return Verdict(Verb.COMPLETE, reason, failed=True, outcome_unknown=True)


def failed(reason: str) -> Verdict:
    return Verdict(Verb.COMPLETE, reason, failed=True)


def result(ended: Exit) -> Verdict:
    return Verdict(
        Verb.COMPLETE,
        "" if ended.status == 0 else exit_reason(ended),
        failed=ended.status != 0,
        exit_status=ended.status,
    )


def exit_reason(ended: Exit) -> str:
    oom = " (out of memory)" if ended.oom_killed else ""
    return f"exited with status {ended.status}{oom}"


def prepared(s: CellState, container: Container) -> None:
    """Record that the grant is about to be asked for; only then ask."""
    s.move(container, State.ASKING)
    if container.recorded is Phase.INTENT:
        ask_for_grant(s, container)
    else:
        steps.record(s, container, Phase.INTENT)


def ask_for_grant(s: CellState, container: Container) -> None:
    steps.ask(s, container, commands.start_task(container))


def grant_answered(s: CellState, container: Container, outcome: Outcome) -> None:
    """Only a definite grant, to this cell, for this attempt, and to this life of the agent."""
    if commands.refused_for_good(outcome):
        note_away(container, container.row_revision)
        ending.close(s, container, None, f"not granted: {outcome.message}")
        return
    note_row(container, outcome.task, outcome.task.provenance.revision, s.facts.cell_id)
    if not _is_granted(outcome.task, container, s.facts.cell_id):
        note_away(container, container.row_revision)
        ending.close(s, container, None, "not granted: the task has moved on")
    elif outcome.task.cell_incarnation < container.asked_under:
        reason = "it was granted to an earlier agent of this cell, which left no record of it"
        ending.close(s, container, unknown(reason), reason)
    else:
        container.question = None
        container.fencing_token = outcome.task.fencing_token
        s.move(container, State.GRANTED, "granted")
        steps.record(s, container, Phase.GRANTED)


def _is_granted(task: Task, container: Container, cell_id: str) -> bool:
    key = container.key
    return (
        isinstance(key, TaskKey)
        and task.task_guid == key.task_guid
        and task.state == Task.RUNNING
        and task.cell_id == cell_id
        and task.attempt == key.attempt
    )


def running(s: CellState, container: Container, now: float) -> None:
    """It runs and its row may be known: hold it to its time limit, or end it if it is unwanted."""
    if container.is_away:
        ending.stop(s, container, "its row is no longer this cell's", now)
        return
    limit_ms = container.row.execution_timeout_ms if isinstance(container.row, Task) else 0
    if limit_ms and container.started_at is not None:
        container.wake_at = container.started_at + limit_ms / 1000


def time_limit_reached(s: CellState, container: Container) -> None:
    ending.close(s, container, failed("timed out"), "timed out", stop_first=True)


def ended(s: CellState, container: Container, how: Exit) -> None:
    ending.report_first(s, container, result(how), exit_reason(how))


def lost(s: CellState, container: Container, reason: str) -> None:
    ending.close(s, container, unknown(reason), reason)


def row_seen(s: CellState, container: Container, now: float) -> None:
    """A newer row that is still this cell's."""
    if container.state is State.RUNNING:
        running(s, container, now)


def without_container(s: CellState, container: Container) -> None:
    """The row says that it runs here, and there is no record: whatever there is, is destroyed."""
    assert container.view is View.HELD
    reason = "its container is gone from the cell, and so is every record of it"
    container.verdict = unknown(reason)
    steps.destroy(s, container, reason)
