"""A copy of a store: made, verified, and put in place of another, whatever crashes; F13."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pysyncobj import SyncObjConf

from diegod.raftbbs.raft import snapshot
from diegod.raftbbs.raft.journal import LOG_TABLE, HardState, read_hard_state
from diegod.raftbbs.raft.snapshot import (
    Snapshot,
    SnapshotRefused,
    digest_of,
    install,
    make,
    prepare,
)
from diegod.raftbbs.store import identity
from diegod.raftbbs.store.environment import DATA_FILE, Environment
from diegod.raftbbs.store.identity import META_TABLE, Birth, Voter
from tests.sim.raft_member import MAP_SIZE, disks
from tests.unit.raftbbs.raft.raw_library import SUCCESS, RawMember, raw_cluster


class Stores:
    """Two stores of one cluster, one of them ahead; and a copy of it beside the other."""

    def __init__(self, folder: Path, cluster_id: str = "cluster") -> None:
        voters = tuple(Voter(each, "", "") for each in "AB")
        for who, cluster in (("A", cluster_id), ("B", "cluster")):
            birth = Birth(cluster, "lab", who, f"store-{who}", voters)
            identity.create(folder / who, birth, durable=False)
        self.folder = folder
        self.ahead, self.behind = self.open("A"), self.open("B")
        self.incoming = folder / "B" / "incoming"

    def open(self, who: str) -> Environment:
        return identity.load(self.folder / who, durable=False, map_size=MAP_SIZE)[0]

    def close(self) -> None:
        self.ahead.close()
        self.behind.close()


def _write(environment: Environment, state: HardState, marker: bytes) -> None:
    tables = [environment.table(name) for name in (META_TABLE, LOG_TABLE, "state")]
    with environment.begin_write() as transaction:
        snapshot.write_hard_state(transaction, tables[0], state)
        for index in range(1, state.applied_index + 3):
            transaction.put(tables[1], index.to_bytes(8, "big"), _entry(index))
        transaction.put(tables[2], b"state", marker)


def _entry(index: int) -> bytes:
    from diegod.raftbbs.raft.journal import _encode_entry

    return _encode_entry(b"\0%d" % index, index, 1)


@pytest.fixture
def stores() -> Iterator[Stores]:
    with disks() as folder:
        stores = Stores(folder)
        _write(stores.ahead, HardState(3, "A", 50, 50), b"new")
        _write(stores.behind, HardState(7, "B", 5, 5), b"old")
        yield stores
        stores.close()


def test_another_clusters_copy_is_refused() -> None:
    with disks() as folder:
        stores = Stores(folder, cluster_id="another")
        _write(stores.ahead, HardState(3, "A", 50, 50), b"new")
        copy = make(stores.ahead, stores.incoming)
        with pytest.raises(SnapshotRefused, match="it is of the cluster 'another'"):
            prepare(stores.behind, copy, stores.incoming)
        stores.close()


@pytest.mark.parametrize(
    ("offered", "complaint"),
    [
        (lambda copy: Snapshot(51, 1, copy.size, copy.digest), "ends with entry"),
        (lambda copy: Snapshot(50, 2, copy.size, copy.digest), "ends with entry"),
        (lambda copy: Snapshot(50, 1, copy.size + 1, copy.digest), "another digest"),
        (lambda copy: Snapshot(50, 1, copy.size, b"x" * 32), "another digest"),
    ],
    ids=["another index", "another term", "another size", "another digest"],
)
def test_a_copy_that_is_not_what_was_offered_is_refused(
    stores: Stores, offered: Callable[[Snapshot], Snapshot], complaint: str
) -> None:
    copy = make(stores.ahead, stores.incoming)
    with pytest.raises(SnapshotRefused, match=complaint):
        prepare(stores.behind, offered(copy), stores.incoming)


def test_a_file_that_is_no_store_is_refused(stores: Stores) -> None:
    stores.incoming.mkdir()
    data = stores.incoming / DATA_FILE
    data.write_bytes(b"no store" * 4096)
    offered = Snapshot(50, 1, data.stat().st_size, digest_of(data))
    with pytest.raises(SnapshotRefused, match="it can't be read"):
        prepare(stores.behind, offered, stores.incoming)


def test_a_copy_is_consistent_while_others_write(stores: Stores) -> None:
    """It has the state of exactly the entry that it says it ends with."""
    stop = threading.Event()

    def go_on_writing() -> None:
        index = 50
        while not stop.is_set():
            index += 1
            _write(stores.ahead, HardState(3, "A", index, index), b"%d" % index)

    stores.ahead.table("state")
    writer = threading.Thread(target=go_on_writing)
    writer.start()
    try:
        copies = [make(stores.ahead, stores.incoming) for _ in range(20)]
    finally:
        stop.set()
        writer.join()
    prepare(stores.behind, copies[-1], stores.incoming)
    install(stores.behind, HardState(7, "B", 5, 5), copies[-1], stores.incoming)
    stores.behind.close()
    stores.behind = stores.open("B")
    state, marker, _, _ = _describe(stores.behind)
    assert copies[0].index < copies[-1].index
    assert state == HardState(7, "B", copies[-1].index, copies[-1].index)
    assert marker == b"%d" % copies[-1].index


# A crash at any moment.


class Dead(Exception):  # noqa: N818 - it names an event
    """The process dies here."""


def _die(*args: object, **more: object) -> None:
    raise Dead


def _describe(environment: Environment) -> tuple[HardState | None, bytes | None, str, int]:
    birth = identity.read(environment)
    meta, log, state = (environment.table(name) for name in (META_TABLE, LOG_TABLE, "state"))
    with environment.begin_read() as transaction:
        return (
            read_hard_state(transaction, meta),
            transaction.get(state, b"state"),
            birth.store_id,
            transaction.count(log),
        )


OLD = (HardState(7, "B", 5, 5), b"old", "store-B", 7)
NEW = (HardState(7, "B", 50, 50), b"new", "store-B", 1)


@pytest.mark.parametrize(
    ("point", "expected"),
    [
        ("digest_of", OLD),
        ("_ends_with", OLD),
        ("keep_only", OLD),
        ("write_hard_state", OLD),
        ("commit", OLD),
        ("replace", OLD),
        ("after the rename", NEW),
        ("nowhere", NEW),
    ],
)
def test_a_crash_leaves_the_old_store_or_the_new_one(
    stores: Stores, monkeypatch: pytest.MonkeyPatch, point: str, expected: object
) -> None:
    """F13: never something in between."""
    copy = make(stores.ahead, stores.incoming)
    with monkeypatch.context() as patch:
        if point == "commit":
            stores.behind.before_commit = _die  # the store that is prepared is watched with it
        elif point == "replace":
            patch.setattr(snapshot.os, "replace", _die)
        elif point == "after the rename":
            stores.behind.durable = True
            patch.setattr(snapshot, "flush_names", _die)
        elif point != "nowhere":
            patch.setattr(snapshot, point, _die)
        try:
            prepare(stores.behind, copy, stores.incoming)
            install(stores.behind, HardState(7, "B", 5, 5), copy, stores.incoming)
            died = False
        except Dead:
            died = True
    assert died == (point != "nowhere")
    stores.behind.close()
    stores.behind = stores.open("B")
    assert _describe(stores.behind) == expected


def test_raw_a_crash_between_dump_and_log_clears_the_log(tmp_path: Path) -> None:
    """F13: what was acknowledged since the dump began is gone."""

    class Durable(RawMember):
        def __init__(self, cluster: Any, me: str, others: list[str], conf: Any) -> None:
            own = SyncObjConf(
                autoTick=False,
                useFork=False,
                journalFile=str(tmp_path / f"{me}.journal"),
                fullDumpFile=str(tmp_path / f"{me}.dump"),
            )
            super().__init__(cluster, me, others, own)

    with raw_cluster(member=Durable) as raw:
        raw.elect("A", "BC")
        raw.settle("ABC")
        raw["A"].put(b"old")
        raw.settle("ABC")
        b = raw["B"]
        entries = [b.get("raftLog")[b.raftLastApplied - each] for each in (1, 2)]
        b.get("serializer").serialize(({}, *entries, set()), entries[1][1])  # and then it dies
        acknowledged: list[int] = []
        raw["A"].put(b"new", lambda result, why: acknowledged.append(why))
        for _ in range(4):
            raw.tick("A")
            raw.pump("A", "B")
            raw.pump("B", "A")
        assert acknowledged == [SUCCESS]
        assert b.get("raftLog")[-1][0] == b"\0new"
        b.get("raftLog").flush()
        again = Durable(raw, "B", ["A", "C"], None)
        again.set("raftElectionDeadline", raw.now + 1e9)
        again.doTick(0)
        assert b"\0new" not in [entry[0] for entry in again.get("raftLog")[:]]
