"""`diegod bbs snapshot …`, `recover` and `compact`: what they say, and what they refuse."""

import json
import os
from pathlib import Path

import pytest

from diegod.cli.bbs import compact
from diegod.models.errors import DomainError, Reason
from diegod.raftbbs.backup import file
from diegod.raftbbs.backup.copying import take
from diegod.raftbbs.store.environment import DATA_FILE
from diegod.v1.cluster_pb2 import (
    BbsMember,
    CompactReply,
    SaveSnapshotReply,
    TransferLeadershipReply,
)
from tests.unit.cli import records
from tests.unit.cli.conftest import Run
from tests.unit.client.fake_cluster import FakeCluster
from tests.unit.raftbbs.backup.stores import a_store

BEGIN_S = 1_900_000_000.0
CONFIG = """\
roles = ["bbs"]
[cluster]
name = "prod"
[node]
id = "n1"
data_dir = "{home}/data"
[bbs.backup]
directory = "{home}/backups"
"""


@pytest.fixture
def pieces(tmp_path: Path) -> list[bytes]:
    """A backup, as a member sends it."""
    with a_store(tmp_path / "a" / "store") as environment:
        manifest = take(environment, tmp_path / "a" / "copy", BEGIN_S)
    with (tmp_path / "a" / "copy" / DATA_FILE).open("rb") as data:
        return list(file.pieces(manifest, data))


@pytest.fixture
def config(home: Path) -> str:
    path = home / "diegod.toml"
    path.write_text(CONFIG.format(home=home))
    return str(path)


@pytest.fixture
def backup(home: Path, pieces: list[bytes]) -> str:
    path = home / "one.backup"
    file.write(path, pieces)
    return str(path)


def test_what_a_member_sends_is_saved_and_checked(
    run: Run, home: Path, cluster: FakeCluster, pieces: list[bytes]
) -> None:
    replies = [SaveSnapshotReply(data=piece) for piece in pieces]
    cluster.streams["ClusterService/SaveSnapshot"] = replies
    done = run("bbs", "snapshot", "save", "new.backup", "--stale", "-o", "json")
    assert done.status == 0, done.err
    assert json.loads(done.text)["revision"] == 10
    assert (home / "new.backup").read_bytes() == b"".join(pieces)
    (request,) = cluster.asked("ClusterService/SaveSnapshot")
    assert request.stale


@pytest.mark.parametrize(
    "fault",
    [DomainError(Reason.RESOURCE_EXHAUSTED, "no backup: no room"), SaveSnapshotReply(data=b"x")],
)
def test_what_does_not_come_whole_leaves_no_file(
    run: Run, home: Path, cluster: FakeCluster, pieces: list[bytes], fault: object
) -> None:
    sent = [SaveSnapshotReply(data=pieces[0]), fault]
    cluster.streams["ClusterService/SaveSnapshot"] = sent
    before = os.listdir(home)
    done = run("bbs", "snapshot", "save", "new.backup")
    assert done.status in (1, 4)
    assert done.err.startswith("diegod: ")
    assert sorted(os.listdir(home)) == sorted(before)


def test_a_backup_is_shown(run: Run, backup: str) -> None:
    shown = run("bbs", "snapshot", "inspect", backup)
    assert "10 of epoch 1" in shown.text
    assert "prod (cluster-1)" in shown.text
    assert "2030-03-17T17:46:40Z" in shown.text
    assert "none: not encrypted" in shown.text
    form = json.loads(run("bbs", "snapshot", "inspect", backup, "-o", "json").text)
    assert form["counts"]["task"] == 3
    assert run("bbs", "snapshot", "inspect", backup, "-o", "name").text.strip() == form["digest"]


@pytest.mark.parametrize("verb", ["inspect", "verify"])
def test_what_is_no_backup_is_one_line(run: Run, home: Path, verb: str) -> None:
    (home / "notes").write_text("hello")
    done = run("bbs", "snapshot", verb, "notes")
    assert (done.status, done.out) == (1, b"")
    assert done.err == "diegod: notes is no backup of a BBS (or its first line is damaged)\n"
    missing = run("bbs", "snapshot", verb, "missing")
    assert (missing.status, missing.err) == (1, "diegod: missing: no such file or directory\n")


def test_automatic_ones_are_listed(run: Run, home: Path, config: str, pieces: list[bytes]) -> None:
    assert "no backups yet" in run("bbs", "snapshot", "ls", "--config", config).err
    (home / "backups").mkdir()
    file.write(home / "backups" / "a.backup", pieces)
    file.write(home / "backups" / "b.backup.unverified", pieces)
    lines = run("bbs", "snapshot", "ls", "--config", config).text.splitlines()
    assert lines[0].split() == ["FILE", "AGE", "MEMBER", "EPOCH", "REVISION", "MB", "VERIFIED"]
    assert [line.split()[-1] for line in lines[1:]] == ["yes", "no"]


def test_a_node_begins_from_a_backup(run: Run, home: Path, config: str, backup: str) -> None:
    done = run("bbs", "snapshot", "restore", backup, "--config", config, "-o", "json")
    assert done.status == 0, done.err
    form = json.loads(done.text)
    assert (form["cluster_id"], form["epoch"], form["failed_tasks"]) == ("cluster-1", 2, 2)
    assert "n1 is the only member now" in done.err
    assert "2 tasks had not ended: failed, outcome unknown" in done.err
    again = run("bbs", "snapshot", "restore", backup, "--config", config)
    assert again.status == 78
    assert "there is a store in" in again.err


def test_there_is_nothing_to_recover_in_an_empty_folder(run: Run, config: str) -> None:
    done = run("bbs", "recover", "--config", config)
    assert done.status == 78
    assert "there is no store in" in done.err
    assert done.err.count("\n") == 1


def test_followers_are_compacted_first() -> None:
    status = records.a_status(leader="bbs-2")
    del status.members[:]
    for id_ in ("bbs-3", "bbs-2", "bbs-1"):
        status.members.append(BbsMember(member_id=id_, address=f"{id_}:8889", connected=True))
    order = [each.member_id for each in compact.in_order(status)]
    assert order == ["bbs-1", "bbs-3", "bbs-2"]


def test_where_one_is_away_no_other_leaves(run: Run, cluster: FakeCluster) -> None:
    status = records.a_status()
    del status.members[:]
    status.members.append(BbsMember(member_id="bbs-1", connected=True))
    status.members.append(BbsMember(member_id="bbs-2", connected=False))
    cluster.calls["ClusterService/GetBbsStatus"] = status
    done = run("bbs", "compact")
    assert done.status == 1
    assert "bbs-2 can't be reached by bbs-1" in done.err
    assert cluster.asked("ClusterService/Compact") == []


def test_a_leader_gives_its_leadership_away_first(run: Run, cluster: FakeCluster) -> None:
    status = records.a_status()
    del status.members[:]
    status.members.append(BbsMember(member_id="bbs-1", address="bbs-1:8889", connected=True))
    leads: list[object] = [DomainError(Reason.INVALID_STATE_TRANSITION, "bbs-1 leads")]
    reply = CompactReply(store_bytes=100 << 20, needed_bytes=99 << 20)
    cluster.calls = {
        "ClusterService/GetBbsStatus": status,
        "ClusterService/Compact": lambda _: leads.pop() if leads else reply,
        "ClusterService/TransferLeadership": TransferLeadershipReply(leader_id="bbs-2"),
    }
    done = run("bbs", "compact", "-o", "name")
    assert (done.status, done.text) == (0, "bbs-1\n")
    assert done.err == "bbs-1 led the others; bbs-2 does now\n"


def test_a_store_that_is_compact_is_said_to_be(run: Run, cluster: FakeCluster) -> None:
    status = records.a_status()
    del status.members[:]
    status.members.append(BbsMember(member_id="bbs-1", address="bbs-1:8889", connected=True))
    cluster.calls["ClusterService/GetBbsStatus"] = status
    reply = CompactReply(store_bytes=100 << 20, needed_bytes=99 << 20)
    cluster.calls["ClusterService/Compact"] = reply
    lines = run("bbs", "compact").text.splitlines()
    assert lines[0].split() == ["MEMBER", "BEFORE", "MB", "AFTER", "MB"]
    assert lines[1].split() == ["bbs-1", "100.0", "100.0"]
