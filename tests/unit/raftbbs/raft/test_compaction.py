"""Logs that are cut behind what is applied."""

from itertools import pairwise

import pytest

from diegod.raftbbs.raft.api import AnswerStatus, Limits, Timing
from tests.unit.raftbbs.raft.behind import WRITTEN, leave_behind
from tests.unit.raftbbs.raft.lab import Lab, lab
from tests.unit.raftbbs.raft.raw_library import raw_cluster


def test_a_log_keeps_its_newest_entries_and_is_cut_in_portions() -> None:
    with lab("A", limits=Limits(log_kept_entries=10, log_cut_entries=4)) as table:
        firsts = []
        for number in range(30):
            table.step("A", b"%d" % number)
            table.settle(rounds=1)
            view = table.leadership("A")
            firsts.append(view.log_first)
            assert view.applied_index - view.log_first >= 10 or view.log_first == 1
        assert sorted(set(firsts)) == [1, 5, 9, 13, 17, 21]
        table.crash("A")
        table.start("A")
        assert table.leadership("A").log_first == 21
        assert len(table.applied("A")) == 30


def test_a_backlog_is_cut_by_one_portion_a_step() -> None:
    with lab("A", limits=Limits(log_kept_entries=4, log_cut_entries=4)) as table:
        table.settle()
        table.step("A", *(b"%d" % number for number in range(40)))
        firsts = []
        for _ in range(12):
            table.step("A")
            firsts.append(table.leadership("A").log_first)
        assert {after - before for before, after in pairwise(firsts)} == {0, 4}
        assert firsts[-1] > 30


def test_a_cut_is_in_the_transaction_of_its_step() -> None:
    with lab("A", limits=Limits(log_kept_entries=4, log_cut_entries=1)) as table:
        table.settle()
        for number in range(9):
            table.step("A", b"%d" % number)
        before = table.leadership("A").log_first
        table.members["A"].environment.before_commit = lambda: 1 / 0  # type: ignore[assignment]
        with pytest.raises(ZeroDivisionError):
            table.step("A", b"lost")
        assert table["A"]._journal.first_index > before > 1
        table.crash("A")
        table.members["A"] = table.member_class(table, "A")
        assert table.leadership("A").log_first == before


def test_what_is_not_applied_is_never_cut() -> None:
    limits = Limits(log_kept_entries=0, log_cut_entries=1, apply_entries=1)
    with lab("A", limits=limits) as table:
        table.settle()
        table.step("A", *(b"%d" % number for number in range(9)))
        for _ in range(12):
            view = table.step("A").leadership
            assert view.log_first <= view.applied_index
        assert len(table.applied("A")) == 9


def test_a_member_that_lacks_only_what_is_kept_needs_no_copy() -> None:
    with lab(limits=Limits(log_kept_entries=50, log_cut_entries=2)) as table:
        table.elect("A", "BC")
        table.settle()
        table.isolate("C")
        for payload in WRITTEN:
            table.step("A", payload)
        table.settle("AB")
        table.join("C")
        table.settle()
        assert table.applied("C") == WRITTEN
        assert table.notices == table.replaced == []


def test_raw_a_member_that_lacks_two_entries_needs_everything() -> None:
    """F16: compaction keeps two entries."""
    with raw_cluster() as raw:
        raw.elect("A", "BC")
        raw.settle("ABC")
        raw.link("A", "C", up=False)
        raw["A"].put(b"one")
        raw["A"].put(b"two")
        raw.settle("AB")
        raw["A"].forceLogCompaction()
        raw.settle("AB")
        raw.link("A", "C")
        raw.tick("A")
        sent = raw.messages("A", "C")
        assert sent
        assert all("serialized" in message for message in sent)


def test_a_copy_is_dropped_when_nobody_uses_it_and_the_log_goes_on(parted: Lab) -> None:
    parted.join("C")
    parted.settle(rounds=60)
    pinned = parted["A"]._serving.pinned_index
    assert pinned is not None
    for number in range(30):
        parted.step("A", b"more%d" % number)
        parted.settle(rounds=1)
    assert parted.leadership("A").log_first <= pinned < parted.leadership("B").log_first
    assert parted["A"]._serving._folder.exists()
    parted.now += Timing().snapshot_kept_s
    parted.settle()
    assert parted["A"]._serving.pinned_index is None
    assert not parted["A"]._serving._folder.exists()
    for number in range(20):
        parted.step("A", b"still more%d" % number)
        parted.settle(rounds=1)
    assert parted.leadership("A").log_first > pinned


def test_a_log_that_is_half_full_is_not_kept_for_a_copy() -> None:
    limits = Limits(40, 4, 2, snapshot_chunk_bytes=8 << 10)
    with lab(limits=limits) as table:
        leave_behind(table)
        table.join("C")
        table.settle(rounds=3)
        table.crash("C")
        for number in range(60):
            table.step("A", b"more%d" % number)
            table.settle("AB", rounds=1)
        assert {answer.status for answer in table.answers.values()} == {AnswerStatus.OK}
        table.start("C")
        table.settle(rounds=90)
        assert table.replaced == ["C"]
        assert len(table.applied("C")) == 80
