"""Instances: placed, claimed, started, crashed, suspected, retired; one ordinary row an index."""

from pathlib import Path

import pytest

from diegod.internal.v1 import command_pb2 as c
from diegod.models import actual_lrp_lifecycle
from diegod.v1.record_pb2 import ActualLrp, Change, NetInfo
from tests.unit.raftbbs.core.board import Board, an_lrp


@pytest.fixture
def board(tmp_path: Path) -> Board:
    board = Board.open(tmp_path).with_brain().with_cell("c1").with_cell("c2")
    desire = c.DesireLrp(desired_lrp=an_lrp(instances=2), definition=b"v1")
    assert not board.say("user/ann", desire_lrp=desire).reason
    return board


def created(board: Board, index: int = 0) -> ActualLrp:
    desired = board.state().desired_lrp("web")
    assert desired is not None
    create = c.CreateInstance(
        process_guid="web", index=index, desired_revision=desired.provenance.revision
    )
    outcome = board.say("brain/b1", create_instance=create)
    assert not outcome.reason, outcome.message
    return outcome.actual_lrp


def placed(board: Board, cell_id: str = "c1", index: int = 0) -> ActualLrp:
    row = created(board, index)
    place = c.PlaceInstance(
        instance_guid=row.instance_guid,
        row_revision=row.provenance.revision,
        cell_id=cell_id,
        cell_incarnation=1,
    )
    outcome = board.say("brain/b1", place_instance=place)
    assert not outcome.reason, outcome.message
    return outcome.actual_lrp


def running(board: Board, cell_id: str = "c1", index: int = 0) -> ActualLrp:
    row = placed(board, cell_id, index)
    guid = row.instance_guid
    claim = board.say(f"cell/{cell_id}", claim_instance=c.ClaimInstance(instance_guid=guid))
    assert not claim.reason, claim.message
    start = c.StartInstance(instance_guid=guid, net_info=NetInfo(address="10.0.0.1"), routable=True)
    outcome = board.say(f"cell/{cell_id}", start_instance=start)
    assert not outcome.reason, outcome.message
    return outcome.actual_lrp


def repair(board: Board, kind: str, row: ActualLrp) -> c.Outcome:
    message = c.Command.DESCRIPTOR.fields_by_name[kind].message_type.name
    body = getattr(c, message)(
        instance_guid=row.instance_guid, row_revision=row.provenance.revision
    )
    return board.say("brain/b1", **{kind: body})


def test_an_index_has_one_ordinary_row(board: Board) -> None:
    created(board)
    desired = board.state().desired_lrp("web")
    assert desired is not None
    again = c.CreateInstance(
        process_guid="web", index=0, desired_revision=desired.provenance.revision
    )
    assert board.say("brain/b1", create_instance=again).reason == "ResourceExists"


def test_it_runs_with_the_definition_it_was_created_for(board: Board) -> None:
    row = running(board)
    board.say("user/ann", desire_lrp=c.DesireLrp(desired_lrp=an_lrp(instances=2), definition=b"v2"))
    state = board.state()
    assert state.lrp_definition("web", row.definition_revision) == b"v1"
    desired = state.desired_lrp("web")
    assert desired is not None
    assert state.lrp_definition("web", desired.definition_revision) == b"v2"


def test_only_the_cell_it_is_placed_on_claims_it(board: Board) -> None:
    row = placed(board, "c1")
    claim = c.ClaimInstance(instance_guid=row.instance_guid)
    assert board.say("cell/c2", claim_instance=claim).reason == "ActualLRPCannotBeClaimed"


def test_a_withdrawn_instance_has_a_new_identity(board: Board) -> None:
    row = placed(board)
    new = repair(board, "withdraw_instance", row).actual_lrp
    assert new.instance_guid != row.instance_guid
    claim = c.ClaimInstance(instance_guid=row.instance_guid)
    assert board.say("cell/c1", claim_instance=claim).reason == "ResourceNotFound"
    verbs = [change.verb for change in board.changes_after(row.provenance.revision)]
    assert verbs == [Change.REMOVED, Change.CREATED]


def test_a_crash_is_counted_and_leaves_the_cell(board: Board) -> None:
    row = running(board)
    crash = c.CrashInstance(instance_guid=row.instance_guid, crash_reason="exited with status 1")
    crashed = board.say("cell/c1", crash_instance=crash).actual_lrp
    assert (crashed.state, crashed.crash_count) == (ActualLrp.CRASHED, 1)
    assert (crashed.cell_id, crashed.last_cell_id) == ("", "c1")
    assert not crashed.routable
    again = repair(board, "unclaim_instance", crashed).actual_lrp
    assert (again.state, again.crash_count) == (ActualLrp.UNCLAIMED, 1)


def test_running_for_long_forgives_earlier_crashes(board: Board) -> None:
    row = running(board)
    crash = c.CrashInstance(instance_guid=row.instance_guid)
    crashed = board.say("cell/c1", crash_instance=crash).actual_lrp
    row = repair(board, "unclaim_instance", crashed).actual_lrp
    place = c.PlaceInstance(
        instance_guid=row.instance_guid,
        row_revision=row.provenance.revision,
        cell_id="c1",
        cell_incarnation=1,
    )
    board.say("brain/b1", place_instance=place)
    guid = row.instance_guid
    board.say("cell/c1", claim_instance=c.ClaimInstance(instance_guid=guid))
    board.say("cell/c1", start_instance=c.StartInstance(instance_guid=guid))
    board.later(301)
    again = board.say("cell/c1", crash_instance=c.CrashInstance(instance_guid=guid))
    assert again.actual_lrp.crash_count == 1


def test_a_suspect_stays_routable_and_makes_room_for_its_replacement(board: Board) -> None:
    row = running(board)
    board.say("bbs/m1", expire_cell=c.ExpireCell(cell_id="c1", incarnation=1))
    suspect = repair(board, "suspect_instance", row).actual_lrp
    assert suspect.presence == ActualLrp.SUSPECT
    assert suspect.routable
    replacement = placed(board, "c2")
    assert replacement.index == row.index


def test_a_present_cells_instance_is_not_suspected(board: Board) -> None:
    row = running(board)
    assert repair(board, "suspect_instance", row).reason == "ResourceConflict"


def test_a_suspect_returns_only_where_nobody_took_its_place(board: Board) -> None:
    row = running(board)
    board.say("bbs/m1", expire_cell=c.ExpireCell(cell_id="c1", incarnation=1))
    suspect = repair(board, "suspect_instance", row).actual_lrp
    replacement = created(board)
    assert repair(board, "unsuspect_instance", suspect).reason == "CellMissing"
    board.with_cell("c1")
    assert repair(board, "unsuspect_instance", suspect).reason == "ResourceConflict"
    repair(board, "retire_instance", replacement)
    back = repair(board, "unsuspect_instance", suspect)
    assert back.actual_lrp.presence == ActualLrp.ORDINARY


def test_retired_on_a_present_cell_it_is_asked_to_stop_first(board: Board) -> None:
    row = running(board)
    outcome = repair(board, "retire_instance", row)
    assert outcome.actual_lrp.stopping
    assert board.state().actual_lrp(row.instance_guid) is not None
    remove = c.RemoveInstance(instance_guid=row.instance_guid)
    assert not board.say("cell/c1", remove_instance=remove).reason
    assert board.state().actual_lrp(row.instance_guid) is None


def test_retired_on_a_missing_cell_it_goes_at_once(board: Board) -> None:
    row = running(board)
    board.say("bbs/m1", expire_cell=c.ExpireCell(cell_id="c1", incarnation=1))
    repair(board, "retire_instance", row)
    assert board.state().actual_lrp(row.instance_guid) is None
    assert list(board.state().instances("web")) == []


def test_an_instance_that_is_being_stopped_does_not_come_back_by_crashing(board: Board) -> None:
    row = running(board)
    repair(board, "retire_instance", row)
    crash = c.CrashInstance(instance_guid=row.instance_guid, crash_reason="exited with status 143")
    board.say("cell/c1", crash_instance=crash)
    assert board.state().actual_lrp(row.instance_guid) is None


def test_a_removed_lrp_has_no_definition_left(board: Board) -> None:
    desired = board.state().desired_lrp("web")
    assert desired is not None
    board.say("user/ann", remove_lrp=c.RemoveLrp(process_guid="web"))
    with board.environment.begin_read() as transaction:
        assert transaction.count(board.tables.lrp_definitions) == 0


def test_scaling_is_no_new_definition(board: Board) -> None:
    before = board.state().desired_lrp("web")
    assert before is not None
    scaled = board.say("user/ann", scale_lrp=c.ScaleLrp(process_guid="web", instances=5))
    assert scaled.desired_lrp.instances == 5
    assert scaled.desired_lrp.definition_revision == before.definition_revision


def test_a_change_that_somebody_else_made_meanwhile_is_not_overwritten(board: Board) -> None:
    scale = c.ScaleLrp(process_guid="web", instances=5, expected_revision=1)
    assert board.say("user/ann", scale_lrp=scale).reason == "ResourceConflict"


def test_a_suspect_that_its_cell_rejects_makes_no_second_ordinary_one(board: Board) -> None:
    """Back with its cell, it could not be made there; its replacement is there already."""
    row = placed(board)
    guid = row.instance_guid
    claimed = board.say("cell/c1", claim_instance=c.ClaimInstance(instance_guid=guid)).actual_lrp
    board.say("bbs/m1", expire_cell=c.ExpireCell(cell_id="c1", incarnation=1))
    repair(board, "suspect_instance", claimed)
    replacement = created(board)
    board.with_cell("c1")
    reject = c.RejectInstance(instance_guid=guid, rejection_reason="no rootfs")
    rejected = board.say("cell/c1", incarnation=2, reject_instance=reject)
    assert not rejected.reason
    rows = board.state().instances("web")
    assert [row.instance_guid for row in rows] == [replacement.instance_guid]


def test_a_rejection_moves_an_instance_as_the_table_says(board: Board) -> None:
    row = placed(board)
    reject = c.RejectInstance(instance_guid=row.instance_guid)
    outcome = board.say("cell/c1", reject_instance=reject)
    table = actual_lrp_lifecycle.TRANSITIONS
    assert outcome.actual_lrp.state == table[ActualLrp.UNCLAIMED, "reject_instance"]
