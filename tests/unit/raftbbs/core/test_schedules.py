"""Schedules: each slot once, whoever fires it, and whatever was changed meanwhile."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diegod.internal.v1 import command_pb2 as c
from diegod.raftbbs.core.stamps import nanoseconds
from diegod.v1.definition_pb2 import TaskDefinition
from diegod.v1.record_pb2 import Change, Task, TaskSchedule
from diegod.v1.task_pb2 import ControlScheduleRequest as Control
from tests.unit.raftbbs.core.board import BEGIN, SECOND, Board

MINUTE = 60 * SECOND
TASK = TaskDefinition(rootfs="preloaded:busybox", annotation="made by the clock")
# BEGIN is 2027-01-15 08:00:00 UTC.
FIRST = "nightly-20270115T080100Z"


@pytest.fixture
def board(tmp_path: Path) -> Iterator[Board]:
    board = Board.open(tmp_path).with_brain()
    yield board
    board.environment.close()


def desire(board: Board, definition: bytes = b"s", revision: int = 0, **row: object) -> c.Outcome:
    given = {"name": "nightly", "domain": "default", "cron": "* * * * *"} | row
    schedule = TaskSchedule(task=Task(domain="default", max_placement_attempts=3), **given)  # type: ignore[arg-type]
    return board.say(
        "user/ann",
        desire_schedule=c.DesireSchedule(
            schedule=schedule,
            definition=definition,
            task_definition=TASK.SerializeToString(),
            expected_revision=revision,
        ),
    )


def schedule(board: Board) -> TaskSchedule:
    row = board.state().task_schedule("nightly")
    assert row is not None
    return row


def fire(board: Board, minutes: int, revision: int = 0) -> c.Outcome:
    seen = revision or schedule(board).provenance.revision
    fire = c.FireSchedule(name="nightly", row_revision=seen, slot_ns=BEGIN + minutes * MINUTE)
    return board.say("brain/b1", fire_schedule=fire)


def skip(board: Board, minutes: int, *, count: int, missed: bool) -> c.Outcome:
    skip = c.SkipSlots(
        name="nightly",
        row_revision=schedule(board).provenance.revision,
        slot_ns=BEGIN + minutes * MINUTE,
        count=count,
        missed=missed,
        reason="why",
    )
    return board.say("brain/b1", skip_slots=skip)


def control(board: Board, verb: Control.Verb.ValueType) -> c.Outcome:
    return board.say("user/ann", control_schedule=c.ControlSchedule(name="nightly", verb=verb))


def test_a_slot_becomes_a_task_and_is_done_in_one_command(board: Board) -> None:
    desire(board)
    outcome = fire(board, 1)
    task = board.task(FIRST)
    assert (task.state, task.schedule_name) == (Task.PENDING, "nightly")
    assert nanoseconds(task.slot) == BEGIN + MINUTE
    row = outcome.task_schedule
    assert (row.last_task_guid, row.fired) == (FIRST, 1)
    assert nanoseconds(row.last_slot) == BEGIN + MINUTE
    assert task.provenance.revision == row.provenance.revision
    kinds = [change.WhichOneof("row") for change in board.changes_after(row.provenance.revision - 1)]
    assert kinds == ["task", "task_schedule"]


def test_the_task_has_the_definition_of_the_schedule_and_its_own_guid(board: Board) -> None:
    desire(board)
    fire(board, 1)
    made = TaskDefinition.FromString(board.state().task_definition(FIRST) or b"")
    assert made.task_guid == FIRST
    assert (made.rootfs, made.annotation) == (TASK.rootfs, TASK.annotation)


def test_two_brains_that_saw_the_same_slot_make_one_task(board: Board) -> None:
    desire(board)
    seen = schedule(board).provenance.revision
    assert not fire(board, 1, seen).reason
    assert fire(board, 1, seen).reason == "ResourceConflict"
    assert fire(board, 1).reason == "InvalidStateTransition"
    assert schedule(board).fired == 1


def test_a_name_that_somebody_took_does_not_hold_up_the_clock(board: Board) -> None:
    desire(board)
    taken = Task(task_guid=FIRST, domain="default")
    board.say("user/ann", desire_task=c.DesireTask(task=taken, definition=b"other"))
    row = fire(board, 1).task_schedule
    assert (row.fired, row.skipped) == (0, 1)
    assert "it exists already" in row.last_skip_reason
    assert nanoseconds(row.last_slot) == nanoseconds(row.last_skipped_slot) == BEGIN + MINUTE
    assert board.state().task_definition(FIRST) == b"other"


def test_nor_does_a_guid_that_is_kept(board: Board) -> None:
    """After a restore of an older state the clock may come to a slot once more."""
    taken = Task(task_guid=FIRST, domain="default")
    board.say("user/ann", desire_task=c.DesireTask(task=taken, definition=b"other"))
    board.say("user/ann", cancel_task=c.CancelTask(task_guid=FIRST))
    board.say("user/ann", delete_task=c.DeleteTask(task_guid=FIRST))
    desire(board)
    row = fire(board, 1).task_schedule
    assert row.skipped == 1
    assert "was deleted" in row.last_skip_reason
    assert board.state().task(FIRST) is None


def test_slots_that_nobody_could_fire_are_counted_apart(board: Board) -> None:
    desire(board)
    skip(board, 3, count=3, missed=True)
    row = skip(board, 4, count=1, missed=False).task_schedule
    assert (row.missed, row.skipped, row.fired) == (3, 1, 0)
    assert row.last_skip_reason == "why"
    assert fire(board, 4).reason == "InvalidStateTransition"
    assert not fire(board, 5).reason


def test_nothing_is_due_before_it_was_made(board: Board) -> None:
    board.later(120)
    desire(board)
    assert fire(board, 2).reason == "InvalidStateTransition"
    assert not fire(board, 3).reason


def test_what_falls_into_a_pause_was_not_missed(board: Board) -> None:
    desire(board)
    control(board, Control.PAUSE)
    assert fire(board, 1).reason == "InvalidStateTransition"
    board.later(600)
    row = control(board, Control.RESUME).task_schedule
    assert not row.paused
    assert nanoseconds(row.last_slot) == BEGIN + 10 * MINUTE
    assert fire(board, 10).reason == "InvalidStateTransition"
    assert not fire(board, 11).reason


def test_asked_twice_it_is_so_already(board: Board) -> None:
    desire(board)
    assert control(board, Control.RESUME).unchanged
    control(board, Control.PAUSE)
    assert control(board, Control.PAUSE).unchanged
    assert desire(board).unchanged


def test_a_schedule_without_a_clock_never_fires(board: Board) -> None:
    desire(board, cron="")
    assert fire(board, 1).reason == "InvalidStateTransition"


def test_changed_it_stays_itself(board: Board) -> None:
    desire(board)
    fire(board, 1)
    control(board, Control.PAUSE)
    board.later(30)
    row = desire(board, b"s2", allow_overlap=True).task_schedule
    assert (row.fired, row.paused, row.last_task_guid, row.allow_overlap) == (1, True, FIRST, True)
    assert nanoseconds(row.created_at) == BEGIN
    assert nanoseconds(row.last_slot) == BEGIN + MINUTE
    assert board.state().schedule_definition("nightly") == b"s2"


def test_another_clock_counts_from_now(board: Board) -> None:
    desire(board)
    board.later(600)
    row = desire(board, b"s2", cron="*/2 * * * *").task_schedule
    assert nanoseconds(row.last_slot) == board.at_ns


def test_removed_it_leaves_its_tasks_and_nothing_else(board: Board) -> None:
    desire(board)
    fire(board, 1)
    control(board, Control.REMOVE)
    state = board.state()
    assert state.task_schedule("nightly") is None
    assert state.schedule_definition("nightly") is None
    assert state.schedule_task_definition("nightly") is None
    assert state.task(FIRST) is not None
    assert control(board, Control.REMOVE).reason == "ResourceNotFound"


def test_a_verb_that_is_none_is_refused(board: Board) -> None:
    desire(board)
    assert control(board, Control.INVALID).reason == "InvalidRequest"


def test_a_name_that_leaves_no_room_for_its_slots_is_refused(board: Board) -> None:
    assert desire(board, name="n" * 101).reason == "InvalidRequest"
    assert not desire(board, name="n" * 100).reason


def test_before_all_members_know_schedules_there_are_none(tmp_path: Path) -> None:
    board = Board.open(tmp_path / "old", cluster_format=1)
    assert "knows desire_schedule yet" in desire(board).message
    board.environment.close()


_SLOT = st.integers(0, 6)
_STEPS = st.one_of(
    st.tuples(st.just("fire"), _SLOT, st.booleans()),
    st.tuples(st.just("skip"), _SLOT, st.booleans()),
    st.tuples(st.just("pause"), st.just(0), st.booleans()),
    st.tuples(st.just("delete"), _SLOT, st.booleans()),
)


@settings(max_examples=40, deadline=None)
@given(st.lists(_STEPS, max_size=25))
def test_no_slot_is_ever_fired_twice(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int, bool]]
) -> None:
    """Late, doubled and reordered, by brains that saw it now or at the beginning."""
    board = Board.open(tmp_path_factory.mktemp("board")).with_brain()
    desire(board)
    first_seen = schedule(board).provenance.revision
    for what, minutes, is_late in steps:
        if what == "fire":
            fire(board, minutes, first_seen if is_late else 0)
        elif what == "skip":
            skip(board, minutes, count=1, missed=is_late)
        elif what == "pause":
            control(board, Control.PAUSE if is_late else Control.RESUME)
        else:
            guid = f"nightly-20270115T080{minutes}00Z"
            board.say("user/ann", cancel_task=c.CancelTask(task_guid=guid))
            board.say("user/ann", delete_task=c.DeleteTask(task_guid=guid))
    changes = board.changes_after(0)
    made = [each.task.task_guid for each in changes if each.verb == Change.CREATED and each.task.slot.seconds]
    slots = [nanoseconds(each.task_schedule.last_slot) for each in changes if each.HasField("task_schedule")]
    assert len(made) == len(set(made)) == schedule(board).fired
    assert slots == sorted(slots)
    board.environment.close()
