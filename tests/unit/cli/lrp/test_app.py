"""`diegod lrp …`: flags, files, waiting, logs."""

import pytest

from diegod.cli.lrp import progress
from diegod.models.errors import DomainError, Reason
from diegod.v1.event_pb2 import WatchReply
from diegod.v1.lrp_pb2 import DesireLrpReply, GetLrpReply, RemoveLrpReply
from diegod.v1.record_pb2 import ActualLrp, Change
from diegod.v1.stream_pb2 import LogChunk, ReadLogsReply
from tests.unit.cli.conftest import Run
from tests.unit.cli.records import an_instance, an_lrp_row, the_lrp
from tests.unit.client.fake_cluster import FakeCluster

NOT_FOUND = DomainError(Reason.RESOURCE_NOT_FOUND, "there is none")
SPEC = "kind: lrp\nprocess_guid: web\nrootfs: preloaded:busybox\naction: {run: {path: /bin/web}}\n"


def rows(*instances: ActualLrp) -> WatchReply:
    changes = [Change(verb=Change.CREATED, actual_lrp=row) for row in instances]
    return WatchReply(rows=changes, rows_end=True)


def gone(row: ActualLrp) -> WatchReply:
    return WatchReply(changes=[Change(verb=Change.REMOVED, actual_lrp=row)])


@pytest.fixture
def empty(cluster: FakeCluster) -> FakeCluster:
    """No LRP yet; what is desired comes up."""
    cluster.calls = {
        "LrpService/Get": NOT_FOUND,
        "LrpService/Desire": DesireLrpReply(desired_lrp=an_lrp_row(instances=1)),
        "LrpService/Remove": RemoveLrpReply(),
    }
    cluster.watched = [rows(), WatchReply(changes=rows(an_instance(0)).rows)]
    return cluster


FLAGS = ["-n", "3", "--port", "8080:http", "--port", "9100", "--check", "http:8080/ok"]
COMMAND = ["httpd", "-f", "-p", "8080", "-n", "9"]


@pytest.mark.parametrize(
    "words",
    [
        ["web", *FLAGS, "--", *COMMAND],
        ["web", *FLAGS, *COMMAND],
        [*FLAGS, "web", *COMMAND],
        [*FLAGS, "web", "--", *COMMAND],
        [*FLAGS[:2], "web", *FLAGS[2:], *COMMAND],
        [*FLAGS, "--", "web", *COMMAND],
        ["web", "-n3", *FLAGS[2:], *COMMAND],
        ["web", "-qn3", *FLAGS[2:], *COMMAND],
        ["web", "--instances=3", *FLAGS[2:], *COMMAND],
    ],
)
def test_options_stand_before_and_after_the_name(
    words: list[str], empty: FakeCluster, run: Run
) -> None:
    assert run("lrp", "run", "--detach", *words).status == 0
    definition = empty.asked("LrpService/Desire")[0].definition
    assert (definition.process_guid, definition.instances) == ("web", 3)
    assert [definition.action.run.path, *definition.action.run.args] == COMMAND
    assert [(port.container_port, port.name) for port in definition.ports] == [
        (8080, "http"),
        (9100, ""),
    ]
    check = definition.check_definition.checks[0].http_check
    assert (check.port, check.path) == (8080, "/ok")


def test_run_shows_how_it_comes_up(empty: FakeCluster, run: Run) -> None:
    result = run("lrp", "run", "web", "--", "true")
    assert (result.status, result.out) == (0, b"")
    first, second, last = result.err.splitlines()
    assert first == "web  1 instance  (revision 10)"
    assert second.startswith("  web/0  cell-1  RUNNING  after ")
    assert last == "web is running: 1 of 1.   diegod lrp logs web -f"


def test_run_that_crashes_is_1(empty: FakeCluster, run: Run) -> None:
    crashed = an_instance(0, state=ActualLrp.CRASHED, crash_count=3, crash_reason="no such file")
    empty.watched = [rows(crashed)]
    result = run("lrp", "run", "web", "--", "/nope")
    assert result.status == 1
    assert result.err.endswith("diegod: web/0 crashed 3 times, next try in 30 s: no such file\n")


def test_run_that_can_not_be_placed_is_6_although_nothing_happens_any_more(
    empty: FakeCluster, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "PLACEMENT_PATIENCE_S", 0.05)
    row = an_instance(0, state=ActualLrp.UNCLAIMED, placement_error="2 cells: 2 short of memory")
    row.ClearField("net_info")
    empty.watched = [rows(row)]
    result = run("lrp", "run", "web", "--", "true")
    assert result.status == 6
    assert "web/0 could not be placed: 2 cells: 2 short of memory." in result.err


def test_apply_replaces_what_it_has_seen_and_nothing_newer(empty: FakeCluster, run: Run) -> None:
    with open("web.yaml", "w") as file:
        file.write(SPEC)
    empty.calls["LrpService/Get"] = GetLrpReply(desired_lrp=an_lrp_row())
    assert run("lrp", "apply", "--detach", "web.yaml").status == 0
    assert run("lrp", "apply", "--detach", "--at", "7", "web.yaml").status == 0
    revisions = [request.expected_revision for request in empty.asked("LrpService/Desire")]
    assert revisions == [11, 7]


def test_apply_of_the_same_says_so(empty: FakeCluster, run: Run) -> None:
    with open("web.yaml", "w") as file:
        file.write(SPEC)
    row = an_lrp_row(instances=1)
    empty.calls["LrpService/Desire"] = DesireLrpReply(desired_lrp=row, already_there=True)
    assert run("lrp", "apply", "--detach", "web.yaml").err == "web: no change\n"


def test_apply_of_a_file_with_faults_stores_nothing(empty: FakeCluster, run: Run) -> None:
    with open("web.yaml", "w") as file:
        file.write(SPEC + "cpu_weight: 0\nmemroy_mb: 1\n---\nkind: task\n")
    result = run("lrp", "apply", "web.yaml")
    assert (result.status, empty.requests) == (2, [])
    assert result.err.splitlines() == [
        "web.yaml:5 cpu_weight: 0 is not within 1–100",
        "web.yaml:6 memroy_mb: unknown; did you mean memory_mb?",
        "web.yaml:8 task_guid: is required",
        "web.yaml:8 rootfs: is required: preloaded:NAME or dir:/PATH",
        "web.yaml:8 action: is required: run",
        "web.yaml:8 kind: task is not for this command: diegod task submit web.yaml",
        "diegod: nothing was stored",
    ]


def test_a_file_that_is_not_there(empty: FakeCluster, run: Run) -> None:
    result = run("lrp", "apply", "nothing.yaml")
    assert (result.status, result.err) == (
        1,
        "diegod: nothing.yaml: no such file or directory\n",
    )


def test_what_show_prints_is_applied_without_a_fault(empty: FakeCluster, run: Run) -> None:
    empty.calls["LrpService/Get"] = the_lrp()
    with open("web.yaml", "wb") as file:
        file.write(run("lrp", "show", "-o", "yaml", "web").out)
    assert run("lrp", "apply", "--detach", "web.yaml").status == 0
    stored = empty.asked("LrpService/Desire")[0].definition
    assert stored == the_lrp().desired_lrp.definition


def test_show_yaml_has_the_instances_of_now(empty: FakeCluster, run: Run) -> None:
    reply = the_lrp()
    reply.desired_lrp.instances = 7
    empty.calls["LrpService/Get"] = reply
    assert "instances: 7\n" in run("lrp", "show", "-o", "yaml", "web").text


def test_rm_removes_all_that_were_named_or_none(empty: FakeCluster, run: Run) -> None:
    empty.calls["LrpService/Get"] = the_lrp()
    empty.watched = [rows(an_instance(0)), gone(an_instance(0))]
    result = run("lrp", "rm", "-y", "web")
    assert result.status == 0
    first, second, last = result.err.splitlines()
    assert first == "web is removed; its instances are being stopped"
    assert second.startswith("  web/0  cell-1  ended after ")
    assert last == "web is gone"
    assert [request.process_guid for request in empty.asked("LrpService/Remove")] == ["web"]


def a_log(text: bytes) -> list[ReadLogsReply]:
    return [ReadLogsReply(chunks=[LogChunk(data=text)])]


def test_logs_of_one_instance_are_as_they_are(empty: FakeCluster, run: Run) -> None:
    empty.calls["LrpService/Get"] = the_lrp()
    empty.streams = {"LogService/Read": a_log(b"raw\xffno newline")}
    result = run("lrp", "logs", "web/2", "--tail", "5")
    assert result.out == b"raw\xffno newline"
    (request,) = empty.asked("LogService/Read")
    assert (request.instance_guid, request.tail_lines, request.follow) == ("i2", 5, False)


def test_logs_of_several_instances_say_whose_each_line_is(empty: FakeCluster, run: Run) -> None:
    empty.calls["LrpService/Get"] = the_lrp()
    empty.streams = {
        "LogService/Read": lambda request: a_log(f"{request.instance_guid}\nx".encode())
    }
    lines = run("lrp", "logs", "web").text.splitlines()
    assert sorted(lines) == [
        "web/0  i0", "web/0  x", "web/1  i1", "web/1  x", "web/2  i2", "web/2  x",
    ]  # fmt: skip


def test_what_one_instance_can_not_say_takes_nothing_from_the_others(
    empty: FakeCluster, run: Run
) -> None:
    """web/0 has not begun, the cell of web/1 is missing."""
    refusals = {
        "i0": [DomainError(Reason.RESOURCE_NOT_FOUND, "it has not started anywhere")],
        "i1": [DomainError(Reason.CELL_MISSING, "it ran on cell cell-9, which is missing")],
    }
    empty.calls["LrpService/Get"] = the_lrp()
    empty.streams = {
        "LogService/Read": lambda request: refusals.get(request.instance_guid, a_log(b"hello"))
    }
    result = run("lrp", "logs", "web")
    assert (result.status, result.text) == (5, "web/2  hello\n")
    assert result.err == (
        "web/1: it ran on cell cell-9, which is missing\n"
        "diegod: the output of 1 of 3 instances is not whole\n"
    )


def test_logs_of_an_instance_that_is_not_there(empty: FakeCluster, run: Run) -> None:
    empty.calls["LrpService/Get"] = the_lrp()
    result = run("lrp", "logs", "web/9")
    assert (result.status, result.err) == (3, "diegod: no instance web/9. diegod lrp ps web\n")
