"""The life of a task on a cell, as transcripts: this happens, exactly that is to be done."""

import pytest

from diegod.cellruntime.core import events as e
from diegod.cellruntime.core import instructions as i
from diegod.cellruntime.core.crash_points import Phase
from diegod.contracts.backend import Exit
from diegod.internal.v1.command_pb2 import Outcome
from diegod.models.errors import Reason
from tests.unit.cellruntime.core.play import OTHER, Play, T, task


def test_the_whole_life_of_a_task_that_ends_well() -> None:
    play = Play()
    assert play.see(task()) == [f"Prepare {T}"]
    assert play.feed(e.Prepared(T)) == [f"Record intent {T}"]
    assert play.feed(e.Recorded(T, Phase.INTENT)) == ["Submit start_task"]
    assert play.answer(Outcome(task=task("RUNNING", revision=8))) == [f"Record granted {T}"]
    assert play.feed(e.Recorded(T, Phase.GRANTED)) == [f"Create {T}"]
    assert play.feed(e.Created(T)) == [f"Record starting {T}"]
    assert play.feed(e.Recorded(T, Phase.STARTING)) == [f"Start {T}"]
    assert play.feed(e.Started(T, "", 5.0)) == [f"Record started {T}", f"AwaitEnd {T}"]
    assert play.feed(e.Recorded(T, Phase.STARTED)) == []
    assert play.feed(e.Ended(T, Exit(0))) == ["Submit complete_task"]
    report = play.commands[-1].complete_task
    assert (report.attempt, report.failed, report.exit_status_known) == (7, False, True)
    assert play.answer(Outcome(task=task("COMPLETED", revision=12))) == [f"Destroy {T}"]
    assert play.feed(e.Destroyed(T)) == [f"Forget {T}"]
    assert play.feed(e.Forgotten(T)) == []
    play.feed(e.WatchedTo(12))
    assert play.state(T) == "none"
    assert play.machine.used.containers == 0


def test_create_carries_the_fencing_token_and_start_needs_the_lease() -> None:
    play = Play()
    play.task_granted()
    (create,) = play.instructions(e.Recorded(T, Phase.GRANTED))
    assert isinstance(create, i.Create)
    assert create.work.fencing_token == 8
    play.feed(e.Created(T))
    assert play.instructions(e.Recorded(T, Phase.STARTING)) == [i.Start(T, under_lease=True)]


@pytest.mark.parametrize(
    ("ended", "reason"),
    [
        (Exit(3), "exited with status 3"),
        (Exit(137, oom_killed=True), "exited with status 137 (out of memory)"),
    ],
)
def test_a_task_that_fails_says_how(ended: Exit, reason: str) -> None:
    play = Play()
    play.task_running()
    play.feed(e.Ended(T, ended))
    report = play.commands[-1].complete_task
    assert (report.failed, report.failure_reason) == (True, reason)
    assert (report.exit_status_known, report.exit_status) == (True, ended.status)
    assert not report.outcome_unknown


def test_an_unanswered_question_is_asked_again_and_nothing_runs_meanwhile() -> None:
    play = Play()
    play.task_asking()
    assert play.unanswered() == []
    play.now = play.machine.next_deadline() or 0.0
    assert play.feed(e.Due()) == ["Submit start_task"]
    first, second = play.commands
    assert first.request_id == second.request_id == f"{T}.start"
    for _ in range(20):  # the pauses grow, and not beyond all bounds
        play.unanswered()
        play.wait(5.0)
    assert play.state(T) == "asking"
    assert len(play.commands) == 22


def test_a_row_that_says_running_is_no_grant() -> None:
    play = Play()
    play.task_asking()
    assert play.see(task("RUNNING", revision=8)) == []
    assert play.state(T) == "asking"
    assert play.answer(Outcome(task=task("RUNNING", revision=8))) == [f"Record granted {T}"]


def test_a_refusal_that_says_nothing_about_the_row_is_asked_again() -> None:
    play = Play()
    play.task_asking()
    for reason in (Reason.STALE_INCARNATION, Reason.NOT_LEADER, Reason.PERMISSION_DENIED):
        assert play.refuse(reason) == []
        assert play.state(T) == "asking"
        assert play.wait(5.0) == ["Submit start_task"]


def test_registering_again_asks_at_once() -> None:
    play = Play()
    play.task_asking()
    play.refuse(Reason.STALE_INCARNATION)
    assert play.feed(e.Registered(2)) == ["Submit start_task"]


@pytest.mark.parametrize("reason", [Reason.WRONG_ATTEMPT, Reason.RESOURCE_NOT_FOUND])
def test_a_definite_refusal_destroys_what_was_prepared_and_says_nothing(reason: Reason) -> None:
    play = Play()
    play.task_asking()
    assert play.refuse(reason) == [f"Destroy {T}"]
    assert play.feed(e.Destroyed(T)) == [f"Forget {T}"]
    play.feed(e.Forgotten(T))
    assert len(play.commands) == 1


@pytest.mark.parametrize(
    "row",
    [
        task("RUNNING", revision=8, cell_id=OTHER),
        task("RUNNING", revision=8, attempt=6),
        task("COMPLETED", revision=8),
        task("PENDING", revision=8),
    ],
)
def test_only_running_here_under_this_attempt_is_a_grant(row: object) -> None:
    play = Play()
    play.task_asking()
    assert play.answer(Outcome(task=row)) == [f"Destroy {T}"]  # type: ignore[arg-type]


def test_a_grant_to_an_earlier_life_that_left_no_record_is_not_used() -> None:
    """The record may have been lost together with a start; nobody can tell."""
    play = Play()
    play.feed(e.Registered(5))
    play.task_asking()
    row = task("RUNNING", revision=8, cell_incarnation=4)
    assert play.answer(Outcome(task=row)) == [f"Destroy {T}"]
    play.feed(e.Destroyed(T))
    assert play.commands[-1].complete_task.outcome_unknown


def test_a_failed_preparation_is_a_rejection_after_destroying() -> None:
    play = Play()
    play.see(task())
    assert play.feed(e.StepFailed(T, e.Step.PREPARE, "no rootfs")) == [f"Destroy {T}"]
    assert play.feed(e.Destroyed(T)) == ["Submit reject_task"]
    rejection = play.commands[-1].reject_task
    assert (rejection.attempt, rejection.rejection_reason) == (7, "no rootfs")
    play.answer(Outcome(task=task("PENDING", revision=9, attempt=0, placed_cell_id="")))
    play.feed(e.WatchedTo(9))
    assert play.state(T) == "none"


@pytest.mark.parametrize(
    ("phase", "step"), [(Phase.INTENT, e.Step.RECORD), (Phase.GRANTED, e.Step.RECORD)]
)
def test_what_can_not_be_recorded_is_not_started(phase: Phase, step: e.Step) -> None:
    play = Play()
    play.see(task())
    play.feed(e.Prepared(T))
    if phase is Phase.GRANTED:
        play.feed(e.Recorded(T, Phase.INTENT))
        play.answer(Outcome(task=task("RUNNING", revision=8)))
    failed = e.StepFailed(T, step, "no space left on device", phase=phase)
    assert play.feed(failed) == [f"Destroy {T}"]
    assert play.feed(e.Destroyed(T)) == ["Submit reject_task"]


def test_a_failed_creation_is_known_never_to_have_started() -> None:
    play = Play()
    play.task_granted()
    play.feed(e.Recorded(T, Phase.GRANTED))
    assert play.feed(e.StepFailed(T, e.Step.CREATE, "no such program")) == [f"Destroy {T}"]
    assert play.feed(e.Destroyed(T)) == ["Submit reject_task"]


@pytest.mark.parametrize("definite", [True, False])
def test_a_failed_start_is_never_tried_again(definite: bool) -> None:
    play = Play()
    play.task_starting()
    failed = e.StepFailed(T, e.Step.START, "no such file", definite=definite)
    assert play.feed(failed) == [f"Record ending {T}"]
    assert play.feed(e.Recorded(T, Phase.ENDING)) == [f"Destroy {T}"]
    assert play.feed(e.Destroyed(T)) == ["Submit complete_task"]
    report = play.commands[-1].complete_task
    assert (report.failed, report.outcome_unknown) == (True, not definite)
    assert report.failure_reason == "no such file"


def test_a_grant_that_outlived_the_lease_is_not_used() -> None:
    play = Play()
    play.task_starting()
    assert play.feed(e.GrantExpired(T)) == [f"Record ending {T}"]
    assert play.feed(e.Recorded(T, Phase.ENDING)) == [f"Destroy {T}"]
    assert play.feed(e.Destroyed(T)) == ["Submit reject_task"]
    report = play.commands[-1].reject_task
    assert report.rejection_reason == "not started: the grant came too late"


def test_a_task_beyond_its_time_limit_is_stopped_and_reported_after_its_end() -> None:
    play = Play()
    play.task_running(execution_timeout_ms=30_000)
    assert play.machine.next_deadline() == 130.0
    assert play.wait(30) == [f"Record ending {T}"]
    assert play.feed(e.Recorded(T, Phase.ENDING)) == [f"Signal TERM {T}"]
    assert play.wait(10) == [f"Signal KILL {T}"]
    assert play.feed(e.Ended(T, Exit(137))) == [f"Destroy {T}"]
    assert play.feed(e.Destroyed(T)) == ["Submit complete_task"]
    report = play.commands[-1].complete_task
    assert (report.failed, report.failure_reason) == (True, "timed out")


@pytest.mark.parametrize(
    "row",
    [
        task("COMPLETED", revision=20),  # cancelled, or its cell was counted as lost
        task("RUNNING", revision=20, cell_id=OTHER, attempt=19),
        task("PENDING", revision=20, attempt=0, placed_cell_id=""),
    ],
)
def test_a_task_that_was_taken_away_is_stopped_and_not_reported(row: object) -> None:
    play = Play()
    play.task_running()
    assert play.see(row) == [f"Signal TERM {T}"]  # type: ignore[arg-type]
    assert play.feed(e.Ended(T, Exit(143))) == [f"Destroy {T}"]
    assert play.feed(e.Destroyed(T)) == [f"Forget {T}"]
    play.feed(e.Forgotten(T))
    assert [command.WhichOneof("command") for command in play.commands] == ["start_task"]


def test_a_program_that_ignores_everything_is_destroyed() -> None:
    play = Play()
    play.task_running()
    play.see(task("COMPLETED", revision=20))
    assert play.wait(10) == [f"Signal KILL {T}"]
    assert play.wait(1) == [f"Destroy {T}"]


def test_a_removed_row_takes_every_attempt_away() -> None:
    play = Play()
    play.task_running()
    assert play.see(task("COMPLETED", revision=20), removed=True) == [f"Signal TERM {T}"]


def test_another_attempt_takes_the_old_one_away_and_is_prepared() -> None:
    play = Play()
    play.task_running()
    again = task("PENDING", revision=30, attempt=30)
    assert play.see(again) == [f"Signal TERM {T}", "Prepare t-job-30"]


def test_the_lost_end_of_a_process_is_an_unknown_outcome_after_destroying() -> None:
    play = Play()
    play.task_running()
    assert play.feed(e.Ended(T, None)) == [f"Record ending {T}"]
    assert play.feed(e.Recorded(T, Phase.ENDING)) == [f"Destroy {T}"]
    assert play.feed(e.Destroyed(T)) == ["Submit complete_task"]
    assert play.commands[-1].complete_task.outcome_unknown


def test_a_result_is_said_until_it_is_heard() -> None:
    play = Play()
    play.task_running()
    play.feed(e.Ended(T, Exit(0)))
    play.unanswered()
    assert play.wait(5) == ["Submit complete_task"]
    assert play.see(task("COMPLETED", revision=12)) == [f"Destroy {T}"]  # heard after all


def test_a_container_that_can_not_be_destroyed_is_not_reported() -> None:
    play = Play()
    play.see(task())
    play.feed(e.StepFailed(T, e.Step.PREPARE, "no"))
    for _ in range(5):
        assert play.feed(e.StepFailed(T, e.Step.DESTROY, "device busy")) == []
        assert play.wait(5) == [f"Destroy {T}"]
    assert play.commands == []
    assert play.feed(e.Destroyed(T)) == ["Submit reject_task"]


# Diego's table of tasks (rep reconciliation): container here × row there.

HERE = {
    "preparing": lambda play: play.see(task()),
    "asking": Play.task_asking,
    "starting": Play.task_starting,
    "running": Play.task_running,
}
AWAY = {
    "missing": task("COMPLETED", revision=20),
    "running elsewhere": task("RUNNING", revision=20, cell_id=OTHER),
    "completed": task("COMPLETED", revision=20),
    "resolving": task("RESOLVING", revision=20),
}


@pytest.mark.parametrize("away", AWAY)
@pytest.mark.parametrize("here", HERE)
def test_whatever_is_here_and_not_wanted_ends_without_a_word(here: str, away: str) -> None:
    play = Play()
    HERE[here](play)
    said = len(play.commands)
    play.see(AWAY[away], removed=away == "missing")
    for event in (
        e.Prepared(T),
        e.Started(T, "", 1.0),
        e.Ended(T, Exit(0)),
        e.Destroyed(T),
        e.Forgotten(T),
        e.WatchedTo(20),
    ):
        play.feed(event)
    assert play.state(T) == "none"
    assert len(play.commands) == said


def test_a_task_that_is_cancelled_after_its_grant_is_not_created() -> None:
    play = Play()
    play.task_granted()
    assert play.see(task("COMPLETED", revision=20)) == []  # a record is being written
    assert play.feed(e.Recorded(T, Phase.GRANTED)) == [f"Destroy {T}"]


def test_a_task_that_is_cancelled_after_its_creation_is_not_started() -> None:
    play = Play()
    play.task_granted()
    play.feed(e.Recorded(T, Phase.GRANTED))
    play.feed(e.Created(T))
    assert play.see(task("COMPLETED", revision=20)) == []
    assert play.feed(e.Recorded(T, Phase.STARTING)) == [f"Destroy {T}"]
    assert not play.container(T).start_issued


@pytest.mark.parametrize("here", HERE)
def test_a_row_that_stays_wanted_changes_nothing(here: str) -> None:
    play = Play()
    HERE[here](play)
    state = play.state(T)
    row = task() if here == "preparing" else task("RUNNING", revision=8)
    assert play.see(row) == []
    assert play.state(T) == state


def test_no_container_and_a_running_row_is_an_unknown_outcome() -> None:
    play = Play()
    assert play.list_rows(task("RUNNING", revision=8)) == [f"Destroy {T}"]
    assert play.feed(e.Destroyed(T)) == ["Submit complete_task"]
    assert play.commands[-1].complete_task.outcome_unknown


def test_no_container_and_a_completed_row_is_nothing() -> None:
    play = Play()
    assert play.list_rows(task("COMPLETED", revision=8)) == []
    assert play.state(T) == "none"
