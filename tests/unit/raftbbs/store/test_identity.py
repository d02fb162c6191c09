"""The birth record: made once, and checked at each start."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from diegod.raftbbs.store.environment import Environment
from diegod.raftbbs.store.identity import Birth, StoreRefused, Voter, create, load

VOTERS = (Voter("b2", "b2:8889", "b2:8892"), Voter("b1", "b1:8889", "b1:8892"))
BIRTH = Birth("c-1", "test", "b1", "s-1", VOTERS)


def test_a_store_says_whose_it_is(tmp_path: Path) -> None:
    create(tmp_path / "store", BIRTH)
    environment, birth = load(tmp_path / "store", member_id="b1", cluster_id="c-1")
    environment.close()
    assert birth == BIRTH
    assert birth.peers == ("b2",)
    assert (birth.epoch, birth.store_format) == (1, 2)


def test_a_store_is_made_only_in_an_empty_folder(tmp_path: Path) -> None:
    create(tmp_path, BIRTH)
    with pytest.raises(StoreRefused, match="is not empty: a store is made only in an empty folder"):
        create(tmp_path, replace(BIRTH, store_id="s-2"))
    environment, birth = load(tmp_path)
    environment.close()
    assert birth.store_id == "s-1"


def test_an_empty_folder_is_no_store(tmp_path: Path) -> None:
    with pytest.raises(StoreRefused, match="is empty: `diegod bbs init` makes the store of a new"):
        load(tmp_path)
    with pytest.raises(StoreRefused, match="does not exist: `diegod bbs init`"):
        load(tmp_path / "missing")
    (tmp_path / "notes").write_text("mine")
    with pytest.raises(StoreRefused, match="holds no store of a BBS member"):
        load(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes"]


@pytest.mark.parametrize(
    ("expected", "complaint"),
    [
        ({"member_id": "b2"}, "belongs to the member 'b1', not to 'b2'"),
        ({"cluster_id": "c-2"}, "belongs to the cluster c-1, not to c-2"),
    ],
)
def test_a_foreign_store_is_refused_and_closed(
    tmp_path: Path, expected: dict[str, Any], complaint: str
) -> None:
    create(tmp_path, BIRTH)
    for _ in range(2):
        with pytest.raises(StoreRefused, match=complaint):
            load(tmp_path, **expected)
    load(tmp_path)[0].close()


def test_a_store_without_a_birth_record_is_refused(tmp_path: Path) -> None:
    Environment.open(tmp_path, create=True).close()
    with pytest.raises(StoreRefused, match="its making was interrupted"):
        load(tmp_path)


def test_a_store_of_a_later_version_is_refused(tmp_path: Path) -> None:
    create(tmp_path, BIRTH)
    environment = Environment.open(tmp_path)
    meta = environment.table("meta")
    record = json.dumps({"store_format": 3, "shape": "unknown"}).encode()
    with environment.begin_write() as transaction:
        transaction.put(meta, b"birth", record)
    environment.close()
    with pytest.raises(StoreRefused, match="has format 3, this version reads format 2"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"member_id": "b3"}, "must name 'b3'"),
        ({"voters": (*VOTERS, VOTERS[0])}, "nobody twice"),
        ({"cluster_id": ""}, "needs a cluster id"),
        ({"store_id": ""}, "needs a cluster id and a store id"),
    ],
)
def test_a_birth_makes_sense(fields: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        replace(BIRTH, **fields)


def test_who_joins_is_born_with_the_record_of_that_time(tmp_path: Path) -> None:
    learner = Voter("b3", "b3:8889", "b3:8892", "s-3")
    voters = (Voter("b1", "b1:8889", "b1:8892", "s-1"),)
    joiner = Birth("c-1", "test", "b3", "s-3", voters, learners=(learner,), members_revision=7)
    create(tmp_path / "store", joiner)
    environment, birth = load(tmp_path / "store")
    environment.close()
    assert birth == joiner


def test_a_first_member_is_born_as_before_there_were_changes(tmp_path: Path) -> None:
    """So that an earlier version can start from the store that it made itself."""
    create(tmp_path / "store", BIRTH)
    environment = Environment.open(tmp_path / "store")
    meta = environment.table("meta")
    with environment.begin_read() as transaction:
        stored = transaction.get(meta, b"birth")
    environment.close()
    assert stored is not None
    record = json.loads(stored)
    assert sorted(record) == [
        "cluster_id",
        "cluster_name",
        "epoch",
        "member_id",
        "store_format",
        "store_id",
        "voters",
    ]
    assert sorted(record["voters"][0]) == ["api_address", "id", "raft_address"]
