"""The log, the vote and the indexes on disk, and the flaws F10 and F21 of the raw library."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pysyncobj.journal import FileJournal

from diegod.raftbbs.raft.api import Fatal, Limits
from diegod.raftbbs.raft.journal import NO_OP, HardState, Journal
from diegod.raftbbs.raft.step_transaction import StepTransaction
from diegod.raftbbs.store.environment import Environment

Damage = Callable[[bytes], bytes]


class Disk:
    """A store that is opened and closed, and a journal on it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.open(create=True)

    def open(self, create: bool = False, **limits: int) -> Journal:
        self.environment = Environment.open(
            self.folder, create=create, durable=False, map_size=16 << 20
        )
        self.transaction = StepTransaction(self.environment)
        self.journal = Journal(self.environment, self.transaction, Limits(**limits))
        return self.journal

    def save(self) -> None:
        self.journal.save()
        self.transaction.commit()

    def reopen(self, **limits: int) -> Journal:
        self.close()
        return self.open(create=False, **limits)

    def close(self) -> None:
        self.transaction.abort()
        self.environment.close()

    def damage(self, table: str, key: bytes, how: Damage | None) -> None:
        """Change a stored value behind everybody's back; None removes it."""
        handle = self.environment.table(table)
        with self.environment.begin_write() as transaction:
            stored = transaction.get(handle, key)
            assert stored is not None
            if how is None:
                transaction.delete(handle, key)
            else:
                transaction.put(handle, key, how(stored))


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    disk = Disk(tmp_path / "store")
    yield disk
    disk.close()


@pytest.fixture
def full(disk: Disk) -> Disk:
    """Ten entries of term 1, five of them committed, three applied; a vote in term 2."""
    disk.journal.set_term(1, "B")
    for index in range(2, 11):
        disk.journal.add(b"\0entry %d" % index, index, 1)
    disk.journal.set_commit_index(5)
    disk.journal.set_applied_index(3)
    disk.journal.set_term(2, "C")
    disk.save()
    return disk


def key(index: int) -> bytes:
    return index.to_bytes(8, "big")


def test_a_new_log_has_the_entry_that_all_are_born_with(disk: Disk) -> None:
    assert disk.journal[0] == disk.journal[-1] == (NO_OP, 1, 0)
    assert disk.journal.state == HardState()
    disk.save()
    assert len(disk.reopen()) == 1


def test_everything_is_there_after_a_restart(full: Disk) -> None:
    journal = full.reopen()
    assert journal.state == HardState(2, "C", 5, 3)
    assert [journal.entry(index)[0] for index in range(2, 11)] == [
        b"\0entry %d" % index for index in range(2, 11)
    ]
    assert (journal.first_index, journal.last_index, journal.last_term, len(journal)) == (
        1,
        10,
        1,
        10,
    )


def test_what_was_not_committed_to_disk_is_not_there(full: Disk) -> None:
    full.journal.add(b"\0lost", 11, 1)
    full.journal.set_term(9, "A")
    full.journal.save()
    journal = full.reopen()
    assert (journal.last_index, journal.state.term) == (10, 2)


def test_a_tail_that_is_cut_is_gone(full: Disk) -> None:
    full.journal.cut_from(7)
    full.journal.add(b"\0other", 7, 2)
    full.save()
    journal = full.reopen()
    assert [entry[1:] for entry in journal[4:]] == [(5, 1), (6, 1), (7, 2)]  # type: ignore[index]


def test_a_beginning_that_is_cut_is_gone(full: Disk) -> None:
    full.journal.cut_to(3)
    assert (full.journal.first_index, len(full.journal)) == (3, 8)
    full.save()
    journal = full.reopen()
    assert (journal.first_index, journal.last_index, len(journal)) == (3, 10, 8)
    assert journal[0] == (b"\0entry 3", 3, 1)
    assert journal[1] == (b"\0entry 4", 4, 1)
    assert journal.has(3, 1)
    assert not journal.has(2, 1)
    assert not journal.has(3, 2)
    with pytest.raises(IndexError):
        journal.entry(2)


def test_a_cut_that_was_not_committed_to_disk_never_was(full: Disk) -> None:
    full.journal.cut_to(3)
    assert full.reopen().first_index == 1


def test_a_log_that_begins_behind_what_is_applied_does_not_start(full: Disk) -> None:
    for index in range(1, 4):
        full.damage("log", key(index), None)
    with pytest.raises(Fatal, match="does not fit a log that begins at 4"):
        full.reopen()


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda journal: journal.cut_to(4), "applied up to 3, can't begin at 4"),
        (lambda journal: (journal.cut_to(3), journal.cut_to(2)), "can't begin at 2"),
        (lambda journal: journal.cut_from(5), "entry 5 is committed"),
        (lambda journal: journal.add(b"\0", 12, 1), "does not follow"),
        (lambda journal: journal.add(b"\0", 10, 1), "does not follow"),
        (lambda journal: journal.add(b"\0", 11, 0), "does not follow"),
        (lambda journal: journal.set_term(1, None), "can't go back from 2 to 1"),
        (lambda journal: journal.set_term(2, "A"), "the vote of term 2 was given to C"),
        (lambda journal: journal.set_term(2, None), "the vote of term 2 was given to C"),
        (lambda journal: journal.set_commit_index(4), "can't go from 5 to 4"),
        (lambda journal: journal.set_commit_index(11), "the log ends at 10"),
        (lambda journal: journal.set_applied_index(2), "can't be 2"),
        (lambda journal: journal.set_applied_index(6), "can't be 6"),
    ],
)
def test_what_must_not_happen_ends_the_member(
    full: Disk, change: Callable[[Journal], None], complaint: str
) -> None:
    with pytest.raises(Fatal, match=complaint):
        change(full.journal)


def test_an_index_outside_the_log_is_an_error(full: Disk) -> None:
    for index in (0, -1, 11):
        with pytest.raises(IndexError):
            full.journal.entry(index)


def test_slices_are_bounded(full: Disk) -> None:
    journal = full.reopen(apply_entries=3)
    to_apply, to_send = journal[3:9], journal[3:]
    assert [entry[1] for entry in to_apply] == [4, 5, 6]  # type: ignore[index]
    assert [entry[1] for entry in to_send] == [4, 5, 6, 7, 8, 9, 10]  # type: ignore[index]
    assert len(full.reopen(apply_bytes=1)[3:9]) == 2


def test_memory_keeps_only_the_newest_entries(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("diegod.raftbbs.raft.journal._RECENT_BYTES_MAX", 10_000)
    for index in range(2, 102):
        disk.journal.add(b"\0" * 1000, index, 1)
    assert len(disk.journal._recent) == 10
    assert disk.journal.entry(2) == (b"\0" * 1000, 2, 1)


def flip_last(stored: bytes) -> bytes:
    return stored[:-1] + bytes([stored[-1] ^ 1])


@pytest.mark.parametrize(
    ("table", "at", "how", "complaint"),
    [
        ("log", key(4), flip_last, "entry 4 of the log has a wrong checksum"),
        ("log", key(10), flip_last, "entry 10 of the log has a wrong checksum"),
        ("log", key(4), None, "the log has a gap"),
        ("log", key(10), None, None),
        ("meta", b"raft", flip_last, "term and vote have a wrong checksum"),
        ("meta", b"raft", lambda stored: stored[:9], "term and vote have a wrong checksum"),
        ("meta", b"raft", None, "there is a log but no term and vote"),
    ],
)
def test_a_damaged_store_does_not_start(
    full: Disk, table: str, at: bytes, how: Damage | None, complaint: str | None
) -> None:
    """F10c, F10d. A last entry that is gone can't be seen here: the state hash of members can."""
    full.damage(table, at, how)
    if complaint is None:
        assert full.reopen().last_index == 9
    else:
        with pytest.raises(Fatal, match=complaint):
            full.reopen()


def test_an_entry_in_the_place_of_another_is_noticed(full: Disk) -> None:
    with full.environment.begin_read() as transaction:
        other = transaction.get(full.environment.table("log"), key(5))
    full.damage("log", key(6), lambda stored: other or b"")
    with pytest.raises(Fatal, match="entry 6 of the log has a wrong checksum"):
        full.reopen()


@pytest.mark.parametrize("from_index", [2, 5])
def test_a_commit_index_beyond_the_log_does_not_start(full: Disk, from_index: int) -> None:
    """F21: fresh entries would count as committed."""
    for index in range(from_index, 11):
        full.damage("log", key(index), None)
    with pytest.raises(Fatal, match=f"does not fit a log that ends at {from_index - 1}"):
        full.reopen()


def test_an_empty_log_of_a_member_that_took_part_does_not_start(full: Disk) -> None:
    for index in range(1, 11):
        full.damage("log", key(index), None)
    with pytest.raises(Fatal, match="the log is empty though this member took part"):
        full.reopen()


def test_raw_a_crash_in_compaction_loses_entries(tmp_path: Path) -> None:
    """F10a: the file is emptied and written again in place."""
    journal = FileJournal(str(tmp_path / "journal"))
    for index in range(1, 101):
        journal.add(b"x", index, 1)
    add = journal.add
    written: list[object] = []

    def die(*entry: object) -> None:
        if len(written) == 30:
            raise KeyboardInterrupt
        written.append(entry)
        add(*entry)

    journal.add = die
    with pytest.raises(KeyboardInterrupt):
        journal.deleteEntriesTo(10)
    journal._destroy()
    assert len(FileJournal(str(tmp_path / "journal"))) == 30  # of 90


def test_raw_a_damaged_file_is_believed(tmp_path: Path) -> None:
    """F10c, F10d: no checksum, and a vote that can't be read was never given."""
    path = tmp_path / "journal"
    journal = FileJournal(str(path))
    journal.add(b"good", 1, 7)
    journal.setCurrentTerm(7, "B")
    journal._destroy()
    path.write_bytes(path.read_bytes().replace(b"good", b"evil"))
    meta = path.with_suffix(".meta")
    meta.write_bytes(meta.read_bytes()[:5])
    damaged = FileJournal(str(path))
    assert damaged[0][0] == b"evil"
    assert (damaged.getCurrentTerm(), damaged.getVotedForNodeId()) == (0, None)
