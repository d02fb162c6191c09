"""The format of the cluster is raised by its leader alone, and by one step."""

from pathlib import Path

import pytest

from diegod.internal.v1.command_pb2 import Command, DesireTask, RaiseFormat
from diegod.raftbbs.store.state import FormatUnknown
from tests.unit.raftbbs.core.board import Board, a_task


@pytest.fixture
def board(tmp_path: Path) -> Board:
    return Board.open(tmp_path, cluster_format=1)


def _to(cluster_format: int) -> Command:
    return Command(by="bbs/m1", raise_format=RaiseFormat(cluster_format=cluster_format))


def test_a_cluster_begins_with_the_first_format(board: Board) -> None:
    assert board.state().cluster_format() == 1


def test_it_is_raised_and_no_row_changes(board: Board) -> None:
    applied = board.entry(_to(2))
    assert [outcome.reason for outcome in applied.outcomes] == [""]
    assert (applied.changes, applied.revision) == ([], 0)
    assert board.state().cluster_format() == 2


@pytest.mark.parametrize("wanted", [0, 1, 3, 9])
def test_only_by_one_step(board: Board, wanted: int) -> None:
    (outcome,) = board.entry(_to(wanted)).outcomes
    assert outcome.reason == "InvalidRequest"
    assert board.state().cluster_format() == 1


def test_never_twice_in_one_entry_either(board: Board) -> None:
    first, second = board.entry(_to(2), _to(2)).outcomes
    assert (first.reason, second.reason) == ("", "InvalidRequest")


def test_what_this_version_does_not_know_ends_it(board: Board) -> None:
    """The others go on with it: a refusal here would be another state than theirs."""
    board.entry(_to(2))
    with pytest.raises(FormatUnknown, match=r"format 3, this version of .+ up to 2"):
        board.entry(_to(3))


def test_from_then_on_hashes_are_equal_whatever_was_before(tmp_path: Path) -> None:
    hashes = []
    for name, extra in (("one", []), ("two", [Command(by="bbs/m1")])):
        board = Board.open(tmp_path / name, cluster_format=1)
        for command in extra:
            board.entry(command)
        before = board.state().counters().state_hash
        desire = Command(by="user/ann", desire_task=DesireTask(task=a_task()))
        board.index = 10
        board.entry(_to(2), desire)
        hashes.append((before, board.state().counters().state_hash))
    assert hashes[0][0] != hashes[1][0]
    assert hashes[0][1] == hashes[1][1]
