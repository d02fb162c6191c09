"""A copy on its way: what is asked for, refused, and left by lost connections and crashes; F16."""

import os

import pytest

from diegod.internal.v1.raft_pb2 import RaftFrame, SnapshotChunk
from diegod.raftbbs.raft import fetching, snapshot
from diegod.raftbbs.raft.serving import Serving
from diegod.raftbbs.raft.snapshot import (
    Snapshot,
)
from diegod.raftbbs.store.environment import DATA_FILE
from tests.unit.raftbbs.raft.behind import SMALL, WRITTEN, Later
from tests.unit.raftbbs.raft.lab import Lab, lab


def test_no_more_is_asked_for_ahead_than_is_allowed(parted: Lab) -> None:
    parted.join("C")
    most = 0
    for _ in range(60):
        parted.step("A", seconds=0.1)
        parted.pump("A", "C")
        if "C" in parted.replaced:
            break
        parted._step_or_begin_again("C")
        most = max(most, parted.kinds("C", "A").count("snapshot_request"))
        parted.pump("C", "A")
    assert most == 2
    assert parted.replaced == ["C"]


def _fetched(table: Lab) -> int:
    transfer = table["C"]._fetching._transfer
    return 0 if transfer is None else transfer.received


def _fetch_some(table: Lab) -> int:
    for _ in range(40):
        table.settle(rounds=1)
        if fetched := _fetched(table):
            return fetched
    raise AssertionError("nothing was fetched")


@pytest.mark.parametrize("restart", [False, True], ids=["a lost connection", "a restart"])
def test_a_transfer_goes_on_where_it_was(parted: Lab, restart: bool) -> None:
    parted.join("C")
    fetched = _fetch_some(parted)
    if restart:
        parted.crash("C")
        parted.start("C")
    else:
        parted.isolate("C")
        parted.join("C")
    parted.settle(rounds=60)
    assert any(f"from byte {fetched}" in notice for notice in parted.notices)
    assert parted.replaced == ["C"]
    assert parted.applied("C") == WRITTEN


def test_pieces_that_never_come_are_asked_for_again(parted: Lab) -> None:
    parted.join("C")
    _fetch_some(parted)
    for _ in range(2):
        parted.step("A", seconds=0.1)
        while parted.queues["A", "C"]:
            frame = parted.queues["A", "C"].popleft()
            if frame.WhichOneof("frame") != "snapshot_chunk":
                parted.members["C"].inbox.append(("A", frame))
        parted.step("C")
        parted.pump("C", "A")
    parted.queues["A", "C"].clear()
    stuck = _fetched(parted)
    parted.settle(rounds=10)
    assert _fetched(parted) == stuck
    parted.settle(rounds=100)
    assert parted.replaced == ["C"]


def test_another_leader_begins_another_transfer(parted: Lab) -> None:
    parted.join("C")
    _fetch_some(parted)
    parted.crash("A")
    parted.elect("B", "C")
    parted.settle(rounds=60)
    assert parted.replaced == ["C"]
    assert parted.applied("C") == WRITTEN


def test_a_disk_that_is_full_stops_a_transfer_and_nothing_else(
    parted: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(fetching.os, "pwrite", fail)
        parted.join("C")
        parted.settle()
    assert any("No space left" in notice for notice in parted.notices)
    assert not list(parted["C"]._fetching.folder.iterdir())
    parted.settle(rounds=120)
    assert parted.replaced == ["C"]


def test_a_copy_with_another_digest_is_refused(parted: Lab) -> None:
    """F16; and F6: it is neither installed nor acknowledged."""
    parted.join("C")
    spoiled = False
    for _ in range(30):
        parted.step("A", seconds=0.1)
        for frame in parted.queues["A", "C"]:
            if frame.WhichOneof("frame") == "snapshot_chunk" and not spoiled:
                frame.snapshot_chunk.data = bytes(len(frame.snapshot_chunk.data))
                spoiled = True
        parted.pump("A", "C")
        parted.step("C")
        parted.pump("C", "A")
    assert any("has another digest" in notice for notice in parted.notices)
    assert parted.replaced == parted.applied("C") == []
    assert parted["A"]._library.match_index("C") <= 2
    parted.settle(rounds=120)
    assert parted.applied("C") == WRITTEN


def test_a_piece_beyond_the_end_is_refused(parted: Lab) -> None:
    parted.join("C")
    _fetch_some(parted)
    transfer = parted["C"]._fetching._transfer
    assert transfer is not None
    transfer.snapshot = Snapshot(99, 1, transfer.received + 1, transfer.snapshot.digest)
    chunk = SnapshotChunk(
        digest=transfer.snapshot.digest, offset=transfer.received, data=b"more than that"
    )
    parted.members["C"].inbox.append(("A", RaftFrame(snapshot_chunk=chunk)))
    assert "beyond its size" in parted.step("C").refused[0].reason


def test_what_is_not_newer_than_what_is_committed_is_not_fetched(parted: Lab) -> None:
    fetch = parted["B"]._fetching
    view = parted.leadership("B")
    assert not fetch.is_needed(Snapshot(view.commit_index, 1, 1, b""))
    assert view.log_first > 2
    assert not fetch.is_needed(Snapshot(view.log_first - 1, 1, 1, b""))  # cut off: it can't compare
    assert fetch.is_needed(Snapshot(view.commit_index + 1, 1, 1, b""))


def test_an_acknowledged_tail_is_not_given_up_for_a_copy() -> None:
    """B has acknowledged entries that it does not know to be committed: they may be, thanks to it.

    A copy that ends within them is newer than what B knows to be committed, and yet must not be
    taken. A copy that ends in an entry that B does not have has all that could count on B.
    """
    with lab(limits=SMALL) as table:
        table.elect("A", "BC")
        table.settle()
        for payload in WRITTEN[:4]:
            table.step("A", payload)
        table.pump("A", "B")
        table.step("B")
        fetch, view = table["B"]._fetching, table.leadership("B")
        assert view.commit_index < view.log_last - 1
        within = Snapshot(view.log_last - 1, view.term, 1, b"")
        assert not fetch.is_needed(within)
        assert fetch.is_needed(Snapshot(view.log_last - 1, view.term + 1, 1, b""))
        assert fetch.is_needed(Snapshot(view.log_last + 1, view.term, 1, b""))


def test_a_copy_that_is_overtaken_while_it_is_prepared_is_not_installed(parted: Lab) -> None:
    later = Later()
    parted["C"]._fetching._background = later
    parted.join("C")
    parted.settle(rounds=60)
    assert len(later.waiting) == 1
    journal = parted["C"]._journal
    for index in range(journal.last_index + 1, parted.leadership("A").log_last + 1):
        journal.add(b"\0", index, 1)
    journal.save()
    later.finish()
    parted.step("C")
    assert "it is not newer" in parted.notices[-1]
    assert parted.replaced == []


def test_only_the_leader_of_the_term_is_listened_to(parted: Lab) -> None:
    parted.join("C")
    parted.settle(rounds=3)
    offer = next(
        frame
        for frame in [parted["A"]._serving.offer(1, parted.now)]
        if frame is not None and frame.WhichOneof("frame") == "snapshot_offer"
    )
    parted["C"]._fetching.close()
    parted.members["C"].inbox.append(("B", offer))
    stale = RaftFrame.FromString(offer.SerializeToString())
    stale.snapshot_offer.term = 0
    stale.snapshot_offer.index_term = 0
    parted.members["C"].inbox.append(("A", stale))
    parted.step("C")
    assert parted["C"]._fetching._transfer is None


class Dead(Exception):  # noqa: N818 - it names an event
    """The process dies here."""


def _die(*args: object) -> None:
    raise Dead


def _go_on_until_it_dies(table: Lab) -> None:
    """In a step of C, or in what is done beside its steps."""
    for _ in range(60):
        table.settle(rounds=1)
        waiting = table["C"]._fetching._preparing
        if waiting is not None:
            waiting[1].result()


@pytest.mark.parametrize("point", ["digest_of", "keep_only", "write_hard_state", "replace"])
def test_a_member_that_crashed_in_between_begins_again(
    parted: Lab, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    parted.join("C")
    parted.settle(rounds=2)
    with monkeypatch.context() as patch:
        if point == "replace":
            patch.setattr(snapshot.os, "replace", _die)
        else:
            patch.setattr(snapshot, point, _die)
        patch.setattr(Serving, "look", lambda self, now: None)
        with pytest.raises(Dead):
            _go_on_until_it_dies(parted)
    parted.crash("C")
    parted.start("C")
    parted.settle(rounds=90)
    assert parted.applied("C") == WRITTEN


def test_leftovers_of_an_earlier_life_are_removed(parted: Lab) -> None:
    folder = parted["C"]._fetching.folder
    folder.mkdir(exist_ok=True)
    for name in (DATA_FILE, "lock.mdb"):
        (folder / name).write_bytes(b"half")
    (folder / "00.part").write_bytes(b"begun")
    outgoing = parted["C"]._serving._folder
    outgoing.mkdir()
    (outgoing / DATA_FILE).write_bytes(b"old")
    parted.crash("C")
    parted.start("C")
    assert os.listdir(folder) == ["00.part"]
    assert not outgoing.exists()
