"""Everything encrypted anew, in slices, whatever happens between two of them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from diegod.raftbbs.store.envelope import EnvelopeError
from diegod.raftbbs.store.environment import DATA_FILE, KEYS_TABLE, Environment
from diegod.raftbbs.store.key_registry import Pass, read_registry, unlock
from diegod.raftbbs.store.rekeying import NEVER, Progress, Rekeying, Slice
from diegod.security.at_rest import NO_KEYS, Keyring
from tests.unit.raftbbs.store.keyrings import ring

SMALL = Slice(values=7, looked_at=20)
TABLES = {"log": 40, "task": 25, "task_number": 3, "empty": 0, "zone": 1}
PAUSE_S = SMALL.pause_s


@contextmanager
def opened(folder: Path, keyring: Keyring = NO_KEYS) -> Iterator[Environment]:
    environment = Environment.open(folder, create=True, durable=False, map_size=8 << 20)
    try:
        unlock(environment, keyring)
        yield environment
    finally:
        environment.close()


def fill(environment: Environment) -> None:
    tables = {name: environment.table(name) for name in (*TABLES, "meta")}
    with environment.begin_write() as transaction:
        for name, values in TABLES.items():
            for number in range(values):
                value = f"{name} {number} canary".encode()
                transaction.put(tables[name], number.to_bytes(2, "big"), value)
        transaction.put(tables["meta"], b"raft", b"term and vote")


def content(environment: Environment) -> dict[str, dict[bytes, bytes]]:
    """Every value of every table, opened; but for what the store says of its keys."""
    names = [name for name in environment.table_names() if name != KEYS_TABLE]
    tables = {name: environment.table(name) for name in names}
    with environment.begin_read() as transaction:
        return {name: dict(transaction.scan(table)) for name, table in tables.items()}


def labels(environment: Environment) -> set[int]:
    """The labels of all values but those that are never encrypted."""
    names = [name for name in environment.table_names() if name not in ("meta", KEYS_TABLE)]
    tables = [environment.table(name) for name in names]
    with environment.begin_read() as transaction:
        return {value[1] for table in tables for _, value in transaction.scan_stored(table)}


def one_slice(environment: Environment, rekeying: Rekeying, now: float = 0.0) -> bool:
    with environment.begin_write() as transaction:
        rekeying.go_on(transaction, now)
    return rekeying.committed()


def finish(environment: Environment, at_most: Slice = SMALL) -> Rekeying:
    rekeying = Rekeying(environment, at_most)
    while rekeying.due_at() != NEVER:
        one_slice(environment, rekeying)
    return rekeying


@pytest.mark.parametrize(
    ("before", "after", "label", "names"),
    [
        (NO_KEYS, ring("A"), 1, ("A",)),
        (ring("A"), ring("B", "A"), 2, ("B",)),
        (ring("A"), ring("", "A"), 0, ()),
    ],
    ids=["encrypted", "another key", "decrypted"],
)
def test_a_store_changes_its_key(
    tmp_path: Path, before: Keyring, after: Keyring, label: int, names: tuple[str, ...]
) -> None:
    with opened(tmp_path, before) as environment:
        fill(environment)
        expected = content(environment)
        finish(environment)
    with opened(tmp_path, after) as environment:
        rekeying = finish(environment)
        assert content(environment) == expected
        assert labels(environment) == {label}
        assert rekeying.progress == Progress(100, after.active, names)
        assert read_registry(environment).named() == names
    without_old = ring(after.active)
    with opened(tmp_path, without_old) as environment:
        assert content(environment) == expected
        assert Rekeying(environment).due_at() == NEVER


def test_what_was_plain_is_gone_from_the_rows(tmp_path: Path) -> None:
    with opened(tmp_path / "store") as environment:
        fill(environment)
    assert b"canary" in (tmp_path / "store" / DATA_FILE).read_bytes()
    with opened(tmp_path / "store", ring("A")) as environment:
        rekeying = finish(environment)
        (tmp_path / "copy").mkdir()
        environment.copy(tmp_path / "copy")  # compact: without the pages that are free
    assert b"canary" not in (tmp_path / "copy" / DATA_FILE).read_bytes()
    assert any("may still hold what was not encrypted" in said for said in rekeying.notices)


def test_a_slice_does_no_more_than_it_may(tmp_path: Path) -> None:
    with opened(tmp_path) as environment:
        fill(environment)
    with opened(tmp_path, ring("A")) as environment:
        rekeying = Rekeying(environment, SMALL)
        assert rekeying.due_at() < 0
        slices, anew = 0, 0
        while rekeying.due_at() != NEVER:
            one_slice(environment, rekeying, now=100.0 + slices)
            done = sum(
                value[1] for table in TABLES for value in stored(environment, table)
            )
            assert done - anew <= SMALL.values
            anew, slices = done, slices + 1
            assert rekeying.due_at() in (NEVER, 100.0 + slices - 1 + PAUSE_S)
        assert anew == sum(TABLES.values())
        assert slices == -(-anew // SMALL.values)


def stored(environment: Environment, name: str) -> list[bytes]:
    table = environment.table(name)
    with environment.begin_read() as transaction:
        return [value for _, value in transaction.scan_stored(table)]


def test_large_values_end_a_slice_early(tmp_path: Path) -> None:
    with opened(tmp_path) as environment:
        table = environment.table("definition")
        with environment.begin_write() as transaction:
            for number in range(4):
                transaction.put(table, bytes([number]), bytes(1000))
    with opened(tmp_path, ring("A")) as environment:
        rekeying = Rekeying(environment, Slice(bytes=1500))
        one_slice(environment, rekeying)
        assert [value[1] for value in stored(environment, "definition")] == [1, 1, 0, 0]


def test_progress_goes_up_to_99_and_then_is_done(tmp_path: Path) -> None:
    with opened(tmp_path) as environment:
        fill(environment)
    with opened(tmp_path, ring("A")) as environment:
        rekeying = Rekeying(environment, SMALL)
        seen = [rekeying.progress.percent]
        while rekeying.due_at() != NEVER:
            one_slice(environment, rekeying)
            seen.append(rekeying.progress.percent)
        assert seen == sorted(seen)
        assert (seen[0], max(seen[:-1]) <= 99, seen[-1]) == (0, True, 100)


class Crashed(Exception):  # noqa: N818 - it names an event
    """Raised where a process would be gone."""


def crash_at(number: int) -> Callable[[], None]:
    commits = count(1)

    def before_commit() -> None:
        if next(commits) == number:
            raise Crashed

    return before_commit


@pytest.mark.parametrize("writes_meanwhile", [False, True])
def test_it_goes_on_after_a_crash_between_any_two_slices(
    tmp_path: Path, writes_meanwhile: bool
) -> None:
    slices = -(-sum(TABLES.values()) // SMALL.values)
    for crash in range(1, slices + 2):
        folder = tmp_path / str(crash)
        with opened(folder) as environment:
            fill(environment)
            expected = content(environment)
        with opened(folder, ring("A")) as environment:
            environment.before_commit = crash_at(crash)
            rekeying = Rekeying(environment, SMALL)
            try:
                while rekeying.due_at() != NEVER:
                    one_slice(environment, rekeying)
            except Crashed:
                pass
            else:
                assert crash == slices + 1
        with opened(folder, ring("A")) as environment:
            walk = read_registry(environment).walk
            assert (walk is None) == (crash > slices)
            if walk is not None:
                assert walk.walked == (crash - 1) * SMALL.values
            if writes_meanwhile:
                overwrite(environment, expected)
            finish(environment)
            assert content(environment) == expected
            assert labels(environment) == {1}


def overwrite(environment: Environment, expected: dict[str, dict[bytes, bytes]]) -> None:
    """Change values on both sides of where the walk is, remove one, and add one."""
    log, zone = environment.table("log"), environment.table("zone")
    with environment.begin_write() as transaction:
        for key in (b"\0\1", b"\0\x27"):
            transaction.put(log, key, b"changed")
            expected["log"][key] = b"changed"
        transaction.delete(log, b"\0\2")
        del expected["log"][b"\0\2"]
        transaction.put(zone, b"\0\0\0", b"added")
        expected["zone"][b"\0\0\0"] = b"added"


def test_it_turns_round_half_way(tmp_path: Path) -> None:
    """A to B, and back to A before all is under B."""
    with opened(tmp_path, ring("A")) as environment:
        fill(environment)
        expected = content(environment)
        finish(environment)
    with opened(tmp_path, ring("B", "A")) as environment:
        rekeying = Rekeying(environment, SMALL)
        for _ in range(4):
            one_slice(environment, rekeying)
        assert labels(environment) == {1, 2}
        assert rekeying.progress.key_names == ("A", "B")
    with opened(tmp_path, ring("A", "B")) as environment:
        assert read_registry(environment).walk == Pass(target=1)
        rekeying = finish(environment)
        assert content(environment) == expected
        assert labels(environment) == {1}
        assert any('the key "B" can be dropped here now' in said for said in rekeying.notices)


def test_a_view_that_began_before_the_end_reads_on(tmp_path: Path) -> None:
    with opened(tmp_path, ring("A")) as environment:
        fill(environment)
        expected = content(environment)
        finish(environment)
    with opened(tmp_path, ring("B", "A")) as environment:
        task = environment.table("task")
        before = environment.begin_read()
        finish(environment)
        assert dict(before.scan(task)) == expected["task"]
        before.abort()
        with environment.begin_read() as after:
            assert dict(after.scan(task)) == expected["task"]


class Interrupted:
    """An LMDB environment in which something happens just after a view has begun."""

    def __init__(self, inner: Any, what: Callable[[], object]) -> None:
        self.inner, self.what = inner, [what]

    def begin(self, **options: Any) -> Any:
        transaction = self.inner.begin(**options)
        if not options and self.what:
            self.what.pop()()
        return transaction

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


def test_a_view_that_begins_while_the_walk_ends_reads_what_it_sees(tmp_path: Path) -> None:
    """Its thread is another than the one that walks."""
    with opened(tmp_path, ring("A")) as environment:
        fill(environment)
        expected = content(environment)
        finish(environment)
    with opened(tmp_path, ring("B", "A")) as environment:
        task = environment.table("task")
        rekeying = Rekeying(environment, Slice(values=10_000))
        environment._environment = Interrupted(  # type: ignore[assignment]
            environment._environment, lambda: one_slice(environment, rekeying)
        )
        with environment.begin_read() as view:
            assert rekeying.due_at() == NEVER
            assert dict(view.scan(task)) == expected["task"]


def test_after_the_end_the_old_key_opens_nothing(tmp_path: Path) -> None:
    with opened(tmp_path, ring("A")) as environment:
        fill(environment)
        old = stored(environment, "task")[0]
        finish(environment)
    with opened(tmp_path, ring("B", "A")) as environment:
        finish(environment)
        task = environment.table("task")
        with environment.begin_write() as transaction:
            transaction.put_stored(task, b"\0\0", old)
        with environment.begin_read() as view, pytest.raises(EnvelopeError, match="key 1, which"):
            view.get(task, b"\0\0")


def test_a_damaged_value_ends_it(tmp_path: Path) -> None:
    """It is not carried over, and the key that it needs is not given up."""
    with opened(tmp_path) as environment:
        fill(environment)
        task = environment.table("task")
        with environment.begin_write() as transaction:
            transaction.put_stored(task, b"\0\0", b"\x02\0damaged")
    with opened(tmp_path, ring("A")) as environment:
        with pytest.raises(EnvelopeError, match="a value in task has a wrong checksum"):
            finish(environment)
        assert read_registry(environment).walk is not None
