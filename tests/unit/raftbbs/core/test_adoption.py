"""Instances that a restored BBS does not know."""

from pathlib import Path
from typing import Any

import pytest

from diegod.internal.v1 import command_pb2 as c
from diegod.models.definition_digest import digest_of_closed
from diegod.models.epochs import first_revision
from diegod.raftbbs.backup.rebirth import begin_epoch
from diegod.raftbbs.core.epochs import RESTORED
from diegod.raftbbs.store.identity import Birth, Voter
from diegod.v1.definition_pb2 import LrpDefinition
from diegod.v1.record_pb2 import ActualLrp, DesiredLrp, NetInfo
from tests.unit.raftbbs.core.board import Board

LATER = "iff0000"  # of the first epoch, and after everything that the board of a test has done


@pytest.fixture
def board(tmp_path: Path) -> Board:
    """The state that is going to be restored: a brain, a cell, an LRP with one instance."""
    board = Board.open(tmp_path).with_brain().with_cell("c1").with_cell("c2")
    lrp = DesiredLrp(process_guid="web", domain="d", instances=2)
    _done(board.say("user/ann", desire_lrp=c.DesireLrp(desired_lrp=lrp, definition=b"v1")))
    return board


def _done(outcome: c.Outcome) -> c.Outcome:
    assert not outcome.reason, outcome.message
    return outcome


def _restored(board: Board) -> Board:
    """A new epoch, in which both cells have registered."""
    birth = Birth("cluster", "prod", "m1", "s2", (Voter("m1", "", ""),), epoch=2)
    begin_epoch(board.environment, birth, RESTORED, 0, finish_log=False)
    assert board.state().counters().revision > first_revision(2)
    return board.with_cell("c1").with_cell("c2")


def _as_brain(board: Board) -> Board:
    """The lease of the BBS is over, and a brain has the lock."""
    lock = board.state().lock("brain")
    assert lock is not None
    _done(board.say("bbs/m1", expire_lock=c.ExpireLock(name="brain", token=lock.token)))
    board.lock_token = 0
    return board.with_brain()


def _adopt(
    board: Board, guid: str = LATER, cell: str = "c1", digest: bytes = b"", **fields: Any
) -> c.Outcome:
    given: dict[str, Any] = {"process_guid": "web", "index": 0, "domain": "d", "routable": True}
    instance = ActualLrp(instance_guid=guid, **(given | fields))
    adopt = c.AdoptInstance(instance=instance, definition_digest=digest)
    incarnation = board.state().cell(cell)
    assert incarnation is not None
    return board.say(
        f"cell/{cell}", incarnation=incarnation.incarnation, adopt_instance=adopt
    )


def _revision_of_web(board: Board) -> int:
    desired = board.state().desired_lrp("web")
    assert desired is not None
    return desired.provenance.revision


def _created(board: Board, index: int = 0) -> str:
    create = c.CreateInstance(
        process_guid="web", index=index, desired_revision=_revision_of_web(board)
    )
    return _done(board.say("brain/b1", create_instance=create)).actual_lrp.instance_guid


def _place(board: Board, guid: str, cell: str) -> None:
    row, there = board.state().actual_lrp(guid), board.state().cell(cell)
    assert row is not None
    assert there is not None
    place = c.PlaceInstance(
        instance_guid=guid,
        row_revision=row.provenance.revision,
        cell_id=cell,
        cell_incarnation=there.incarnation,
    )
    _done(board.say("brain/b1", place_instance=place))


def _run(board: Board, guid: str, cell: str) -> None:
    there = board.state().cell(cell)
    assert there is not None
    _place(board, guid, cell)
    claim, start = c.ClaimInstance(instance_guid=guid), c.StartInstance(instance_guid=guid)
    _done(board.say(f"cell/{cell}", incarnation=there.incarnation, claim_instance=claim))
    _done(board.say(f"cell/{cell}", incarnation=there.incarnation, start_instance=start))


def _rows(board: Board) -> dict[str, ActualLrp]:
    return {row.instance_guid: row for row in board.state().instances("web")}


def test_an_instance_takes_the_empty_place(board: Board) -> None:
    definition = board.state().desired_lrp("web")
    assert definition is not None
    _restored(board)
    net_info = NetInfo(address="10.0.0.1")
    outcome = _adopt(
        board, definition_revision=definition.definition_revision, net_info=net_info
    )
    row = _done(outcome).actual_lrp
    assert (row.state, row.presence, row.cell_id) == (ActualLrp.RUNNING, ActualLrp.ORDINARY, "c1")
    assert (row.domain, row.zone, row.routable) == ("d", "z1", True)
    assert row.definition_revision == definition.definition_revision
    assert row.net_info == net_info
    assert row.provenance.by == "cell/c1"
    assert _adopt(board).unchanged  # said again, it is so already


def test_what_is_not_healthy_yet_is_claimed(board: Board) -> None:
    assert _done(_adopt(_restored(board), routable=False)).actual_lrp.state == ActualLrp.CLAIMED


def test_with_a_definition_that_is_lost_it_counts_as_old(board: Board) -> None:
    """So that convergence replaces it as in an update, one at a time."""
    row = _done(_adopt(_restored(board), definition_revision=4711)).actual_lrp
    assert row.definition_revision == 0


def test_what_is_desired_now_may_be_what_it_runs(board: Board) -> None:
    """An LRP that was desired after the backup, and again after the restore."""
    _restored(board)
    desired = board.state().desired_lrp("web")
    assert desired is not None
    digest = digest_of_closed(b"v1")
    row = _done(_adopt(board, digest=digest, definition_revision=4711)).actual_lrp
    assert row.definition_revision == desired.definition_revision


def test_a_place_that_nobody_fills_is_taken_from_an_unclaimed_one(board: Board) -> None:
    old = _created(board)
    _done(_adopt(_restored(board)))
    assert set(_rows(board)) == {LATER} != {old}


def test_its_own_row_from_before_it_was_placed_is_its_own(board: Board) -> None:
    guid = _created(board)
    row = _done(_adopt(_restored(board), guid)).actual_lrp
    assert (row.state, row.cell_id) == (ActualLrp.RUNNING, "c1")
    assert set(_rows(board)) == {guid}
    assert board.changes_after(0)[-1].verb == 2  # CHANGED


def test_an_older_instance_gives_way_wherever_it_was(board: Board) -> None:
    """The backup has it on c2; it was replaced since, by the one that c1 reports."""
    old = _created(board)
    _run(board, old, "c2")
    _done(_adopt(_restored(board)))
    rows = _rows(board)
    assert rows[LATER].presence == ActualLrp.ORDINARY
    assert rows[old].presence == ActualLrp.SUSPECT


def test_a_newer_instance_stays(board: Board) -> None:
    _done(_adopt(_restored(board), "iff0001", "c2"))
    assert _adopt(board).reason == "ResourceConflict"
    assert set(_rows(board)) == {"iff0001"}


def test_a_replacement_of_this_epoch_stays_once_it_is_placed(board: Board) -> None:
    _as_brain(_restored(board))
    new = _created(board)
    _place(board, new, "c2")
    assert "has taken its place" in _adopt(board).message
    assert set(_rows(board)) == {new}


def test_a_replacement_of_this_epoch_that_is_nowhere_is_not_needed(board: Board) -> None:
    _as_brain(_restored(board))
    _created(board)
    _done(_adopt(board))
    assert set(_rows(board)) == {LATER}


NOT_WANTED: list[dict[str, Any]] = [{"process_guid": "gone"}, {"index": 2}]


@pytest.mark.parametrize("fields", NOT_WANTED)
def test_what_is_not_wanted_is_seen_until_its_domain_is_complete(
    board: Board, fields: dict[str, Any]
) -> None:
    _restored(board)
    row = _done(_adopt(board, **fields)).actual_lrp
    assert (row.domain, row.cell_id, row.state) == ("d", "c1", ActualLrp.RUNNING)
    assert row.adopted_revision == row.provenance.revision
    assert _adopt(board, **fields).unchanged
    retire = c.RetireInstance(
        instance_guid=row.instance_guid, row_revision=row.provenance.revision
    )
    _as_brain(board)
    assert _done(board.say("brain/b1", retire_instance=retire)).actual_lrp.stopping


@pytest.mark.parametrize("fields", NOT_WANTED)
def test_what_is_not_wanted_in_a_complete_domain_is_stopped(
    board: Board, fields: dict[str, Any]
) -> None:
    _restored(board)
    _done(board.say("user/ann", upsert_domain=c.UpsertDomain(domain="d")))
    assert _adopt(board, **fields).reason == "ResourceConflict"
    assert not _rows(board)


@pytest.mark.parametrize("domain", ["default", "", "d" * 129])
def test_in_the_default_domain_it_is_left_alone_until_somebody_says_that_it_is_complete(
    board: Board, domain: str
) -> None:
    """Convergence takes that domain for complete at any time: it would end what has a row."""
    _restored(board)
    assert _adopt(board, process_guid="gone", domain=domain).reason == "Unavailable"
    _done(board.say("user/ann", upsert_domain=c.UpsertDomain(domain="default")))
    reason = _adopt(board, process_guid="gone", domain=domain).reason
    assert reason == ("ResourceConflict" if domain == "default" else "Unavailable")


def test_a_domain_that_was_complete_before_says_nothing(board: Board) -> None:
    _done(board.say("user/ann", upsert_domain=c.UpsertDomain(domain="d")))
    _restored(board)
    assert _done(_adopt(board, process_guid="gone")).actual_lrp.process_guid == "gone"


def test_desired_again_an_lrp_has_what_runs_of_it(board: Board) -> None:
    _restored(board)
    _done(_adopt(board, process_guid="gone"))
    lrp = DesiredLrp(process_guid="gone", domain="d", instances=1)
    desire = c.DesireLrp(desired_lrp=lrp, definition=b"v1")
    desired = _done(board.say("user/ann", desire_lrp=desire)).desired_lrp
    _as_brain(board)
    create = c.CreateInstance(
        process_guid="gone", index=0, desired_revision=desired.provenance.revision
    )
    assert board.say("brain/b1", create_instance=create).reason == "ResourceExists"


def test_what_was_made_in_this_epoch_and_is_gone_stays_gone(board: Board) -> None:
    _restored(board)
    guid = f"i{board.state().counters().revision:x}"
    assert "its row is gone" in _adopt(board, guid).message
    assert not _rows(board)


def test_nothing_is_adopted_where_no_epoch_began(board: Board) -> None:
    assert _adopt(board).reason == "ResourceConflict"


@pytest.mark.parametrize("guid", ["x1", "i", "ig", "i-1", "i 1", "iFF", "i1_0", "i²"])
def test_a_guid_that_is_none_is_refused(board: Board, guid: str) -> None:
    assert _adopt(_restored(board), guid).reason == "InvalidRequest"


def test_one_instance_is_not_on_two_cells(board: Board) -> None:
    _done(_adopt(_restored(board)))
    assert _adopt(board, cell="c2").reason == "RunningOnDifferentCell"


def test_it_is_noted_when_an_instance_was_adopted(board: Board) -> None:
    row = _done(_adopt(_restored(board))).actual_lrp
    desired = board.state().desired_lrp("web")
    assert desired is not None
    assert row.adopted_revision == row.provenance.revision > desired.scaled_revision


def test_what_is_being_removed_adopts_nothing(board: Board) -> None:
    _restored(board)
    _adopt(board)
    _done(board.say("user/ann", remove_lrp=c.RemoveLrp(process_guid="web")))
    assert _adopt(board, "iff0001", index=1).reason == "ResourceConflict"


@pytest.mark.parametrize(("later_s", "reason"), [(59, "ResourceConflict"), (60, "")])
def test_a_domain_is_complete_for_its_time(board: Board, later_s: int, reason: str) -> None:
    """What nobody wants is ended while it is, and afterwards left running."""
    _restored(board)
    board.at_ns = max(board.at_ns, board.state().counters().at_ns)
    _done(board.say("user/ann", upsert_domain=c.UpsertDomain(domain="d", ttl_s=60)))
    board.later(later_s)
    assert _adopt(board, index=7).reason == reason


def test_an_instance_that_evacuates_stays_beside_the_one_that_is_adopted(board: Board) -> None:
    guid = _created(board)
    _run(board, guid, "c1")
    row = board.state().actual_lrp(guid)
    assert row is not None
    evacuate = c.EvacuateInstance(instance_guid=guid, row_revision=row.provenance.revision)
    _done(board.say("brain/b1", evacuate_instance=evacuate))
    _done(_adopt(_restored(board), cell="c2"))
    rows = _rows(board)
    assert rows[guid].presence == ActualLrp.EVACUATING
    assert rows[LATER].presence == ActualLrp.ORDINARY
    assert _adopt(board, guid).unchanged


def test_an_instance_of_each_cell_is_adopted_for_its_cell(board: Board) -> None:
    lrp = DesiredLrp(process_guid="web", domain="d", instances=1, mode=LrpDefinition.GLOBAL)
    _done(board.say("user/ann", desire_lrp=c.DesireLrp(desired_lrp=lrp, definition=b"v2")))
    row = _done(_adopt(_restored(board), index=9, cell="c2")).actual_lrp
    assert (row.index, row.needs.cell_id) == (9, "c2")
