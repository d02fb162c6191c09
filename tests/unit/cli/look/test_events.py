"""`diegod events`: where it begins and where it ends."""

import pytest

from diegod.models.errors import DomainError, Reason
from diegod.v1.event_pb2 import WatchReply
from diegod.v1.record_pb2 import ActualLrp, Cell, Change, Domain, Lock, TaskSchedule
from tests.unit.cli.conftest import Run
from tests.unit.cli.records import a_change, a_status, an_instance, an_lrp_row
from tests.unit.client.fake_cluster import FakeCluster


@pytest.fixture
def history(cluster: FakeCluster) -> FakeCluster:
    cluster.calls = {"ClusterService/GetBbsStatus": a_status()}
    cluster.watched = [
        WatchReply(changes=[a_change(50)], revision=50),
        WatchReply(changes=[a_change(90)], revision=90),
        WatchReply(changes=[a_change(91)], revision=91),
        DomainError(Reason.COMPACTED, "the end of this test"),
    ]
    return cluster


@pytest.mark.parametrize(
    ("flags", "begins", "shown"),
    [
        ([], 1, ["50", "90"]),
        (["--from", "40"], 40, ["50", "90"]),
        (["--from", "0"], 1, ["50", "90"]),
        (["-f"], 90, ["50", "90", "91"]),
        (["-f", "--from", "7"], 7, ["50", "90", "91"]),
    ],
)
def test_from_where_to_where(
    flags: list[str], begins: int, shown: list[str], history: FakeCluster, run: Run
) -> None:
    result = run("events", *flags)
    assert [line.split()[1] for line in result.text.splitlines()] == shown
    assert history.asked("watch")[0].from_revision == begins


def test_filters_are_the_clusters(history: FakeCluster, run: Run) -> None:
    run("events", "--kind", "task", "--kind", "cell", "-d", "shop", "--cell", "cell-1")
    (request,) = history.asked("watch")
    assert (list(request.kinds), request.domain, request.cell_id) == (
        ["task", "cell"],
        "shop",
        "cell-1",
    )


def test_what_is_no_longer_kept_is_refused(history: FakeCluster, run: Run) -> None:
    history.watched = [DomainError(Reason.COMPACTED, "revision 3 is no longer kept: list again")]
    result = run("events", "--from", "3")
    assert (result.status, result.err) == (
        4,
        "diegod: revision 3 is no longer kept: list again. Begin anew: diegod events shows the "
        "latest, -f what comes\n",
    )


def test_each_kind_of_row_has_its_line(history: FakeCluster, run: Run) -> None:
    suspect = an_instance(0, presence=ActualLrp.SUSPECT)
    changes = [
        Change(verb=Change.CREATED, revision=1, desired_lrp=an_lrp_row()),
        Change(verb=Change.CHANGED, revision=2, actual_lrp=suspect, cause="cell-1 is lost"),
        Change(verb=Change.CHANGED, revision=3, cell=Cell(cell_id="cell-1", state=Cell.MISSING)),
        Change(verb=Change.REMOVED, revision=4, domain=Domain(domain="shop", ttl_s=60)),
        Change(verb=Change.CHANGED, revision=5, lock=Lock(name="brain"), by="brain/b-1"),
    ]
    history.watched = [WatchReply(changes=changes, revision=90)]
    assert [line.partition("  ")[2] for line in run("events").text.splitlines()] == [
        "1  CREATED  desired_lrp web  3 instances",
        "2  CHANGED  actual_lrp web/0  RUNNING, SUSPECT  cell-1: cell-1 is lost",
        "3  CHANGED  cell cell-1  MISSING",
        "4  REMOVED  domain shop  ttl 60 s",
        "5  CHANGED  lock brain  free  by brain/b-1",
    ]


def test_bbs_status_without_a_leader_is_5_and_shows_what_there_is(
    cluster: FakeCluster, run: Run
) -> None:
    cluster.calls = {"ClusterService/GetBbsStatus": a_status(leader="")}
    result = run("bbs", "status")
    assert result.status == 5
    assert "leader         none, term 3" in result.text
    assert result.err == "diegod: bbs-1 knows no leader (no majority answers it)\n"


@pytest.mark.parametrize(
    ("ref", "guid", "cell"),
    [
        ("web", "web", ""),
        ("web/1", "web", ""),
        ("lrp:web", "web", ""),
        ("task:t", "t", ""),
        ("cell:cell-1", "", "cell-1"),
    ],
)
def test_of_one_thing(ref: str, guid: str, cell: str, history: FakeCluster, run: Run) -> None:
    assert run("events", ref).status == 0
    (request,) = history.asked("watch")
    assert (request.guid, request.cell_id) == (guid, cell)


def test_of_one_index(history: FakeCluster, run: Run) -> None:
    changes = [
        Change(verb=Change.CHANGED, revision=5 + index, actual_lrp=an_instance(index))
        for index in range(3)
    ]
    changes.append(Change(verb=Change.CHANGED, revision=9, desired_lrp=an_lrp_row()))
    history.watched = [WatchReply(changes=changes, revision=90)]
    assert run("events", "web/1", "-o", "name").text == "6 actual_lrp\n"


def test_whoever_follows_is_told_where_to_go_on(history: FakeCluster, run: Run) -> None:
    result = run("events", "-f", "--from", "7")
    assert "up to revision 91. Go on: diegod events -f --from 91\n" in result.err


def test_schedules_have_their_line(history: FakeCluster, run: Run) -> None:
    schedule = TaskSchedule(name="nightly", cron="0 2 * * *", paused=True, last_task_guid="n-1")
    change = Change(verb=Change.CHANGED, revision=5, task_schedule=schedule)
    history.watched = [WatchReply(changes=[change], revision=90)]
    line = run("events", "--kind", "task_schedule").text
    assert line.endswith("task_schedule nightly  0 2 * * *  paused  last task n-1\n")
