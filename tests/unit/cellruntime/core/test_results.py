"""The result of a task: read after its end and before it is told, also by the next agent."""

from typing import Any

import pytest

from diegod.cellruntime.core import events as e
from diegod.cellruntime.core import instructions as i
from diegod.cellruntime.core.crash_points import Phase
from diegod.cellruntime.core.steps import RESULT_BYTES_MAX
from diegod.cellruntime.core.tasks import text_of_result
from diegod.contracts.backend import ContainerState, ContainerStatus, Exit
from diegod.internal.v1.command_pb2 import CompleteTask, Outcome
from diegod.v1.definition_pb2 import TaskDefinition
from diegod.v1.record_pb2 import Task
from tests.unit.cellruntime.core.play import RUN, Play, T, task

FILE = "/tmp/result.json"
DEFINITION = TaskDefinition(
    task_guid="job", rootfs="preloaded:busybox", action=RUN, memory_mb=64, result_file=FILE
)


def job(state: str = "PENDING", **fields: Any) -> Task:
    return task(state, definition=DEFINITION, **fields)


def running() -> Play:
    play = Play()
    play.see(job())
    play.feed(e.Prepared(T))
    play.feed(e.Recorded(T, Phase.INTENT))
    play.answer(Outcome(task=job("RUNNING", revision=8)))
    for event in (
        e.Recorded(T, Phase.GRANTED),
        e.Created(T),
        e.Recorded(T, Phase.STARTING),
        e.Started(T, "", 5.0),
        e.Recorded(T, Phase.STARTED),
    ):
        play.feed(event)
    return play


def report(play: Play) -> CompleteTask:
    return play.commands[-1].complete_task


def test_it_is_read_before_the_end_is_told_and_before_anything_is_destroyed() -> None:
    play = running()
    read = play.instructions(e.Ended(T, Exit(0)))
    assert read == [i.ReadResult(T, FILE, RESULT_BYTES_MAX)]
    assert play.feed(e.ResultRead(T, b"42\n")) == ["Submit complete_task"]
    said = report(play)
    assert (said.failed, said.failure, said.result) == (False, Task.NONE, "42\n")
    assert (said.exit_status_known, said.exit_status) == (True, 0)
    assert play.answer(Outcome(task=job("COMPLETED", revision=12))) == [f"Destroy {T}"]


def test_a_task_that_fails_has_a_result_too_if_it_has_left_one() -> None:
    play = running()
    play.feed(e.Ended(T, Exit(3)))
    play.feed(e.ResultRead(T, b"why"))
    said = report(play)
    assert (said.failed, said.failure, said.result) == (True, Task.PROGRAM, "why")
    assert said.failure_reason == "exited with status 3"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (e.ResultRead(T, None), f"no result file at {FILE}"),
        (
            e.StepFailed(T, e.Step.READ, "Input/output error"),
            "its result file can't be read: Input/output error",
        ),
    ],
)
def test_without_the_result_it_was_asked_for_a_task_has_failed(
    answer: e.Event, reason: str
) -> None:
    play = running()
    play.feed(e.Ended(T, Exit(0)))
    assert play.feed(answer) == ["Submit complete_task"]
    said = report(play)
    assert (said.failed, said.failure, said.failure_reason) == (True, Task.PROGRAM, reason)
    assert (said.exit_status_known, said.exit_status, said.result) == (True, 0, "")


def test_a_missing_result_does_not_hide_how_the_program_failed() -> None:
    play = running()
    play.feed(e.Ended(T, Exit(3)))
    play.feed(e.ResultRead(T, None))
    assert report(play).failure_reason == "exited with status 3"


def test_an_agent_that_dies_meanwhile_leaves_all_that_the_next_one_needs() -> None:
    """The record names the file, since the row may come only after the end was seen."""
    record = running().container(T).record(Phase.STARTED)
    heir = Play()
    heir.feed(e.Recovered((record,), (T,), 1010.0))
    exited = ContainerStatus(T, ContainerState.EXITED, exit=Exit(0))
    assert heir.feed(e.Inspected(T, exited)) == [f"AwaitEnd {T}"]
    assert heir.feed(e.Ended(T, Exit(0))) == [f"ReadResult {T}"]
    assert heir.feed(e.ResultRead(T, b"42")) == ["Submit complete_task"]
    assert report(heir).result == "42"


@pytest.mark.parametrize("how", ["lost", "timed out"])
def test_nothing_is_read_of_a_program_that_did_not_end_by_itself(how: str) -> None:
    play = running()
    if how == "lost":
        assert play.feed(e.Ended(T, None)) == [f"Record ending {T}"]
    else:
        play.see(job("RUNNING", revision=9, execution_timeout_ms=1000))
        play.wait(1)
        play.feed(e.Recorded(T, Phase.ENDING))
        assert play.feed(e.Ended(T, Exit(143))) == [f"Destroy {T}"]


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", ""),
        (b"a\xffb", "a�b"),
        ("é".encode()[:1], "�"),  # not cut: it is what the program wrote
        (b"x" * (RESULT_BYTES_MAX - 1) + "é".encode(), "x" * (RESULT_BYTES_MAX - 1)),
        (b"x" * RESULT_BYTES_MAX + b"y", "x" * RESULT_BYTES_MAX),
        (b"\xff" * RESULT_BYTES_MAX, "�" * (RESULT_BYTES_MAX // 3)),
    ],
)
def test_what_is_not_utf_8_is_replaced_and_the_whole_stays_within_its_bound(
    content: bytes, text: str
) -> None:
    assert text_of_result(content) == text
    assert len(text.encode()) <= RESULT_BYTES_MAX
