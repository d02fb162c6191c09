"""Tasks: every transition, and above all that no task is granted twice."""

from pathlib import Path

import pytest

from diegod.internal.v1 import command_pb2 as c
from diegod.models import task_lifecycle
from diegod.v1.record_pb2 import Task
from tests.unit.raftbbs.core.board import Board, a_task


@pytest.fixture
def board(tmp_path: Path) -> Board:
    return Board.open(tmp_path).with_brain().with_cell("c1").with_cell("c2")


def desired(board: Board, guid: str = "t1") -> Task:
    outcome = board.say("user/ann", desire_task=c.DesireTask(task=a_task(guid), definition=b"d"))
    assert not outcome.reason
    return outcome.task


def placed(board: Board, cell_id: str = "c1", guid: str = "t1") -> Task:
    row = board.task(guid)
    outcome = board.say(
        "brain/b1",
        place_task=c.PlaceTask(
            task_guid=guid,
            row_revision=row.provenance.revision,
            cell_id=cell_id,
            cell_incarnation=1,
        ),
    )
    assert not outcome.reason, outcome.message
    return outcome.task


def granted(board: Board, cell_id: str = "c1") -> Task:
    desired(board)
    task = placed(board, cell_id)
    start = c.StartTask(task_guid="t1", attempt=task.attempt)
    outcome = board.say(f"cell/{cell_id}", start_task=start)
    assert not outcome.reason, outcome.message
    return outcome.task


def test_desired_again_with_the_same_definition_is_there_already(board: Board) -> None:
    first = desired(board)
    again = board.say("user/ann", desire_task=c.DesireTask(task=a_task(), definition=b"d"))
    assert again.unchanged
    assert again.task == first


def test_another_definition_never_replaces_a_task(board: Board) -> None:
    desired(board)
    other = board.say("user/ann", desire_task=c.DesireTask(task=a_task(), definition=b"other"))
    assert other.reason == "ResourceExists"


def test_the_grant_makes_it_running_and_is_the_fencing_token(board: Board) -> None:
    task = granted(board)
    assert task.state == Task.RUNNING
    assert task.cell_id == "c1"
    assert task.fencing_token == task.provenance.revision


def test_the_same_cell_is_granted_again_without_a_new_revision(board: Board) -> None:
    task = granted(board)
    again = board.say("cell/c1", start_task=c.StartTask(task_guid="t1", attempt=task.attempt))
    assert again.unchanged
    assert again.task.provenance.revision == task.provenance.revision


def test_another_cell_is_not_granted(board: Board) -> None:
    task = granted(board)
    other = board.say("cell/c2", start_task=c.StartTask(task_guid="t1", attempt=task.attempt))
    assert other.reason in ("InvalidStateTransition", "RunningOnDifferentCell", "WrongAttempt")
    assert board.task("t1").cell_id == "c1"


def test_a_withdrawn_placement_is_refused_for_ever(board: Board) -> None:
    desired(board)
    old = placed(board, "c1")
    withdraw = c.WithdrawTask(task_guid="t1", row_revision=old.provenance.revision)
    assert not board.say("brain/b1", withdraw_task=withdraw).reason
    late = c.StartTask(task_guid="t1", attempt=old.attempt)
    assert board.say("cell/c1", start_task=late).reason == "WrongAttempt"
    new = placed(board, "c1")
    assert new.attempt != old.attempt
    assert board.say("cell/c1", start_task=late).reason == "WrongAttempt"


def test_the_old_attempt_means_nothing_for_a_new_task_of_the_same_guid(board: Board) -> None:
    task = granted(board)
    assert not board.say("user/ann", cancel_task=c.CancelTask(task_guid="t1")).reason
    assert not board.say("user/ann", delete_task=c.DeleteTask(task_guid="t1")).reason
    board.later(25 * 3600)
    desired(board)
    placed(board, "c2")
    late = c.CompleteTask(task_guid="t1", attempt=task.attempt)
    assert board.say("cell/c1", complete_task=late).reason == "WrongAttempt"
    assert board.task("t1").state == Task.PENDING


def test_an_older_incarnation_of_the_cell_is_not_heard(board: Board) -> None:
    desired(board)
    task = placed(board)
    board.with_cell("c1")
    start = c.StartTask(task_guid="t1", attempt=task.attempt)
    assert board.say("cell/c1", incarnation=1, start_task=start).reason == "StaleIncarnation"
    assert not board.say("cell/c1", incarnation=2, start_task=start).reason


def test_a_missing_cell_is_not_granted(board: Board) -> None:
    desired(board)
    task = placed(board)
    board.say("bbs/m1", expire_cell=c.ExpireCell(cell_id="c1", incarnation=1))
    start = c.StartTask(task_guid="t1", attempt=task.attempt)
    assert board.say("cell/c1", start_task=start).reason == "CellMissing"


def test_the_first_result_stands(board: Board) -> None:
    task = granted(board)
    done = c.CompleteTask(task_guid="t1", attempt=task.attempt, exit_status_known=True)
    assert board.say("cell/c1", complete_task=done).task.state == Task.COMPLETED
    other = c.CompleteTask(
        task_guid="t1", attempt=task.attempt, failed=True, failure_reason="no", exit_status=1
    )
    again = board.say("cell/c1", complete_task=other)
    assert again.unchanged
    assert not board.task("t1").failed


def test_rejected_too_often_it_fails_without_having_started(board: Board) -> None:
    desired(board)
    for _ in range(3):
        task = placed(board)
        reject = c.RejectTask(task_guid="t1", attempt=task.attempt, rejection_reason="no rootfs")
        outcome = board.say("cell/c1", reject_task=reject)
        assert not outcome.reason
    task = board.task("t1")
    assert task.state == Task.COMPLETED
    assert task.failure_reason == "not started after 3 placements: no rootfs"
    assert not task.outcome_unknown


def test_a_rejection_after_the_grant_makes_it_pending_under_a_new_attempt(board: Board) -> None:
    task = granted(board)
    reject = c.RejectTask(task_guid="t1", attempt=task.attempt, rejection_reason="never started")
    assert not board.say("cell/c1", reject_task=reject).reason
    row = board.task("t1")
    assert (row.state, row.cell_id, row.attempt) == (Task.PENDING, "", 0)
    assert row.fencing_token == 0


def test_the_cell_that_loses_a_placement_is_told(board: Board) -> None:
    desired(board)
    task = placed(board)
    withdraw = c.WithdrawTask(task_guid="t1", row_revision=task.provenance.revision)
    board.say("brain/b1", withdraw_task=withdraw)
    (change,) = board.changes_after(task.provenance.revision)
    assert change.left_cell_id == "c1"


def test_a_brain_without_the_lock_decides_nothing(board: Board) -> None:
    task = desired(board)
    board.lock_token += 1
    place = c.PlaceTask(
        task_guid="t1", row_revision=task.provenance.revision, cell_id="c1", cell_incarnation=1
    )
    assert board.say("brain/b1", place_task=place).reason == "LockCollision"


def test_a_repair_of_an_older_row_is_refused(board: Board) -> None:
    old = desired(board)
    placed(board)
    stale = c.FailTask(
        task_guid="t1", row_revision=old.provenance.revision, failure_reason="too late"
    )
    assert board.say("brain/b1", fail_task=stale).reason == "ResourceConflict"


def test_a_repeated_request_is_answered_not_repeated(board: Board) -> None:
    desire = c.DesireTask(task=a_task(), definition=b"d")
    first = board.say("user/ann", request_id="r1", desire_task=desire)
    again = board.say("user/ann", request_id="r1", desire_task=desire)
    assert again.unchanged
    assert again.revision == first.revision


def test_somebody_elses_request_id_is_nobody_elses_answer(board: Board) -> None:
    desire = c.DesireTask(task=a_task(), definition=b"d")
    board.say("user/ann", request_id="r1", desire_task=desire)
    other = c.DesireTask(task=a_task(), definition=b"other")
    assert board.say("user/bob", request_id="r1", desire_task=other).reason == "ResourceExists"


_COMMANDS: dict[str, tuple[str, dict[str, object]]] = {
    "place_task": ("brain/b1", {"cell_id": "c1", "cell_incarnation": 1}),
    "refuse_task": ("brain/b1", {"placement_error": "no room"}),
    "withdraw_task": ("brain/b1", {}),
    "fail_task": ("brain/b1", {"failure_reason": "why"}),
    "expire_task": ("brain/b1", {}),
    "start_task": ("cell/c1", {}),
    "reject_task": ("cell/c1", {"rejection_reason": "why"}),
    "complete_task": ("cell/c1", {}),
    "delete_task": ("user/ann", {}),
}


@pytest.mark.parametrize("command", list(_COMMANDS))
@pytest.mark.parametrize("state", [Task.PENDING, Task.RUNNING, Task.COMPLETED])
def test_no_rule_leaves_the_table(board: Board, state: Task.State.ValueType, command: str) -> None:
    """Each command in each state: what the table lacks is refused and changes nothing."""
    if state == Task.PENDING:
        desired(board)
        if command != "place_task":
            placed(board)
    else:
        granted(board)
    if state == Task.COMPLETED:
        board.say("user/ann", cancel_task=c.CancelTask(task_guid="t1"))
    row = board.task("t1")
    by, fields = _COMMANDS[command]
    descriptor = c.Command.DESCRIPTOR.fields_by_name[command].message_type
    names = descriptor.fields_by_name
    values = {"task_guid": "t1", **fields}
    if "row_revision" in names:
        values["row_revision"] = row.provenance.revision
    if "attempt" in names:
        values["attempt"] = row.attempt
    body = getattr(c, descriptor.name)(**values)
    outcome = board.say(by, **{command: body})
    after = board.state().task("t1")
    if not task_lifecycle.allows(state, command):
        assert outcome.reason or outcome.unchanged
        assert after == row
    else:
        assert not outcome.reason, outcome.message
        expected = task_lifecycle.TRANSITIONS[state, command]
        assert (after.state if after is not None else None) in expected


@pytest.mark.parametrize("unknown", [False, True])
def test_a_failure_is_one_also_where_nobody_says_why(board: Board, unknown: bool) -> None:
    granted(board)
    task = board.task("t1")
    complete = c.CompleteTask(
        task_guid="t1", attempt=task.attempt, failed=not unknown, outcome_unknown=unknown
    )
    done = board.say("cell/c1", complete_task=complete).task
    assert done.failed
    assert done.outcome_unknown == unknown


def test_a_task_that_the_brain_fails_has_failed(board: Board) -> None:
    desired(board)
    fail = c.FailTask(task_guid="t1", row_revision=board.task("t1").provenance.revision)
    assert board.say("brain/b1", fail_task=fail).task.failed


def test_a_task_that_succeeded_has_no_failure(board: Board) -> None:
    granted(board)
    complete = c.CompleteTask(
        task_guid="t1",
        attempt=board.task("t1").attempt,
        failure_reason="said, but not meant",
        exit_status_known=True,
    )
    done = board.say("cell/c1", complete_task=complete).task
    assert not done.failed
    assert done.failure_reason == ""
    assert done.exit_status_known
