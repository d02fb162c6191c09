"""What operators say of cells, and what a registration makes of it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from diegod.internal.v1 import command_pb2 as c
from diegod.models import limits
from diegod.raftbbs.core.stamps import nanoseconds
from diegod.v1.cell_pb2 import ControlCellRequest
from diegod.v1.record_pb2 import Cell, Drain
from tests.unit.raftbbs.core.board import Board
from tests.unit.raftbbs.core.lrps import Web

Verb = ControlCellRequest.Verb
MS = 1_000_000


@pytest.fixture
def board(tmp_path: Path) -> Iterator[Board]:
    board = Board.open(tmp_path).with_brain().with_cell("c1")
    yield board
    board.environment.close()


def said(board: Board, verb: Verb.ValueType, deadline_ms: int = 0) -> c.Outcome:
    control = c.ControlCell(cell_id="c1", verb=verb, deadline_ms=deadline_ms)
    return board.say("user/ann", control_cell=control)


def cell(board: Board) -> Cell:
    row = board.state().cell("c1")
    assert row is not None
    return row


def lose(board: Board) -> None:
    expire = c.ExpireCell(cell_id="c1", incarnation=cell(board).incarnation)
    assert not board.say("bbs/m1", expire_cell=expire).reason


def test_cordoned_and_back(board: Board) -> None:
    assert said(board, Verb.UNCORDON).unchanged
    assert said(board, Verb.CORDON).cell.cordoned
    assert said(board, Verb.CORDON).unchanged
    assert not said(board, Verb.UNCORDON).cell.cordoned


def test_a_drain_has_a_deadline_and_cordons(board: Board) -> None:
    drained = said(board, Verb.DRAIN).cell
    assert drained.cordoned
    assert nanoseconds(drained.drain.began_at) == board.at_ns
    assert nanoseconds(drained.drain.deadline_at) == board.at_ns + 600_000 * MS


def test_a_drain_that_is_asked_for_again_has_another_deadline(board: Board) -> None:
    first = said(board, Verb.DRAIN, 5000).cell.drain
    board.later(60)
    second = said(board, Verb.DRAIN, 1000).cell.drain
    assert second.began_at == first.began_at
    assert nanoseconds(second.deadline_at) == board.at_ns + 1000 * MS


def test_uncordoned_it_is_not_drained_any_more(board: Board) -> None:
    said(board, Verb.DRAIN)
    row = said(board, Verb.UNCORDON).cell
    assert (row.cordoned, row.HasField("drain")) == (False, False)


def test_a_deadline_that_no_clock_reaches_is_refused(board: Board) -> None:
    for deadline_ms in (limits.DRAIN_DEADLINE_MS_MAX + 1, 2**64 - 1):
        assert said(board, Verb.DRAIN, deadline_ms).reason == "InvalidRequest"
    assert not said(board, Verb.DRAIN, limits.DRAIN_DEADLINE_MS_MAX).reason


@pytest.mark.parametrize("verb", [Verb.REMOVE, Verb.ACCEPT_LOSS])
def test_only_what_is_missing_is_given_up(board: Board, verb: Verb.ValueType) -> None:
    outcome = said(board, verb)
    assert outcome.reason == "InvalidStateTransition"
    assert "is PRESENT: only a MISSING cell" in outcome.message
    lose(board)
    assert not said(board, verb).reason


def test_a_loss_is_accepted_until_the_cell_is_back_or_lost_again(board: Board) -> None:
    lose(board)
    assert said(board, Verb.ACCEPT_LOSS).cell.loss_accepted
    assert said(board, Verb.ACCEPT_LOSS).unchanged
    board.with_cell("c1")
    assert not cell(board).loss_accepted
    lose(board)
    assert not cell(board).loss_accepted


def test_what_an_operator_said_outlives_the_agent(board: Board) -> None:
    drain = said(board, Verb.DRAIN).cell.drain
    lose(board)
    board.with_cell("c1")
    assert (cell(board).cordoned, cell(board).drain) == (True, drain)


def test_an_agent_has_no_say_in_it(board: Board) -> None:
    forged = Cell(cell_id="c1", cordoned=True, loss_accepted=True, drain=Drain())
    board.say("cell/c1", register_cell=c.RegisterCell(cell=forged))
    row = cell(board)
    assert (row.cordoned, row.loss_accepted, row.HasField("drain")) == (False, False, False)


def test_a_cell_that_was_removed_is_not_taken_for_the_one_that_has_its_name_later(
    board: Board,
) -> None:
    for _ in range(4):
        board.with_cell("c1")
    old = cell(board).incarnation
    lose(board)
    said(board, Verb.REMOVE)
    assert board.state().cell("c1") is None
    assert said(board, Verb.CORDON).reason == "ResourceNotFound"
    for _ in range(6):
        board.with_cell("c1")
        assert cell(board).incarnation > old
    late = c.ClaimInstance(instance_guid="i1")
    said_late = board.say("cell/c1", incarnation=old, claim_instance=late)
    assert said_late.reason == "StaleIncarnation"


def test_the_first_incarnation_of_a_cell_is_1_while_none_was_removed(board: Board) -> None:
    assert board.with_cell("c9").state().cell("c9").incarnation == 1  # type: ignore[union-attr]


def test_no_verb_is_no_request(board: Board) -> None:
    assert said(board, Verb.INVALID).reason == "InvalidRequest"


def test_a_cordoned_cell_gets_nothing_new_and_finishes_what_it_has(board: Board) -> None:
    """What was placed before it was cordoned is still taken up."""
    web = Web(board)
    assert not web.desire(b"v1")
    before, after = web.create(0), web.create(1)
    assert not web.place(before, "c1")
    said(board, Verb.CORDON)
    assert web.place(after, "c1") == "ResourceConflict"
    assert not web.cell("claim_instance", web.again(before))
    assert not web.start(web.again(before))
