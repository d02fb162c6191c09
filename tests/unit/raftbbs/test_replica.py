"""One entry applied: outcomes and changes, and what must end the member instead."""

from pathlib import Path

import pytest
from google.protobuf.message import DecodeError

from diegod.internal.v1 import command_pb2 as c
from diegod.raftbbs import core
from diegod.raftbbs.core.decision import Decision
from diegod.raftbbs.store.envelope import EnvelopeError
from tests.unit.raftbbs.core.board import Board, a_task


@pytest.fixture
def board(tmp_path: Path) -> Board:
    return Board.open(tmp_path)


def _desire(guid: str) -> c.DesireTask:
    return c.DesireTask(task=a_task(guid), definition=b"x")


def test_each_command_sees_what_those_before_it_did(board: Board) -> None:
    desire = c.Command(by="user/ann", desire_task=_desire("t1"))
    cancel = c.Command(by="user/ann", cancel_task=c.CancelTask(task_guid="t1"))
    delete = c.Command(by="user/ann", delete_task=c.DeleteTask(task_guid="t1"))
    applied = board.entry(desire, cancel, delete, cancel)
    assert [outcome.reason for outcome in applied.outcomes] == ["", "", "", "ResourceNotFound"]
    assert [change.revision for change in applied.changes] == [1, 2, 3]
    assert applied.revision == 3
    assert applied.changes == board.changes_after(0)


def test_an_entry_that_nobody_can_read_is_nothing(board: Board) -> None:
    with board.environment.begin_write() as transaction:
        applied = board.replica.apply_entry(transaction, 1, b"\xff\xff\xff")
    assert not applied.outcomes
    assert board.state().counters().revision == 0


def test_a_name_that_no_key_can_have_is_refused_and_does_no_harm(board: Board) -> None:
    for guid in ("", "x" * 129, "a\0b", "ä" * 65):
        outcome = board.say("user/ann", desire_task=_desire(guid))
        assert outcome.reason == "InvalidRequest"
    assert board.state().counters().revision == 0


def test_a_lock_name_that_no_key_can_have_is_refused(board: Board) -> None:
    place = c.PlaceTask(task_guid="t1", cell_id="c1")
    command = c.Command(by="brain/b1", lock_name="x" * 600, place_task=place)
    assert board.entry(command).outcomes[0].reason == "InvalidRequest"


@pytest.mark.parametrize("damage", [b"\x07\x00rest", b"", b"\x01\x00\xff\xff\xff"])
def test_a_damaged_row_ends_this_member_and_is_no_answer(board: Board, damage: bytes) -> None:
    """The others can read theirs: a refusal here would be a change there."""
    board.say("user/ann", desire_task=_desire("t1"))
    tasks = board.tables.tasks
    with board.environment.begin_write() as transaction:
        number = tasks.number(transaction, "t1")
        assert number is not None
        transaction.put_stored(tasks.rows, number, damage)
    with pytest.raises((EnvelopeError, DecodeError)):
        board.say("user/ann", cancel_task=c.CancelTask(task_guid="t1"))


def test_a_mistake_in_a_rule_is_that_commands_answer(
    board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever it raises. It writes nothing, and those around it in the entry are carried out."""
    role, _ = core.RULES["cancel_task"]

    def mistaken(*arguments: object) -> Decision:
        raise AssertionError("a rule's own")

    monkeypatch.setitem(core.RULES, "cancel_task", (role, mistaken))
    one, other = (c.Command(by="user/ann", desire_task=_desire(guid)) for guid in ("t1", "t2"))
    cancel = c.Command(by="user/ann", cancel_task=c.CancelTask(task_guid="t1"))
    applied = board.entry(one, cancel, other)
    assert [outcome.reason for outcome in applied.outcomes] == ["", "InvalidRequest", ""]
    assert "can't be applied: AssertionError" in applied.outcomes[1].message
    assert [change.task.task_guid for change in applied.changes] == ["t1", "t2"]
