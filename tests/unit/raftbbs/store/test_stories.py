"""What a row has been: told when it changes, kept for fifty lines, gone with what it is about."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from diegod.internal.v1 import command_pb2 as c
from diegod.raftbbs.core.stamps import nanoseconds
from diegod.raftbbs.store import tombstones
from diegod.raftbbs.store.stories import KEPT
from diegod.v1.record_pb2 import ActualLrp, Cell, Change, DesiredLrp, Task, TaskSchedule, Transition
from diegod.v1.task_pb2 import ControlScheduleRequest as Control
from tests.unit.raftbbs.core.board import BEGIN, SECOND, Board, a_task, an_lrp


@pytest.fixture
def board(tmp_path: Path) -> Iterator[Board]:
    board = Board.open(tmp_path).with_brain().with_cell("c1")
    yield board
    board.environment.close()


def story(
    board: Board, row: Task | ActualLrp | Cell | DesiredLrp | TaskSchedule
) -> list[Transition]:
    return board.state().story(row)


def lines(told: list[Transition]) -> list[str]:
    return [f"{Change.Verb.Name(line.verb)} {line.state}" for line in told]


def desire(board: Board, guid: str = "t1") -> None:
    board.say("user/ann", desire_task=c.DesireTask(task=a_task(guid), definition=b"d"))


def refuse(board: Board, why: str, guid: str = "t1") -> None:
    revision = board.task(guid).provenance.revision
    refuse = c.RefuseTask(task_guid=guid, row_revision=revision, placement_error=why)
    assert not board.say("brain/b1", refuse_task=refuse).reason


def place(board: Board, guid: str = "t1") -> int:
    revision = board.task(guid).provenance.revision
    place = c.PlaceTask(task_guid=guid, row_revision=revision, cell_id="c1", cell_incarnation=1)
    return board.say("brain/b1", place_task=place).task.attempt


def delete(board: Board, guid: str = "t1") -> None:
    board.say("user/ann", cancel_task=c.CancelTask(task_guid=guid))
    assert not board.say("user/ann", delete_task=c.DeleteTask(task_guid=guid)).reason


def test_a_creation_alone_is_not_told(board: Board) -> None:
    for number in range(20):
        desire(board, f"t{number}")
    board.say("user/ann", desire_lrp=c.DesireLrp(desired_lrp=an_lrp(), definition=b"v1"))
    with board.environment.begin_read() as transaction:
        assert transaction.count(board.tables.stories) == 0


def test_a_task_from_its_creation_to_its_end(board: Board) -> None:
    desire(board)
    board.later(1)
    refuse(board, "no cell has 128 MB free")
    attempt = place(board)
    board.later(1)
    board.say("cell/c1", start_task=c.StartTask(task_guid="t1", attempt=attempt))
    done = c.CompleteTask(task_guid="t1", attempt=attempt, failed=True, failure_reason="exit 3")
    board.say("cell/c1", complete_task=done)
    told = story(board, Task(task_guid="t1"))
    assert lines(told) == [
        *("CREATED PENDING", "CHANGED PENDING", "CHANGED PENDING"),
        *("CHANGED RUNNING", "CHANGED COMPLETED"),
    ]
    assert [line.by for line in told] == ["user/ann", "brain/b1", "brain/b1", "cell/c1", "cell/c1"]
    assert [(nanoseconds(line.at) - BEGIN) // SECOND for line in told] == [0, 1, 1, 2, 2]
    assert [line.detail for line in told] == ["", "no cell has 128 MB free", "", "", "exit 3"]
    assert [line.cell_id for line in told] == ["", "", "c1", "c1", "c1"]
    assert told[3].attempt == attempt
    assert told[-1].revision == board.task("t1").provenance.revision
    assert [line.revision for line in told] == sorted({line.revision for line in told})


def post(board: Board, **came_to: Any) -> None:
    """One try of the callback, claimed and told."""
    claim = c.ClaimCallback(task_guid="t1", row_revision=board.task("t1").provenance.revision)
    claimed = board.say("brain/b1", claim_callback=claim).task.provenance.revision
    finish = c.FinishCallback(task_guid="t1", row_revision=claimed, **came_to)
    assert not board.say("brain/b1", finish_callback=finish).reason
    board.later(3600)


def test_why_a_callback_was_not_heard_is_told_until_it_is(board: Board) -> None:
    task = a_task("t1")
    task.callback.url = "http://127.0.0.1:9/"
    board.say("user/ann", desire_task=c.DesireTask(task=task, definition=b"d"))
    attempt = place(board)
    board.say("cell/c1", start_task=c.StartTask(task_guid="t1", attempt=attempt))
    board.say("cell/c1", complete_task=c.CompleteTask(task_guid="t1", attempt=attempt))
    post(board, http_status=503, error="status 503")
    post(board, delivered=True, http_status=200)
    told = story(board, Task(task_guid="t1"))[-4:]
    assert [line.state for line in told] == ["RESOLVING", "COMPLETED"] * 2
    assert [line.detail for line in told] == ["", "status 503", "status 503", ""]


def test_the_last_fifty_lines_are_kept(board: Board) -> None:
    desire(board)
    for number in range(KEPT + 10):
        refuse(board, f"reason {number}")
    told = story(board, Task(task_guid="t1"))
    assert [line.detail for line in told] == [f"reason {n}" for n in range(10, KEPT + 10)]


def test_the_story_of_a_deleted_task_is_kept_with_its_guid(board: Board) -> None:
    desire(board)
    delete(board)
    told = story(board, Task(task_guid="t1"))
    assert lines(told) == ["CREATED PENDING", "CHANGED COMPLETED", "REMOVED COMPLETED"]
    assert told[1].detail == "task was cancelled"
    board.later(25 * 3600)
    desire(board, "t2")
    delete(board, "t2")
    assert story(board, Task(task_guid="t1")) == []
    assert board.state().tombstone("t1") is None
    assert story(board, Task(task_guid="t2"))


def test_another_task_of_the_guid_does_not_go_on_with_the_story_of_the_first(board: Board) -> None:
    desire(board)
    delete(board)
    board.later(25 * 3600)
    desire(board)
    assert story(board, Task(task_guid="t1")) == []
    refuse(board, "no room")
    assert lines(story(board, Task(task_guid="t1"))) == ["CREATED PENDING", "CHANGED PENDING"]


def test_guids_that_were_kept_long_enough_go_a_few_at_a_time(board: Board) -> None:
    count = 3 * tombstones.PRUNED_AT_ONCE
    for number in range(count):
        desire(board, f"t{number}")
        delete(board, f"t{number}")
    board.later(25 * 3600)
    left = []
    for number in range(3):
        desire(board, f"later{number}")
        delete(board, f"later{number}")
        state = board.state()
        left.append(sum(state.tombstone(f"t{n}") is not None for n in range(count)))
    assert left == [16, 8, 0]
    with board.environment.begin_read() as transaction:
        assert transaction.count(board.tables.tombstones) == 3
        assert transaction.count(board.tables.tombstones_by_end) == 3


def create_instance(board: Board) -> ActualLrp:
    desired = board.state().desired_lrp("web")
    assert desired is not None
    create = c.CreateInstance(
        process_guid="web", index=0, desired_revision=desired.provenance.revision
    )
    outcome = board.say("brain/b1", create_instance=create)
    assert not outcome.reason, outcome.message
    return outcome.actual_lrp


def retire(board: Board, row: ActualLrp) -> None:
    retire = c.RetireInstance(instance_guid=row.instance_guid, row_revision=row.provenance.revision)
    assert not board.say("brain/b1", retire_instance=retire).reason


def test_an_index_has_one_story_whichever_instance_has_it(board: Board) -> None:
    board.say("user/ann", desire_lrp=c.DesireLrp(desired_lrp=an_lrp(), definition=b"v1"))
    first = create_instance(board)
    retire(board, first)
    second = create_instance(board)
    told = story(board, ActualLrp(process_guid="web", index=0))
    assert lines(told) == ["CREATED UNCLAIMED", "REMOVED UNCLAIMED", "CREATED UNCLAIMED"]
    assert [line.instance_guid for line in told] == [
        *(first.instance_guid, first.instance_guid, second.instance_guid)
    ]
    assert story(board, ActualLrp(process_guid="web", index=1)) == []


def test_a_cell_that_is_lost_and_comes_back(board: Board) -> None:
    board.later(7)
    board.say("bbs/m1", expire_cell=c.ExpireCell(cell_id="c1", incarnation=1))
    board.with_cell("c1")
    told = story(board, Cell(cell_id="c1"))
    assert lines(told) == ["CREATED PRESENT", "CHANGED MISSING", "CHANGED PRESENT"]
    assert nanoseconds(told[0].at) == BEGIN


def test_a_schedule_says_what_became_of_its_slots(board: Board) -> None:
    row = TaskSchedule(name="nightly", domain="default", cron="* * * * *", task=a_task(""))
    desire = c.DesireSchedule(schedule=row, definition=b"s", task_definition=b"")
    seen = board.say("user/ann", desire_schedule=desire).revision
    slot = BEGIN + 60 * SECOND
    fire = c.FireSchedule(name="nightly", row_revision=seen, slot_ns=slot)
    seen = board.say("brain/b1", fire_schedule=fire).revision
    skip = c.SkipSlots(
        name="nightly", row_revision=seen, slot_ns=slot + 60 * SECOND, count=1, reason="still runs"
    )
    board.say("brain/b1", skip_slots=skip)
    pause = c.ControlSchedule(name="nightly", verb=Control.PAUSE)
    board.say("user/ann", control_schedule=pause)
    told = story(board, TaskSchedule(name="nightly"))
    assert lines(told) == ["CREATED ACTIVE", "CHANGED ACTIVE", "CHANGED ACTIVE", "CHANGED PAUSED"]
    assert told[1].detail == "nightly-20270115T080100Z"
    assert told[2].detail == "still runs"
    board.say("user/ann", control_schedule=c.ControlSchedule(name="nightly", verb=Control.REMOVE))
    assert story(board, TaskSchedule(name="nightly")) == []


def test_before_all_members_write_stories_nobody_does(tmp_path: Path) -> None:
    board = Board.open(tmp_path / "old", cluster_format=1).with_brain()
    desire(board)
    refuse(board, "no room")
    delete(board)
    with board.environment.begin_read() as transaction:
        tables = (board.tables.stories, board.tables.tombstones, board.tables.tombstones_by_end)
        assert [transaction.count(table) for table in tables] == [0, 0, 0]
    board.environment.close()
