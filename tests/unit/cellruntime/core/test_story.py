"""What a person reads of a container's life."""

import pytest

from diegod.cellruntime.core import events as e
from diegod.cellruntime.core import story
from diegod.cellruntime.core.crash_points import Phase
from diegod.cellruntime.core.lifecycle import TRANSITIONS
from diegod.contracts.backend import ContainerState, ContainerStatus, Exit
from diegod.internal.v1.command_pb2 import Outcome
from diegod.v1.record_pb2 import Task
from tests.unit.cellruntime.core.play import TCP, L, Play, T, instance, task


def told(play: Play) -> list[str]:
    return [note.text for note in play.machine.take_notes()]


def test_a_task_from_beginning_to_end() -> None:
    play = Play()
    play.task_starting()
    play.feed(e.Started(T, "10.9.0.2", 5.0, pid=4711))
    play.feed(e.Ended(T, Exit(3)))
    play.answer(Outcome(task=task("COMPLETED", revision=12)))
    play.feed(e.Destroyed(T))
    assert told(play) == [
        "preparing root file system and network",
        "prepared",
        "granted",
        "created",
        "started at 10.9.0.2, pid 4711",
        "exited with status 3",
        "destroyed",
    ]


def test_an_instance_that_is_stopped_and_does_not_listen() -> None:
    play = Play()
    play.lrp_started(TCP)
    play.feed(e.Probed(L, 0, "connection refused"))
    play.feed(e.Probed(L, 0, ""))
    play.answer(Outcome(actual_lrp=instance("RUNNING", revision=11, checks=(TCP,))))
    told(play)
    play.see(instance("RUNNING", revision=12, stopping=True))
    play.wait(3)
    play.feed(e.Ended(L, Exit(137)))
    play.feed(e.Destroyed(L))
    assert told(play) == [
        "asked to end with INT, killed in 3 s if it doesn't: asked to stop",
        "did not end within 3 s: killed",
        "destroying it: stopped",
        "destroyed",
    ]


def test_a_time_limit_is_the_reason_of_its_end() -> None:
    play = Play()
    play.task_running(execution_timeout_ms=1000)
    told(play)
    play.wait(1)
    play.feed(e.Recorded(T, Phase.ENDING))
    assert told(play) == [
        "timed out",
        "asked to end with TERM, killed in 10 s if it doesn't: timed out",
    ]


@pytest.mark.parametrize(
    ("row", "why"),
    [
        (task("COMPLETED", revision=20, failure_reason="task was cancelled"), "task was cancelled"),
        (task("PENDING", revision=20, attempt=20), "its row is no longer this cell's"),
    ],
)
def test_what_is_not_wanted_any_more_is_told_why_if_its_row_says_it(row: Task, why: str) -> None:
    play = Play()
    play.task_running()
    told(play)
    play.see(row)
    assert told(play)[0] == f"asked to end with TERM, killed in 10 s if it doesn't: {why}"


def test_a_crash_is_said_once() -> None:
    play = Play()
    play.lrp_running()
    told(play)
    play.feed(e.Ended(L, Exit(0)))
    play.feed(e.Recorded(L, Phase.ENDING))
    play.feed(e.Destroyed(L))
    assert told(play) == ["exited with status 0", "destroyed"]


def test_health_and_adoption() -> None:
    play = Play()
    play.lrp_started(TCP)
    told(play)
    play.feed(e.Probed(L, 0, ""))
    assert told(play) == ["healthy"]
    heir = Play()
    heir.feed(e.Recovered((play.container(L).record(Phase.STARTED),), (L,), 1010.0))
    heir.feed(e.Inspected(L, ContainerStatus(L, ContainerState.RUNNING, pid=7)))
    assert told(heir) == ["adopted: it was running before the cell's agent was"]


def test_what_could_not_be_made_says_why() -> None:
    play = Play()
    play.see(task())
    play.feed(e.StepFailed(T, e.Step.PREPARE, "rootfs preloaded:x is not on this cell"))
    play.feed(e.Destroyed(T))
    assert told(play)[1:] == ["destroying it: rootfs preloaded:x is not on this cell", "destroyed"]


@pytest.mark.parametrize(
    ("changes", "end"),
    [(1, "503"), (story.READINESS_CHANGES_MAX, "503; further changes are not noted")],
)
def test_readiness_that_flaps_is_said_so_often_and_no_more(changes: int, end: str) -> None:
    assert story.readiness(False, "503", changes) == f"not ready: {end}"
    assert story.readiness(True, "", changes).startswith("ready")
    assert story.readiness(False, "503", story.READINESS_CHANGES_MAX + 1) == ""


def test_every_move_has_a_sentence_or_none_of_one_line() -> None:
    for before, afters in TRANSITIONS.items():
        for after in afters:
            assert "\n" not in story.of_move(before, after, "why")
