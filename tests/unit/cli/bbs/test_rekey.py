"""`diegod bbs rekey`: every member in turn, until all are done."""

from collections.abc import Iterator

import pytest

from diegod.cli.bbs import rekey
from diegod.models.errors import DomainError, Reason
from diegod.v1.cluster_pb2 import RekeyReply, RekeyRequest
from tests.unit.cli import records
from tests.unit.cli.conftest import Run
from tests.unit.client.fake_cluster import FakeCluster


@pytest.fixture
def replies(cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What the members say, one after the other."""
    said: list[object] = []
    left: Iterator[object] = iter(said)

    def next_reply(request: RekeyRequest) -> object:
        return next(left)

    cluster.calls = {
        "ClusterService/GetBbsStatus": records.a_status(),
        "ClusterService/Rekey": next_reply,
    }
    monkeypatch.setattr(rekey, "_ASK_EVERY_S", 0.0)
    return said


def reply(percent: int, active: str = "new", *others: str) -> RekeyReply:
    return RekeyReply(percent=percent, active_key=active, key_names=[*others, active])


def test_it_waits_and_says_how_far_each_member_is(replies: list[object], run: Run) -> None:
    replies += [reply(10, "new", "old"), reply(10, "new", "old"), reply(99, "new", "old")]
    replies += [reply(100), reply(100)]
    result = run("bbs", "rekey", "-o", "name")
    assert (result.status, result.text.split()) == (0, ["bbs-1", "bbs-2"])
    assert result.err.splitlines() == [
        "bbs-1: 10 %",
        "bbs-1: 99 %",
        'every member\'s store is under the key "new"; other keys are needed by old backups only',
    ]


def test_members_that_differ_are_told_of(replies: list[object], run: Run) -> None:
    replies += [reply(100), reply(100, "old")]
    result = run("bbs", "rekey")
    assert result.status == 0
    assert 'different active keys. ' in result.err
    assert 'bbs-1 "new", bbs-2 "old"' in result.err


def test_one_that_does_not_answer_keeps_nobody_from_being_asked(
    replies: list[object], run: Run
) -> None:
    replies += [DomainError(Reason.UNAVAILABLE, "no answer"), reply(100)]
    result = run("bbs", "rekey", "-o", "name")
    assert (result.status, result.text) == (5, "bbs-2\n")
    assert result.err.splitlines() == [
        "bbs-1 (bbs-1:8889): no answer",
        "diegod: not every member could be asked: keep the old keys",
    ]
