"""Every failure: its status, its one line, nothing on stdout and no traceback."""
# ruff: noqa: E501 - a table of exact lines, one row a line

from collections.abc import Sequence
from pathlib import Path

import pytest

from diegod.cli.terminal import session
from diegod.cli.terminal.errors import CliError
from diegod.cli.terminal.session import open_client
from diegod.client import Client
from diegod.client.connect import Connection
from diegod.config.contexts import Target, TlsFiles
from diegod.models.errors import DomainError, Problem, Reason
from diegod.security.diagnosis import Diagnosis, Kind
from diegod.v1.task_pb2 import ListTasksReply
from tests.unit.cli import records
from tests.unit.cli.conftest import Run
from tests.unit.client.fake_cluster import FakeCluster

REFUSALS = [
    (Reason.INVALID_REQUEST, 2, "a line"),
    (Reason.RESOURCE_EXISTS, 4, "a line"),
    (Reason.RESOURCE_CONFLICT, 4, "a line"),
    (Reason.INVALID_STATE_TRANSITION, 4, "a line"),
    (Reason.PERMISSION_DENIED, 4, "a line"),
    (Reason.RESOURCE_EXHAUSTED, 4, "a line"),
    (Reason.COMPACTED, 4, "a line"),
    (Reason.UNAUTHENTICATED, 5, "a line"),
    (Reason.NOT_LEADER, 5, "a line"),
    (Reason.UNAVAILABLE, 5, "a line"),
    (
        Reason.UNKNOWN_OUTCOME,
        5,
        "a line. It may have been done or not: look before you repeat it",
    ),
]


@pytest.mark.parametrize(("reason", "status", "line"), REFUSALS)
def test_a_refusal_of_the_cluster(
    reason: Reason, status: int, line: str, cluster: FakeCluster, run: Run
) -> None:
    cluster.calls = {"LrpService/Get": DomainError(reason, "a line")}
    result = run("lrp", "show", "web")
    assert (result.status, result.out, result.err) == (status, b"", f"diegod: {line}\n")


def test_every_reason_that_a_person_can_meet_is_in_the_table() -> None:
    between_roles = {
        Reason.RUNNING_ON_DIFFERENT_CELL,
        Reason.WRONG_ATTEMPT,
        Reason.STALE_INCARNATION,
        Reason.LOCK_COLLISION,
        Reason.CELL_MISSING,
        *(each for each in Reason if each.value.startswith("ActualLRPCannotBe")),
    }
    covered = {reason for reason, _, _ in REFUSALS} | {Reason.RESOURCE_NOT_FOUND}
    assert covered | between_roles == set(Reason)


def test_all_problems_of_a_refused_definition_are_listed(cluster: FakeCluster, run: Run) -> None:
    problems = [Problem("rootfs", "is required"), Problem("cpu_weight", "0 is not within 1–100")]
    refusal = DomainError(Reason.INVALID_REQUEST, "both", problems=problems)
    cluster.calls = {"LrpService/Get": refusal}
    assert run("lrp", "show", "web").err == (
        "rootfs: is required\ncpu_weight: 0 is not within 1–100\ndiegod: nothing was stored\n"
    )


NOT_FOUND = DomainError(Reason.RESOURCE_NOT_FOUND, "there is none")


@pytest.mark.parametrize(
    ("ref", "status", "line"),
    [
        ("nigthly-report", 3, 'no task "nigthly-report". Did you mean nightly-report?'),
        ("xyz", 3, 'no task "xyz".'),
        ("night", 2, '"night" is the beginning of 2 tasks: nightly-report, nightly-upload'),
    ],
)
def test_a_guid_that_nobody_has(
    ref: str, status: int, line: str, cluster: FakeCluster, run: Run
) -> None:
    tasks = [records.a_task("nightly-report"), records.a_task("nightly-upload")]
    cluster.calls = {"TaskService/Get": NOT_FOUND}
    cluster.streams = {"TaskService/List": [ListTasksReply(tasks=tasks)]}
    result = run("task", "show", ref)
    assert (result.status, result.out, result.err) == (status, b"", f"diegod: {line}\n")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["tsk"], 'there is no command "tsk". Did you mean "task"?'),
        (["task", "lss"], "no such command 'lss'. Did you mean 'ls'?"),
        (["task", "ls", "--nope"], "no such option: --nope. diegod task ls -h tells more"),
        (["task", "show"], "missing argument 'REF'. diegod task show -h tells more"),
        (["task", "ls", "--state", "gone"], '--state: "gone" is not one of PENDING, RUNNING, COMPLETED, RESOLVING'),
        (["task", "cancel"], "name the tasks, or a whole domain: diegod task cancel -d DOMAIN"),
        (["lrp", "run", "web", "--port", "http", "x"], '--port: "http" is not PORT or PORT:NAME'),
        (["lrp", "run", "web", "--check", "udp:1", "x"], '--check: "udp:1" is not tcp:PORT or http:PORT[/PATH]'),
        (["lrp", "run", "web", "-m", "1t", "x"], '-m: "1t" is not an amount of memory, like 256 (MB) or 1g'),
        (["lrp", "logs", "web/x"], '"web/x" is neither NAME nor NAME/INDEX'),
        (["events", "--kind", "tasks"], '--kind: "tasks" is not one of task, desired_lrp, actual_lrp, cell, domain, lock, task_schedule'),
        (["--role=cell", "task", "ls"], '--role starts roles in the foreground and can\'t stand with a command ("task"). diegod -h tells more'),
        (["--role=cel"], '--role: "cel" is not one of bbs, brain, cell. Did you mean cell?'),
        (["--role=cell", "--role=cell"], "--role: each role once"),
    ],
)  # fmt: skip
def test_wrong_usage(arguments: list[str], line: str, cluster: FakeCluster, run: Run) -> None:
    result = run(*arguments)
    assert (result.status, result.out, result.err) == (2, b"", f"diegod: {line}\n")


def test_an_output_that_does_not_exist_lists_those_that_do(cluster: FakeCluster, run: Run) -> None:
    result = run("task", "ls", "-o", "xml")
    assert result.status == 2
    assert "'xml' is not one of 'table', 'wide', 'json', 'yaml', 'name'" in result.err


def test_no_context_and_no_address(run: Run) -> None:
    result = run("task", "ls")
    assert (result.status, result.err) == (
        2,
        "diegod: no cluster given and no context. "
        "Start one here: diegod dev. Or: diegod context add\n",
    )


def test_a_certificate_that_is_missing_is_found_before_anything_is_sent(
    run: Run, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DIEGOD_ADDR", "127.0.0.1:1")
    for name in ("DIEGOD_CACERT", "DIEGOD_CLIENT_CERT", "DIEGOD_CLIENT_KEY"):
        monkeypatch.setenv(name, str(home / "nothing"))
    result = run("task", "ls")
    assert (result.status, result.out) == (5, b"")
    assert "your certificate" in result.err
    assert "is missing" in result.err


REFUSED = Diagnosis(Kind.NOTHING_LISTENS, "no answer from bbs-1:1 (connection refused). Start it.")
SLOW = Diagnosis(Kind.TIMED_OUT, "no answer from bbs-2:1 (timed out after 2 s). Is a firewall …?")
OTHER_CA = Diagnosis(Kind.OTHER_CA, "bbs-3:1 has a certificate of another CA. Is it yours?")
GOOD = Diagnosis(Kind.WORKS, "bbs-1:1 accepts your certificate")


@pytest.mark.parametrize(
    ("found", "line"),
    [
        ([REFUSED], "no answer from bbs-1:1 (connection refused). Start it."),
        (
            [REFUSED, SLOW],
            "no answer from bbs-1:1 (connection refused), bbs-2:1 (timed out after 2 s). "
            "Is the cluster running? diegod doctor",
        ),
        ([REFUSED, OTHER_CA], "bbs-3:1 has a certificate of another CA. Is it yours?"),
        ([REFUSED, GOOD], "no leader for 4 s"),
        ([], "no leader for 4 s"),
    ],
)
def test_why_nobody_answers(
    found: Sequence[Diagnosis],
    line: str,
    cluster: FakeCluster,
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def closed() -> None:
        return None

    async def diagnose(timeout_s: float) -> Sequence[Diagnosis]:
        return found

    def opened(target: Target, timeout_s: float) -> Client:
        return Client.over(Connection(cluster, closed, diagnose), timeout_s=timeout_s)

    monkeypatch.setattr(session, "open_client", opened)
    cluster.calls = {"LrpService/Get": DomainError(Reason.UNAVAILABLE, "no leader for 4 s")}
    result = run("lrp", "show", "web")
    assert (result.status, result.err) == (5, f"diegod: {line}\n")


def test_a_defect_of_ours_is_one_line_too_and_debug_shows_it(
    cluster: FakeCluster, run: Run
) -> None:
    cluster.calls = {"LrpService/Get": ZeroDivisionError("oops")}
    result = run("lrp", "show", "web")
    assert (result.status, result.out) == (1, b"")
    assert result.err == (
        "diegod: internal error (ZeroDivisionError: oops). Repeat it with --debug\n"
    )
    assert "Traceback" in run("lrp", "show", "--debug", "web").err


def test_ctrl_c_is_130_without_a_traceback(cluster: FakeCluster, run: Run) -> None:
    cluster.calls = {"LrpService/Get": _interrupted}
    result = run("lrp", "show", "web")
    assert (result.status, result.out, result.err) == (130, b"", "")


def _interrupted(request: object) -> None:
    raise KeyboardInterrupt


def test_a_reader_that_went_away_is_141(cluster: FakeCluster, run: Run) -> None:
    cluster.calls = {"LrpService/Get": _broken}
    result = run("lrp", "show", "web")
    assert (result.status, result.err) == (141, "")


def _broken(request: object) -> None:
    raise BrokenPipeError


def test_open_client_reads_the_certificate_of_the_target(home: Path) -> None:
    target = Target(("a:1",), TlsFiles.of_user(home), "prod", "", "prod")
    with pytest.raises(CliError) as caught:
        open_client(target, 1.0)
    assert caught.value.status == 5
