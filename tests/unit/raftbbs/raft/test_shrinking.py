"""A store replaced by a compact copy of itself within a step."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from diegod.raftbbs.raft import shrinking
from diegod.raftbbs.raft.api import Replaced
from diegod.raftbbs.store.environment import Environment, StoreFailed
from tests.unit.raftbbs.raft.lab import Lab, lab


@pytest.fixture
def table() -> Iterator[Lab]:
    with lab() as table:
        table.elect("A", "BC")
        for number in range(20):
            table.step("A", b"%d" % number * 1000)
        table.settle()
        yield table


def _free_pages(table: Lab, who: str) -> Environment:
    """Fill the store and empty it again."""
    environment = table.members[who].environment
    other = environment.table("other")
    with environment.begin_write() as transaction:
        for number in range(2000):
            transaction.put(other, number.to_bytes(8, "big"), bytes(1000))
    with environment.begin_write() as transaction:
        transaction.clear(other)
    return environment


def test_free_pages_go_and_nothing_else(table: Lab) -> None:
    environment = _free_pages(table, "B")
    before, needed = environment.used_bytes(), environment.needed_bytes()
    log, applied = table.log("B"), table.applied("B")
    table["B"].request_shrinking()
    with pytest.raises(Replaced, match="compact copy"):
        table.step("B")
    table.crash("B")
    table.start("B")
    after = table.members["B"].environment.used_bytes()
    assert needed <= after <= needed + needed // 2 < before
    assert (table.log("B"), table.applied("B")) == (log, applied)


def test_it_votes_and_follows_as_before(table: Lab) -> None:
    _free_pages(table, "B")
    term = table.leadership("B").term
    table["B"].request_shrinking()
    table._step_or_begin_again("B")
    assert table.replaced == ["B"]
    assert table.leadership("B").term == term
    table.step("A", b"after")
    table.settle()
    assert table.applied("B")[-1] == b"after"


def test_the_file_is_its_owners_and_no_copy_stays(table: Lab) -> None:
    environment = _free_pages(table, "B")
    table["B"].request_shrinking()
    with pytest.raises(Replaced):
        table.step("B")
    assert (environment.path / "data.mdb").stat().st_mode & 0o777 == 0o600
    assert list((environment.path / shrinking.SHRINKING_FOLDER).glob("data.mdb")) == []


def test_where_there_is_no_room_it_goes_on(table: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    environment = table.members["B"].environment

    def full(folder: Path) -> None:
        (folder / "data.mdb").write_bytes(b"half")
        raise StoreFailed("the store can't copy: no space left on device")

    monkeypatch.setattr(environment, "copy", full)
    table["B"].request_shrinking()
    result = table.step("B")
    assert result.notices == [
        "the store is not compacted: the store can't copy: no space left on device"
    ]
    assert not (environment.path / shrinking.SHRINKING_FOLDER).exists()
    table.step("A", b"after")
    table.settle()
    assert table.applied("B")[-1] == b"after"
