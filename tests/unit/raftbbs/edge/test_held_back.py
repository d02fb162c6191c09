"""What the status says of a mass loss and of domains that are not fresh, by the BBS's own rows."""

from pathlib import Path

import pytest

from diegod.internal.v1.command_pb2 import (
    AcquireLock,
    ControlCell,
    CreateInstance,
    DesireLrp,
    ExpireCell,
    RemoveLrp,
    UpsertDomain,
)
from diegod.raftbbs.edge.overview import overview
from diegod.v1.cell_pb2 import ControlCellRequest
from diegod.v1.cluster_pb2 import GetStatusReply
from diegod.v1.record_pb2 import BrainSettings, DesiredLrp
from tests.unit.raftbbs.core.board import Board

CELLS = ["c0", "c1", "c2"]


async def status(board: Board) -> GetStatusReply:
    return await overview(board.state())


def with_cells(path: Path) -> Board:
    board = Board.open(path)
    for cell_id in CELLS:
        board.with_cell(cell_id)
    return board


def lose(board: Board, *cell_ids: str) -> None:
    for cell_id in cell_ids:
        expire = ExpireCell(cell_id=cell_id, incarnation=1)
        assert not board.say("bbs/b1", expire_cell=expire).reason


@pytest.mark.parametrize(("lost", "holds"), [(1, False), (2, True), (3, True)])
async def test_a_mass_loss_is_said_until_its_hold_is_over(
    tmp_path: Path, lost: int, holds: bool
) -> None:
    board = with_cells(tmp_path)
    lose(board, *CELLS[:lost])
    reply = await status(board)
    assert reply.HasField("mass_loss") == holds
    if not holds:
        return
    assert (reply.mass_loss.lost, reply.mass_loss.of) == (lost, 3)
    assert list(reply.mass_loss.cell_ids) == CELLS[:lost]
    since = board.state().cell("c0").since
    assert reply.mass_loss.until.seconds - since.seconds == 300
    board.later(300)
    board.with_cell("c9")  # time goes on with what is applied
    assert not (await status(board)).HasField("mass_loss")


async def test_losses_that_are_accepted_do_not_count(tmp_path: Path) -> None:
    board = with_cells(tmp_path)
    lose(board, "c0", "c1")
    assert (await status(board)).HasField("mass_loss")
    accept = ControlCell(cell_id="c0", verb=ControlCellRequest.ACCEPT_LOSS)
    assert not board.say("user/ann", control_cell=accept).reason
    assert not (await status(board)).HasField("mass_loss")


async def test_it_goes_by_the_settings_of_the_brain(tmp_path: Path) -> None:
    board = with_cells(tmp_path)
    settings = BrainSettings(
        mass_loss_percent=90, mass_loss_cells_min=3, mass_loss_hold_s=60, lease_ttl_s=10
    )
    acquire = AcquireLock(name="brain", brain=settings)
    assert not board.say("brain/b1", acquire_lock=acquire).reason
    lose(board, "c0", "c1")
    assert not (await status(board)).HasField("mass_loss")
    lose(board, "c2")
    reply = await status(board)
    assert reply.mass_loss.lost == 3
    assert reply.mass_loss.until.seconds - board.state().cell("c2").since.seconds == 60


async def test_domains_that_keep_what_nobody_desires_are_named(tmp_path: Path) -> None:
    """Before format 2 an LRP that is removed leaves its instances behind."""
    board = Board.open(tmp_path, cluster_format=1).with_brain()
    for guid, domain in [("web", "shop"), ("api", "default"), ("kept", "other")]:
        lrp = DesiredLrp(process_guid=guid, domain=domain, instances=1)
        desired = board.say("user/ann", desire_lrp=DesireLrp(desired_lrp=lrp, definition=b""))
        create = CreateInstance(process_guid=guid, desired_revision=desired.revision)
        assert not board.say("brain/b1", create_instance=create).reason
    assert list((await status(board)).stale_domains) == []
    for guid in ("web", "api"):
        assert not board.say("user/ann", remove_lrp=RemoveLrp(process_guid=guid)).reason
    assert list((await status(board)).stale_domains) == ["shop"]
    board.say("user/ann", upsert_domain=UpsertDomain(domain="shop", ttl_s=10))
    assert list((await status(board)).stale_domains) == []
    board.later(10)
    board.with_cell("c9")
    assert list((await status(board)).stale_domains) == ["shop"]
