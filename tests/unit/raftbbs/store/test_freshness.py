"""An older version of a row in its own place."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from diegod.internal.v1.command_pb2 import (
    Batch,
    CancelTask,
    Command,
    DeleteTask,
    DesireTask,
    UpsertDomain,
)
from diegod.raftbbs.raft.api import Proposal
from diegod.raftbbs.replica import AppliedEntry
from diegod.raftbbs.store.freshness import outdated_row
from diegod.v1.record_pb2 import Task
from tests.unit.raftbbs.bbs import ANN, Parts, parts
from tests.unit.raftbbs.store.keyrings import ring


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Parts]:
    made = parts(tmp_path / "m1", now=0.0, keyring=ring("A"))
    yield made
    made.environment.close()


class Writer:
    def __init__(self, made: Parts) -> None:
        self.made, self.now = made, 1.0
        while not made.log.leadership().noop_applied:
            made.log.step([], [], [], self.now)

    def apply(self, **command: object) -> None:
        self.now += 1.0
        entry = Batch(at_ns=int(self.now * 1e9), commands=[Command(by=str(ANN), **command)])  # type: ignore[arg-type]
        proposals = [Proposal(1, entry.SerializeToString())]
        while not (applied := self.made.log.step([], proposals, [], self.now).applied):
            proposals = []
        assert isinstance(applied[0].result, AppliedEntry)
        (outcome,) = applied[0].result.outcomes
        assert not outcome.reason, outcome.message


def stale(made: Parts, newest: int | None = 1000) -> str:
    with made.environment.begin_read() as transaction:
        return outdated_row(made.tables, transaction, newest)


def domain_as_stored(made: Parts) -> bytes:
    with made.environment.begin_read() as transaction:
        stored = transaction.stored(made.tables.domains.rows, b"d")
    assert stored is not None
    return stored


def put_back(made: Parts, stored: bytes) -> None:
    with made.environment.begin_write() as transaction:
        transaction.put_stored(made.tables.domains.rows, b"d", stored)


def test_what_was_written_in_order_is_fresh(made: Parts) -> None:
    writer = Writer(made)
    for ttl_s in (1, 2):
        writer.apply(upsert_domain=UpsertDomain(domain="d", ttl_s=ttl_s))
        writer.apply(upsert_domain=UpsertDomain(domain="e", ttl_s=ttl_s))
    task = Task(task_guid="t1", domain="d")
    writer.apply(desire_task=DesireTask(task=task, definition=b"x"))
    writer.apply(cancel_task=CancelTask(task_guid="t1"))
    writer.apply(delete_task=DeleteTask(task_guid="t1"))
    assert stale(made) == stale(made, None) == ""


def test_an_older_version_of_a_row_is_found(made: Parts) -> None:
    writer = Writer(made)
    writer.apply(upsert_domain=UpsertDomain(domain="d", ttl_s=1))
    older = domain_as_stored(made)
    writer.apply(upsert_domain=UpsertDomain(domain="d", ttl_s=2))
    put_back(made, older)
    assert stale(made) == (
        "the domain 'd' is as revision 1 left it, and its last change is revision 2"
    )


def test_a_row_that_is_gone_is_missed(made: Parts) -> None:
    Writer(made).apply(upsert_domain=UpsertDomain(domain="d", ttl_s=1))
    with made.environment.begin_write() as transaction:
        transaction.delete(made.tables.domains.rows, b"d")
    assert "is as revision 0 left it" in stale(made)


def test_only_the_newest_changes_are_looked_at_when_that_is_asked(made: Parts) -> None:
    writer = Writer(made)
    writer.apply(upsert_domain=UpsertDomain(domain="d", ttl_s=1))
    older = domain_as_stored(made)
    writer.apply(upsert_domain=UpsertDomain(domain="d", ttl_s=2))
    writer.apply(upsert_domain=UpsertDomain(domain="e", ttl_s=2))
    put_back(made, older)
    assert stale(made, 1) == ""
    assert "'d'" in stale(made, 2)
