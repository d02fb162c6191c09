"""`task run`: output, statuses, Ctrl-C."""

import os
import signal
from collections.abc import AsyncIterator

import pytest

from diegod.cli.task import attached
from diegod.cli.task.status import failure_line, program_status
from diegod.models.errors import DomainError, Reason
from diegod.v1.event_pb2 import WatchReply
from diegod.v1.record_pb2 import Change, Task
from diegod.v1.stream_pb2 import LogChunk, ReadLogsReply
from diegod.v1.task_pb2 import (
    CancelTaskReply,
    DeleteTaskReply,
    DesireTaskReply,
    DesireTasksReply,
    DesireTasksRequest,
)
from tests.unit.cli.conftest import Run
from tests.unit.client.fake_cluster import FakeCluster


def a_change(state: Task.State.ValueType, **given: object) -> WatchReply:
    task = Task(task_guid="t", state=state, **given)  # type: ignore[arg-type]
    return WatchReply(changes=[Change(verb=Change.CHANGED, task=task)])


PENDING = Change(verb=Change.CREATED, task=Task(task_guid="t", state=Task.PENDING))
BEGINNING = WatchReply(rows=[PENDING], rows_end=True)
RUNNING = a_change(Task.RUNNING, cell_id="cell-1")


def ended(**given: object) -> WatchReply:
    return a_change(Task.COMPLETED, cell_id="cell-1", **given)


def output(*chunks: tuple[int, bytes]) -> list[ReadLogsReply]:
    return [
        ReadLogsReply(chunks=[LogChunk(stream=stream, data=data)])  # type: ignore[arg-type]
        for stream, data in chunks
    ]


@pytest.fixture
def running(cluster: FakeCluster) -> FakeCluster:
    """A task that writes to both streams and ends with 3."""
    cluster.calls = {
        "TaskService/Desire": DesireTaskReply(),
        "TaskService/Cancel": CancelTaskReply(),
        "TaskService/Delete": DeleteTaskReply(),
    }
    cluster.streams = {"LogService/Read": output((0, b"out\xff\n"), (1, b"err"), (0, b"no end"))}
    cluster.watched = [
        BEGINNING,
        RUNNING,
        ended(exit_status=3, exit_status_known=True, failed=True),
    ]
    return cluster


def test_output_comes_through_byte_for_byte_and_the_status_is_the_programs(
    running: FakeCluster, run: Run
) -> None:
    result = run("task", "run", "--guid", "t", "sh", "-c", "exit 3")
    assert (result.status, result.out, result.err) == (3, b"out\xff\nno end", "err")
    (log,) = running.asked("LogService/Read")
    assert (log.task_guid, log.follow) == ("t", True)


@pytest.mark.parametrize("dashes", [[], ["--"]])
def test_the_program_keeps_its_own_options(
    dashes: list[str], running: FakeCluster, run: Run
) -> None:
    assert run("task", "run", "--guid", "t", *dashes, "sh", "-c", "echo -m", "-q").status == 3
    (request,) = running.asked("TaskService/Desire")
    assert request.definition.action.run.path == "sh"
    assert list(request.definition.action.run.args) == ["-c", "echo -m", "-q"]


def test_flags_become_the_definition(
    running: FakeCluster, run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    monkeypatch.setenv("PASSED", "on")
    with open("env", "w") as file:
        file.write("# comment\nA=file\nB=x=y\n")
    run(
        "task", "run", "-e", "A=flag", "-e", "PASSED", "--env-file", "env", "-m", "1g",
        "--timeout-s", "1.5", "-d", "shop", "--rootfs", "dir:/srv", "true",
    )  # fmt: skip
    definition = running.asked("TaskService/Desire")[0].definition
    variables = {"A": "flag", "B": "x=y", "PASSED": "on"}
    assert dict(definition.environment_variables) == variables
    assert (definition.memory_mb, definition.execution_timeout_ms) == (1024, 1500)
    assert (definition.domain, definition.rootfs) == ("shop", "dir:/srv")
    assert definition.task_guid.startswith("task-")


def test_a_task_of_a_moment_has_all_its_output(running: FakeCluster, run: Run) -> None:
    end = ended(exit_status_known=True).changes[0]
    running.watched = [WatchReply(rows=[end], rows_end=True)]
    assert run("task", "run", "true").out == b"out\xff\nno end"


def test_rm_deletes_the_record_whatever_the_end(running: FakeCluster, run: Run) -> None:
    running.watched = [BEGINNING, ended(failed=True, failure_reason="timed out")]
    assert run("task", "run", "--rm", "--guid", "t", "true").status == 124
    assert [request.task_guid for request in running.asked("TaskService/Delete")] == ["t"]


def test_output_that_breaks_off_is_said_and_the_status_still_counts(
    running: FakeCluster, run: Run
) -> None:
    gone = DomainError(Reason.RESOURCE_NOT_FOUND, "the cell has it no more")
    running.streams = {"LogService/Read": [*output((0, b"a")), gone]}
    result = run("task", "run", "true")
    assert (result.status, result.out) == (3, b"a")
    assert "the output is incomplete (the cell has it no more)" in result.err


def test_output_that_never_ends_does_not_hold_the_terminal(
    running: FakeCluster, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attached, "_OUTPUT_SILENCE_S", 0.05)
    running.streams = {"LogService/Read": [*output((0, b"a")), 60.0]}
    result = run("task", "run", "true")
    assert result.status == 3
    assert "its end did not come" in result.err


def test_why_it_waits_is_told_when_it_lasts(
    running: FakeCluster, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attached, "_PLACEMENT_NOTE_S", 0.02)
    refused = a_change(Task.PENDING, placement_error="2 short of memory")
    running.watched = [BEGINNING, refused, 0.1, ended(exit_status_known=True)]
    result = run("task", "run", "--guid", "t", "true")
    assert result.err.startswith("task t waits: 2 short of memory. diegod cell ls\n")


def test_why_it_waited_a_moment_is_nobodys_business(running: FakeCluster, run: Run) -> None:
    refused = a_change(Task.PENDING, placement_error="2 short of memory")
    running.watched = [BEGINNING, refused, RUNNING, ended(exit_status_known=True)]
    assert "waits" not in run("task", "run", "true").err


def interrupt() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def test_the_first_ctrl_c_cancels_and_waits_for_the_end(running: FakeCluster, run: Run) -> None:
    cancelled = ended(failed=True, failure_reason="task was cancelled")
    running.watched = [BEGINNING, RUNNING, interrupt, 0.05, cancelled]
    result = run("task", "run", "--guid", "t", "true")
    assert result.status == 130
    assert len(running.asked("TaskService/Cancel")) == 1
    assert "cancelling task t; Ctrl-C again leaves it alone" in result.err


def test_the_second_ctrl_c_leaves_it_alone(running: FakeCluster, run: Run) -> None:
    running.watched = [BEGINNING, RUNNING, interrupt, 0.05, interrupt, 60.0]
    running.streams = {"LogService/Read": [60.0]}
    result = run("task", "run", "--rm", "--guid", "t", "true")
    assert result.status == 130
    assert "task t is left alone. diegod task show t" in result.err
    assert running.asked("TaskService/Delete") == []


@pytest.mark.parametrize(
    ("given", "status", "line"),
    [
        ({}, 0, ""),
        ({"exit_status_known": True, "exit_status": 143, "failed": True}, 143, ""),
        (
            {"failed": True, "failure_reason": "timed out", "execution_timeout_ms": 1500},
            124,
            "task t timed out after 1.5 s",
        ),
        (
            {"failed": True, "outcome_unknown": True, "failure_reason": "cell-2 was lost"},
            125,
            "task t: outcome unknown: cell-2 was lost. It will not be run again",
        ),
        (
            {"failed": True, "failure_reason": "can't run /nope: No such file or directory"},
            127,
            "task t could not be run: can't run /nope: No such file or directory",
        ),
        ({"failed": True, "failure_reason": "can't run /x: Permission denied"}, 126, None),
        ({"failed": True, "failure_reason": "not started within time limit"}, 125, None),
        ({"failed": True, "failure_reason": "task was cancelled"}, 125, None),
        (
            {
                "failed": True,
                "exit_status_known": True,
                "failure_reason": "no result file at /result",
            },
            125,
            "task t failed: no result file at /result",
        ),
    ],
)
def test_statuses(given: dict[str, object], status: int, line: str | None) -> None:
    task = Task(task_guid="t", state=Task.COMPLETED, **given)  # type: ignore[arg-type]
    assert program_status(task) == status
    if line is not None:
        assert failure_line(task) == line


@pytest.mark.parametrize(
    "arguments",
    [["--nope"], [], ["-m", "much", "true"], ["--guid", "a b", "true"], ["-e", "UNSET_X", "true"]],
)
def test_our_own_failures_are_125_because_smaller_ones_are_the_programs(
    arguments: list[str], running: FakeCluster, run: Run
) -> None:
    assert run("task", "run", *arguments).status == 125
    assert running.requests == []


async def refusing(messages: AsyncIterator[DesireTasksRequest]) -> AsyncIterator[DesireTasksReply]:
    async for message in messages:
        refusal = DesireTaskReply(error_reason="ResourceExists", error_message="it exists")
        yield DesireTasksReply(replies=[refusal] * len(message.requests))


def test_a_refusal_is_125_too_but_not_with_detach(cluster: FakeCluster, run: Run) -> None:
    refusal = DomainError(Reason.RESOURCE_EXISTS, "task t exists with another definition")
    cluster.calls = {"TaskService/Desire": refusal}
    cluster.streams = {"TaskService/DesireBulk": refusing}
    result = run("task", "run", "--guid", "t", "true")
    assert result.status == 125
    assert result.err == "diegod: task t exists with another definition\n"
    assert run("task", "run", "--detach", "--guid", "t", "true").status == 4


def test_flags_of_where_and_of_what_comes_of_it(cluster: FakeCluster, run: Run) -> None:
    cluster.calls = {"TaskService/Desire": DesireTaskReply(task=Task(task_guid="t"))}
    cluster.watched = [BEGINNING, ended(exit_status_known=True)]
    cluster.streams = {"LogService/Read": []}
    flags = ["--on", "cell-2", "--result-file", "/tmp/r", "--callback", "https://ci.example.com/"]
    assert run("task", "run", *flags, "--guid", "t", "true").status == 0
    definition = cluster.asked("TaskService/Desire")[0].definition
    assert definition.placement.cell_id == "cell-2"
    assert definition.result_file == "/tmp/r"
    assert definition.completion_callback_url == "https://ci.example.com/"
