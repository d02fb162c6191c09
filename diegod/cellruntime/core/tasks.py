"""What is special about tasks: the start grant, the time limit, the result.

The result file is read after the program has ended by itself, well or badly, and before the BBS
is told. An agent that dies in between finds container and exit status again, and reads it again.

A task is started only on a grant that was the answer to this cell's own question. That a row says
RUNNING here is no grant: the answer may have been given to an earlier life of this agent.
"""

from codecs import getincrementaldecoder

from diegod.cellruntime.core import commands, ending, steps
from diegod.cellruntime.core.container import Container, View, note_away, note_row
from diegod.cellruntime.core.crash_points import Phase, Verb, Verdict
from diegod.cellruntime.core.keys import TaskKey
from diegod.cellruntime.core.lifecycle import State
from diegod.cellruntime.core.states import CellState
from diegod.cellruntime.core.steps import RESULT_BYTES_MAX
from diegod.cellruntime.core.work import Definition
from diegod.contracts.backend import Exit
from diegod.internal.v1.command_pb2 import Outcome
from diegod.v1.definition_pb2 import TaskDefinition
from diegod.v1.record_pb2 import Task

GRANT_TOO_LATE = "not started: the grant came too late"


def unknown(reason: str) -> Verdict:
    """It may have run, to its end or not; nobody can tell."""
    return Verdict(
        Verb.COMPLETE, reason, failed=True, outcome_unknown=True, failure=Task.AGENT_LOST_IT
    )


def failed(reason: str, failure: Task.Failure.ValueType) -> Verdict:
    return Verdict(Verb.COMPLETE, reason, failed=True, failure=failure)


def outcome(ended: Exit, result: str = "", problem: str = "") -> Verdict:
    """How it ended. A `problem` with its result fails a task that would have succeeded."""
    reason = problem if ended.status == 0 else exit_reason(ended)
    return Verdict(
        Verb.COMPLETE,
        reason,
        failed=reason != "",
        exit_status=ended.status,
        failure=Task.PROGRAM if reason else Task.NONE,
        result=result,
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
        ending.stop(s, container, container.why_away, now)
        return
    limit_ms = container.row.execution_timeout_ms if isinstance(container.row, Task) else 0
    if limit_ms and container.started_at is not None:
        container.wake_at = container.started_at + limit_ms / 1000


def time_limit_reached(s: CellState, container: Container) -> None:
    verdict = failed("timed out", Task.TIMED_OUT)
    ending.close(s, container, verdict, "timed out", stop_first=True)


def ended(s: CellState, container: Container, how: Exit) -> None:
    if container.result_file and not container.is_away:
        container.exit = how
        steps.read_result(s, container, exit_reason(how))
    else:
        ending.report_first(s, container, outcome(how), exit_reason(how))


def result_read(s: CellState, container: Container, content: bytes | None) -> None:
    """A task that succeeds and leaves no result file has failed: it was asked for one."""
    if content is None:
        _report(s, container, problem=f"no result file at {container.result_file}")
    else:
        _report(s, container, result=text_of_result(content))


def result_unreadable(s: CellState, container: Container, reason: str) -> None:
    _report(s, container, problem=f"its result file can't be read: {reason}")


def _report(s: CellState, container: Container, *, result: str = "", problem: str = "") -> None:
    how = container.exit
    assert how is not None
    ending.report_first(s, container, outcome(how, result, problem), "its result was looked for")


def result_file(definition: Definition) -> str:
    return definition.result_file if isinstance(definition, TaskDefinition) else ""


def text_of_result(content: bytes) -> str:
    """At most RESULT_BYTES_MAX of UTF-8. A character that the cut has split is left out."""
    is_cut = len(content) >= RESULT_BYTES_MAX
    decoder = getincrementaldecoder("utf-8")(errors="replace")
    text = decoder.decode(content[:RESULT_BYTES_MAX], final=not is_cut)
    # Whatever replaces an invalid byte is longer than it.
    return text.encode()[:RESULT_BYTES_MAX].decode(errors="ignore")


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
