"""The transaction of a step is begun when it is needed."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from diegod.raftbbs.raft.step_transaction import StepTransaction
from diegod.raftbbs.store.environment import Environment


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[Environment]:
    environment = Environment.open(tmp_path, create=True, durable=False, map_size=1 << 20)
    yield environment
    environment.close()


def test_a_step_that_writes_nothing_commits_nothing(environment: Environment) -> None:
    table = environment.table("t")
    commits: list[int] = []
    environment.before_commit = lambda: commits.append(1)
    step = StepTransaction(environment)
    step.commit()
    assert step.reader.get(table, b"k") is None
    step.commit()
    assert commits == []
    step.writer.put(table, b"k", b"v")
    step.commit()
    assert commits == [1]


def test_a_step_reads_what_it_wrote_and_others_only_after_it(environment: Environment) -> None:
    table = environment.table("t")
    step = StepTransaction(environment)
    assert step.reader.get(table, b"k") is None
    step.writer.put(table, b"k", b"v")
    assert step.reader.get(table, b"k") == b"v"
    with environment.begin_read() as other:
        assert other.get(table, b"k") is None
    step.commit()
    assert step.reader.get(table, b"k") == b"v"
    step.abort()


def test_an_aborted_step_never_was(environment: Environment) -> None:
    table = environment.table("t")
    step = StepTransaction(environment)
    step.writer.put(table, b"k", b"v")
    step.abort()
    step.abort()
    assert step.reader.get(table, b"k") is None
    step.abort()
