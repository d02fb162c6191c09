"""The record of members: which step is one, and which is refused."""

from pathlib import Path

import pytest

from diegod.internal.v1.command_pb2 import ChangeMembers, Member, Members
from diegod.raftbbs.core import membership
from diegod.raftbbs.core.decision import Refused
from tests.unit.raftbbs.core.board import Board


def member(id_: str, *, learner: bool = False, store: str = "", address: str = "") -> Member:
    return Member(member_id=id_, learner=learner, store_id=store, address=address)


A, B, C = member("a"), member("b"), member("c")
NEW_C = member("c", learner=True, store="new")


@pytest.fixture
def board(tmp_path: Path) -> Board:
    return Board.open(tmp_path)


def say(board: Board, expected_revision: int, *members: Member) -> str:
    """The reason of the refusal; "" when it was done."""
    change = ChangeMembers(members=members, expected_revision=expected_revision)
    return board.say("bbs/a", change_members=change).reason


def test_a_change_is_a_revision_and_no_row(board: Board) -> None:
    assert not say(board, 0, A, B)
    assert not say(board, 1, A, B, NEW_C)
    record = board.state().members()
    assert list(record.members) == [A, B, NEW_C]
    assert record.revision == board.state().counters().revision == 2
    assert list(board.state().changes_after(0)) == []


def test_a_change_is_decided_on_the_record_as_it_is(board: Board) -> None:
    assert not say(board, 0, A, B, C)
    assert say(board, 0, A, B) == "ResourceConflict"
    assert say(board, 7, A, B) == "ResourceConflict"
    assert list(board.state().members().members) == [A, B, C]


@pytest.mark.parametrize(
    "members",
    [
        (),
        (NEW_C,),
        (B, A),
        (A, A),
        (A, member("")),
        (A, member("x" * 129)),
        (A, member("b\0")),
        (A, member("b", address="x" * 513)),
        (A, *(member(f"m{n:02}", learner=True) for n in range(40))),
    ],
)
def test_an_illegal_record_is_refused(board: Board, members: tuple[Member, ...]) -> None:
    assert say(board, 0, *members) == "InvalidRequest"
    assert board.state().members() == Members()


@pytest.mark.parametrize(
    ("after", "why"),
    [
        ((A, B, C), ""),
        ((A, B, C, member("d", learner=True)), ""),
        ((A, B), ""),
        ((A, B, NEW_C), ""),
        ((A, B, member("c", address="elsewhere")), ""),
        ((A, B, C, member("d")), "d can only be added as a learner"),
        ((A,), "only one member may change at a time, not b, c"),
        ((A, B, member("d", learner=True)), "only one member may change at a time, not c, d"),
        (
            (A, B, member("c", store="new")),
            "c can vote with another store only after it was a learner",
        ),
        (
            (A, B, member("c", learner=True)),
            "c can't be made a learner with the store that it votes with",
        ),
    ],
)
def test_only_one_member_differs(after: tuple[Member, ...], why: str) -> None:
    assert membership.not_one_change((A, B, C), after) == why


def test_what_is_more_than_one_step_is_refused(board: Board) -> None:
    assert not say(board, 0, A, B, C)
    assert say(board, 1, A) == "InvalidRequest"
    assert say(board, 1, A, B, C, member("d")) == "InvalidRequest"
    assert list(board.state().members().members) == [A, B, C]


def test_a_learner_is_promoted_with_the_store_that_it_has() -> None:
    before = Members(members=[A, B, NEW_C], revision=4)
    change = membership.promotion(before, "c")
    assert list(change.members) == [A, B, member("c", store="new")]
    assert change.expected_revision == 4
    assert membership.not_one_change(before.members, change.members) == ""
    stolen = [A, B, member("c", store="another")]
    assert "only after it was a learner" in membership.not_one_change(before.members, stolen)


RECORD = Members(members=[A, B, C], revision=4)


def admitted(wanted: Member, known: str = "old", *, replace: bool = False) -> object:
    return membership.admitted(RECORD, wanted, known, replace=replace)


def test_who_is_new_begins_as_a_learner() -> None:
    plan = admitted(member("d", store="s"), "")
    assert isinstance(plan, ChangeMembers)
    assert list(plan.members) == [A, B, C, member("d", learner=True, store="s")]


def test_who_is_a_member_already_changes_nothing() -> None:
    assert admitted(member("c", store="old")) is None
    moved = admitted(member("c", store="old", address="elsewhere"))
    assert isinstance(moved, ChangeMembers)
    assert list(moved.members) == [A, B, member("c", address="elsewhere")]


def test_a_voter_with_another_store_is_one_only_if_that_is_meant() -> None:
    refused = admitted(member("c", store="new"))
    assert isinstance(refused, Refused)
    assert refused.message.startswith("c is a voter, with another store.")
    plan = admitted(member("c", store="new"), replace=True)
    assert isinstance(plan, ChangeMembers)
    assert list(plan.members) == [A, B, NEW_C]


def test_a_learner_may_come_back_with_another_store() -> None:
    record = Members(members=[A, B, NEW_C])
    plan = membership.admitted(record, member("c", store="newer"), "new", replace=False)
    assert isinstance(plan, ChangeMembers)
    assert plan.members[2] == member("c", learner=True, store="newer")


@pytest.mark.parametrize(
    ("without", "connected", "is_refused"),
    [("c", "ab", False), ("c", "a", True), ("a", "bc", False), ("d", "a", False)],
)
def test_the_others_must_be_a_majority_that_is_there(
    without: str, connected: str, is_refused: bool
) -> None:
    record = Members(members=[A, B, C, member("d", learner=True)])
    refusal = membership.too_few(record, without, connected)
    assert (refusal is not None) == is_refused


def test_the_last_voter_stays() -> None:
    refusal = membership.too_few(Members(members=[A, NEW_C]), "a", "ac")
    assert refusal is not None
    assert refusal.message.endswith("there is no other voter")
