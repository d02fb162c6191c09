"""The telling of a task's end: who may, how often, and until when."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from diegod.internal.v1 import command_pb2 as c
from diegod.raftbbs.core.stamps import nanoseconds
from diegod.v1.record_pb2 import Callback, Task
from tests.unit.raftbbs.core.board import SECOND, Board, a_task

HOUR_MS = 3_600_000


@pytest.fixture
def board(tmp_path: Path) -> Iterator[Board]:
    board = Board.open(tmp_path).with_brain().with_cell("c1")
    yield board
    board.environment.close()


def ended(board: Board, **policy: int) -> Task:
    task = a_task()
    given = {"backoff_ms": 1000, "max_backoff_ms": 5000, "give_up_after_ms": HOUR_MS} | policy
    task.callback.CopyFrom(Callback(url="http://ci.example.com/hook", **given))  # type: ignore[arg-type]
    board.say("user/ann", desire_task=c.DesireTask(task=task, definition=b"d"))
    board.say("user/ann", cancel_task=c.CancelTask(task_guid="t1"))
    return board.task("t1")


def claim(board: Board) -> c.Outcome:
    revision = board.task("t1").provenance.revision
    return board.say(
        "brain/b1", claim_callback=c.ClaimCallback(task_guid="t1", row_revision=revision)
    )


def finish(board: Board, **said: object) -> c.Outcome:
    revision = board.task("t1").provenance.revision
    finish = c.FinishCallback(task_guid="t1", row_revision=revision, **said)  # type: ignore[arg-type]
    return board.say("brain/b1", finish_callback=finish)


def tried(board: Board, **said: object) -> Task:
    for outcome in (claim(board), finish(board, **said)):
        assert not outcome.reason, outcome.message
    return board.task("t1")


def expire(board: Board) -> c.Outcome:
    revision = board.task("t1").provenance.revision
    return board.say("brain/b1", expire_task=c.ExpireTask(task_guid="t1", row_revision=revision))


def test_while_one_is_telling_the_task_is_resolving(board: Board) -> None:
    ended(board)
    board.later(5)
    task = claim(board).task
    assert task.state == Task.RESOLVING
    assert nanoseconds(task.since) == board.at_ns
    assert claim(board).reason == "InvalidStateTransition"


def test_who_has_heard_is_not_told_again(board: Board) -> None:
    ended(board)
    task = tried(board, delivered=True, http_status=404)
    assert task.state == Task.COMPLETED
    assert (task.callback.delivered, task.callback.http_status, task.callback.tries) == (
        True,
        404,
        1,
    )
    assert not task.callback.HasField("next_try_at")
    assert claim(board).reason == "InvalidStateTransition"


def test_each_failure_doubles_the_wait_up_to_the_longest(board: Board) -> None:
    ended(board)
    waits = []
    for number in range(1, 7):
        task = tried(board, http_status=503, error="busy")
        assert (task.callback.tries, task.callback.last_error) == (number, "busy")
        waits.append((nanoseconds(task.callback.next_try_at) - board.at_ns) / SECOND)
    assert waits == [1, 2, 4, 5, 5, 5]


def test_its_own_policy_gives_up(board: Board) -> None:
    ended(board, give_up_after_ms=60_000)
    board.later(59)
    assert not tried(board, error="refused").callback.given_up
    board.later(1)
    task = tried(board, error="refused")
    assert task.callback.given_up
    assert not task.callback.HasField("next_try_at")
    assert claim(board).reason == "InvalidStateTransition"


def test_a_url_that_can_never_be_called_is_given_up_at_once(board: Board) -> None:
    ended(board)
    assert tried(board, error="no such scheme", give_up=True).callback.given_up


def test_a_record_outlives_its_retention_until_somebody_was_told(board: Board) -> None:
    ended(board)
    assert expire(board).reason == "InvalidStateTransition"
    tried(board, delivered=True)
    assert not expire(board).reason


def test_a_policy_without_an_end_ends_with_the_record(board: Board) -> None:
    ended(board, give_up_after_ms=0)
    board.later(10 * 24 * 3600)
    assert not tried(board, error="refused").callback.given_up
    assert not expire(board).reason


def test_what_was_left_alone_is_there_for_others_again(board: Board) -> None:
    """Of a brain that is gone: its try counts for nothing, and the next one is due at once."""
    ended(board)
    claim(board)
    board.later(31)
    revision = board.task("t1").provenance.revision
    reopen = c.ReopenTask(task_guid="t1", row_revision=revision)
    task = board.say("brain/b1", reopen_task=reopen).task
    assert (task.state, task.callback.tries) == (Task.COMPLETED, 0)
    assert not claim(board).reason


def test_a_brain_that_was_away_does_not_finish_what_another_one_began(board: Board) -> None:
    ended(board)
    first = claim(board).task.provenance.revision
    reopen = c.ReopenTask(task_guid="t1", row_revision=first)
    board.say("brain/b1", reopen_task=reopen)
    claim(board)
    late = c.FinishCallback(task_guid="t1", row_revision=first, delivered=True)
    assert board.say("brain/b1", finish_callback=late).reason == "ResourceConflict"
    assert not board.task("t1").callback.delivered


def test_one_caller_resolves_it_and_deletes_it(board: Board) -> None:
    ended(board)
    resolve = c.ResolveTask(task_guid="t1")
    assert board.say("user/ann", resolve_task=resolve).task.state == Task.RESOLVING
    assert board.say("user/bob", resolve_task=resolve).reason == "InvalidStateTransition"
    assert not board.say("user/ann", delete_task=c.DeleteTask(task_guid="t1")).reason
    assert board.state().task("t1") is None
