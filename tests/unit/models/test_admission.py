"""Every rule of a definition, each with one definition that breaks it and nothing else."""

from collections.abc import Callable

import pytest

from diegod.models import admission, limits
from diegod.models.errors import Problem
from diegod.v1.definition_pb2 import (
    CallbackPolicy,
    Check,
    Dependency,
    HttpCheck,
    LrpDefinition,
    TaskDefinition,
    TcpCheck,
    UpdatePolicy,
)
from tests.unit.models.definitions import a_full_lrp, a_full_task, a_task, an_lrp

GLOBAL = LrpDefinition.GLOBAL


def _set(definition: LrpDefinition, **fields: object) -> None:
    definition.MergeFrom(LrpDefinition(**fields))  # type: ignore[arg-type]


CALLBACK_URL = "completion_callback_url"


def _told(task: TaskDefinition, **policy: int) -> None:
    task.completion_callback_url = "http://ci.example.com"
    task.callback_policy.MergeFrom(CallbackPolicy(**policy))


#: Of what a task leaves behind, waits for, and how it is stopped.
TOLD_AND_STOPPED_FAULTS: list[tuple[Callable[[TaskDefinition], object], str, str]] = [
    (lambda t: setattr(t, "result_file", "out"), "result_file", "not an absolute path"),
    (lambda t: setattr(t, "result_file", "/a/../b"), "result_file", "leaves its directory"),
    *(
        (lambda t, url=url: setattr(t, "completion_callback_url", url), CALLBACK_URL, message)
        for url, message in (
            ("ci.example.com/hook", "is not an http or https URL"),
            ("ftp://ci.example.com/hook", "is not an http or https URL"),
            ("https://", "is not an http or https URL"),
            ("https:///hook", "is not a URL like"),
            ("https://ci.example.com/a b", "is not a URL like"),
            ("https://ci.example.com/#x", "is not a URL like"),
            ("https://ci.example.com\n", "is not a URL like"),
            ("https://ann:secret@ci.example.com/", "carries a user or password"),
            ("https://ci.example.com:99999/", "99999 is not a port"),
            ("https://ci.example.com/" + "x" * 2048, "at most 2048 are allowed"),
        )
    ),
    (lambda t: t.callback_policy.SetInParent(), "callback_policy", "is of no use without"),
    (lambda t: _told(t, backoff_ms=1), "callback_policy.backoff_ms", "1 is not within 100–"),
    (lambda t: _told(t, give_up_after_ms=2**60), "callback_policy.give_up_after_ms", "not within"),
    (
        lambda t: _told(t, backoff_ms=200, max_backoff_ms=100),
        "callback_policy.backoff_ms",
        "is more than callback_policy.max_backoff_ms",
    ),
    (lambda t: t.depends_on.add(), "depends_on[0]", "exactly one of lrp and task"),
    (lambda t: t.depends_on.add(lrp="a", task="b"), "depends_on[0]", "exactly one of lrp and task"),
    (lambda t: t.depends_on.add(lrp="a b"), "depends_on[0].lrp", "may contain only"),
    (lambda t: t.depends_on.add(task="report"), "depends_on[0].task", "can't wait for itself"),
    (
        lambda t: t.depends_on.add(lrp="db", condition=Dependency.SUCCEEDED),
        "depends_on[0].condition",
        "HEALTHY is",
    ),
    (
        lambda t: t.depends_on.add(task="db", condition=Dependency.HEALTHY),
        "depends_on[0].condition",
        "SUCCEEDED, COMPLETED is",
    ),
    (
        lambda t: t.depends_on.extend([Dependency(lrp="db"), Dependency(lrp="db")]),
        "depends_on[1]",
        "lrp db is already in",
    ),
    (lambda t: setattr(t, "stop_signal", "SIGTERM"), "stop_signal", "did you mean TERM?"),
    (lambda t: setattr(t, "stop_timeout_ms", 2**40), "stop_timeout_ms", "is not within 0–"),
    (lambda t: setattr(t.placement, "cell_id", "a b"), "placement.cell_id", "may contain only"),
]
TASK_FAULTS: list[tuple[Callable[[TaskDefinition], object], str, str]] = [
    (lambda t: t.ClearField("task_guid"), "task_guid", "is required"),
    (lambda t: setattr(t, "task_guid", "a b"), "task_guid", "may contain only"),
    (lambda t: setattr(t, "task_guid", "ü"), "task_guid", "may contain only"),
    (lambda t: setattr(t, "task_guid", "a\n"), "task_guid", "may contain only"),
    (lambda t: setattr(t, "task_guid", "a" * 129), "task_guid", "129 bytes long, at most 128"),
    (lambda t: setattr(t, "domain", "a/b"), "domain", "may contain only"),
    (lambda t: setattr(t, "domain", "d" * 129), "domain", "at most 128"),
    (lambda t: t.ClearField("rootfs"), "rootfs", "is required"),
    (lambda t: setattr(t, "rootfs", "docker://busybox"), "rootfs", "neither preloaded:NAME nor"),
    (lambda t: setattr(t, "rootfs", "preloaded:"), "rootfs", "not the name of a preloaded"),
    (lambda t: setattr(t, "rootfs", "preloaded:../x"), "rootfs", "not the name of a preloaded"),
    (lambda t: setattr(t, "rootfs", "dir:srv"), "rootfs", "not an absolute path"),
    (lambda t: setattr(t, "rootfs", "dir:/srv/../etc"), "rootfs", 'leaves its directory by ".."'),
    (lambda t: t.ClearField("action"), "action", "is required: run"),
    (lambda t: t.action.run.ClearField("path"), "action.run.path", "is required"),
    (lambda t: t.action.run.args.append("a\0b"), "action.run.args[0]", "NUL"),
    (lambda t: setattr(t.action.run, "dir", "data"), "action.run.dir", "not an absolute path"),
    (lambda t: setattr(t.action.run, "user", "a:b"), "action.run.user", "neither a user name nor"),
    (lambda t: t.action.run.env.update(DIEGOD_X="1"), "action.run.env.DIEGOD_X", "is reserved"),
    (lambda t: setattr(t, "memory_mb", 0), "memory_mb", "0 is not within 4–"),
    (lambda t: setattr(t, "cpu_weight", 0), "cpu_weight", "0 is not within 1–100"),
    (lambda t: setattr(t, "cpu_weight", 101), "cpu_weight", "101 is not within 1–100"),
    (lambda t: setattr(t, "max_pids", 0), "max_pids", "0 is not within 1–"),
    (
        lambda t: t.environment_variables.update(CF_INSTANCE_IP="1"),
        "environment_variables.CF_INSTANCE_IP",
        "is reserved",
    ),
    (lambda t: t.environment_variables.update({"A=B": ""}), "environment_variables.A=B", "name of"),
    (lambda t: t.environment_variables.update({"": ""}), "environment_variables.", "name of"),
    (lambda t: t.environment_variables.update(A="\0"), "environment_variables.A", "NUL"),
    (lambda t: setattr(t, "start_deadline_ms", 0), "start_deadline_ms", "0 is not within 1–"),
    (lambda t: setattr(t, "execution_timeout_ms", 2**60), "execution_timeout_ms", "not within 0–"),
    (lambda t: setattr(t, "max_placement_attempts", 0), "max_placement_attempts", "within 1–1000"),
    (lambda t: setattr(t, "retention_ms", 2**60), "retention_ms", "is not within 0–"),
    (lambda t: t.placement_tags.append("a b"), "placement_tags[0]", "visible ASCII"),
    (lambda t: t.placement_tags.extend(["a", "a"]), "placement_tags[1]", "a is already in"),
    (lambda t: setattr(t.placement, "strategy", "a b"), "placement.strategy", "may contain only"),
    (lambda t: t.metric_tags.update(team="x" * 257), "metric_tags.team", "at most 256"),
    (lambda t: setattr(t, "annotation", "x" * 10241), "annotation", "at most 10240"),
    *TOLD_AND_STOPPED_FAULTS,
]


@pytest.mark.parametrize(("spoil", "path", "message"), TASK_FAULTS)
def test_each_fault_of_a_task_is_one_problem_at_its_path(
    spoil: Callable[[TaskDefinition], object], path: str, message: str
) -> None:
    task = a_task()
    spoil(task)
    found = admission.problems(task)
    assert [problem.path for problem in found] == [path]
    assert message in found[0].message


def _checked(port: int, **given: object) -> Check:
    return Check(tcp_check=TcpCheck(port=port), **given)  # type: ignore[arg-type]


def check_port_80(lrp: LrpDefinition, check: Check) -> None:
    lrp.ports.add(container_port=80)
    lrp.check_definition.checks.append(check)


LRP_FAULTS: list[tuple[Callable[[LrpDefinition], object], str, str]] = [
    (lambda d: d.ClearField("process_guid"), "process_guid", "is required"),
    (lambda d: setattr(d, "instances", 10_001), "instances", "10001 is not within 0–10000"),
    (lambda d: d.ports.add(container_port=0), "ports[0].container_port", "0 is not a port"),
    (lambda d: d.ports.add(container_port=80800), "ports[0].container_port", "80800 is not a port"),
    (lambda d: d.ports.add(container_port=1, name="A"), "ports[0].name", "a–z 0–9 _"),
    (lambda d: [d.ports.add(container_port=1) for _ in "ab"], "ports[1].container_port", "already"),
    (
        lambda d: [d.ports.add(container_port=port, name="x") for port in (1, 2)],
        "ports[1].name",
        "x is already in ports[0]",
    ),
    (
        lambda d: d.check_definition.checks.add(),
        "check_definition.checks[0]",
        "is required: one of tcp_check, http_check, command_check",
    ),
    (
        lambda d: d.check_definition.checks.extend([_checked(8080)]),
        "check_definition.checks[0].tcp_check.port",
        "8080 is not one of the definition's ports",
    ),
    (
        lambda d: d.check_definition.checks.extend([Check(http_check=HttpCheck(port=80800))]),
        "check_definition.checks[0].http_check.port",
        "80800 is not a port (1–65535)",
    ),
    (
        lambda d: check_port_80(d, Check(http_check=HttpCheck(port=80, path="a b"))),
        "check_definition.checks[0].http_check.path",
        "not the path of a URL",
    ),
    (
        lambda d: d.check_definition.checks.add().command_check.SetInParent(),
        "check_definition.checks[0].command_check.path",
        "is required",
    ),
    (
        lambda d: check_port_80(d, _checked(80, interval_ms=1)),
        "check_definition.checks[0].interval_ms",
        "1 is not within 10–",
    ),
    (
        lambda d: check_port_80(d, _checked(80, failure_threshold=0)),
        "check_definition.checks[0].failure_threshold",
        "0 is not within 1–",
    ),
    (lambda d: setattr(d, "start_timeout_ms", 2**40), "start_timeout_ms", "is not within 0–"),
    (lambda d: setattr(d, "stop_signal", "SIGTERM"), "stop_signal", "did you mean TERM?"),
    (lambda d: setattr(d, "stop_timeout_ms", 2**40), "stop_timeout_ms", "is not within 0–"),
    (
        lambda d: d.crash_policy.MergeFrom(type(d.crash_policy)(backoff_ms=5, max_backoff_ms=4)),
        "crash_policy.backoff_ms",
        "is more than crash_policy.max_backoff_ms",
    ),
    (
        lambda d: d.check_definition.startup_checks.add(),
        "check_definition.startup_checks[0]",
        "is required: one of",
    ),
    (
        lambda d: d.check_definition.readiness_checks.add(tcp_check=TcpCheck(port=9)),
        "check_definition.readiness_checks[0].tcp_check.port",
        "not one of the definition's ports",
    ),
    (
        lambda d: [d.check_definition.readiness_checks.add() for _ in range(17)],
        "check_definition.readiness_checks",
        "17 checks, at most 16",
    ),
    (lambda d: setattr(d.placement, "cell_id", "a b"), "placement.cell_id", "may contain only"),
    (lambda d: setattr(d, "mode", 7), "mode", "7 is neither REPLICATED nor GLOBAL"),
    (lambda d: _set(d, mode=GLOBAL, instances=3), "instances", "is not used with mode GLOBAL"),
    (
        lambda d: _set(d, mode=GLOBAL, placement={"cell_id": "c1"}),
        "placement.cell_id",
        "mode GLOBAL means each",
    ),
    (lambda d: setattr(d.update, "strategy", 9), "update.strategy", "9 is none of ROLLING, REC"),
    (lambda d: setattr(d.update, "order", 9), "update.order", "9 is none of START_FIRST, STOP"),
    (lambda d: setattr(d.update, "on_failure", 9), "update.on_failure", "none of ROLLBACK, PAUSE"),
    (lambda d: setattr(d.update, "max_in_flight", 0), "update.max_in_flight", "0 is not within 1–"),
    (
        lambda d: _set(d, update={"order": "STOP_FIRST", "max_unavailable": 0}),
        "update.max_unavailable",
        "no instance could ever be replaced",
    ),
    (
        lambda d: setattr(d.update, "max_unavailable", 10_001),
        "update.max_unavailable",
        "is not within 0–10000",
    ),
    (
        lambda d: _set(d, update={"strategy": "RECREATE", "canaries": 1}),
        "update.canaries",
        "there are none with strategy RECREATE",
    ),
    (lambda d: setattr(d.update, "canaries", 10_001), "update.canaries", "is not within 0–10000"),
    (lambda d: setattr(d.update, "min_healthy_ms", 2**40), "update.min_healthy_ms", "within 0–"),
    (
        lambda d: _set(d, update={"min_healthy_ms": 9000, "progress_deadline_ms": 8000}),
        "update.progress_deadline_ms",
        "8000 is not within 9000–",
    ),
    (lambda d: d.depends_on.add(), "depends_on[0]", "exactly one of lrp and task is required"),
    (
        lambda d: d.depends_on.add(lrp="a", task="b"),
        "depends_on[0]",
        "exactly one of lrp and task is required",
    ),
    (lambda d: d.depends_on.add(task="a b"), "depends_on[0].task", "may contain only"),
    (lambda d: d.depends_on.add(lrp="web"), "depends_on[0].lrp", "web can't wait for itself"),
    (
        lambda d: d.depends_on.add(lrp="db", condition=Dependency.SUCCEEDED),
        "depends_on[0].condition",
        "SUCCEEDED is not what a lrp can be; HEALTHY is",
    ),
    (
        lambda d: d.depends_on.add(task="t", condition=8),
        "depends_on[0].condition",
        "8 is not what a task can be; SUCCEEDED, COMPLETED is",
    ),
    (
        lambda d: [d.depends_on.add(lrp="db") for _ in range(2)],
        "depends_on[1]",
        "lrp db is already in depends_on[0]",
    ),
    (
        lambda d: [d.depends_on.add(lrp=f"db{n}") for n in range(33)],
        "depends_on",
        "33 of them, at most 32 are allowed",
    ),
]


@pytest.mark.parametrize(("spoil", "path", "message"), LRP_FAULTS)
def test_each_fault_of_an_lrp_is_one_problem_at_its_path(
    spoil: Callable[[LrpDefinition], object], path: str, message: str
) -> None:
    lrp = an_lrp()
    spoil(lrp)
    found = admission.problems(lrp)
    assert [problem.path for problem in found] == [path]
    assert message in found[0].message


def test_good_definitions_have_no_problems() -> None:
    for definition in (a_task(), an_lrp(), a_full_task(), a_full_lrp()):
        assert admission.problems(definition) == []


def test_what_defaults_make_of_a_good_definition_is_good_too() -> None:
    for definition in (a_task(), an_lrp(), a_full_task(), a_full_lrp()):
        admission.fill_defaults(definition)
        assert admission.problems(definition) == []


def test_a_guid_of_the_longest_length_is_good() -> None:
    assert admission.problems(a_task(task_guid="a" * limits.NAME_BYTES_MAX)) == []


def test_every_problem_is_listed_in_the_order_of_the_fields() -> None:
    task = a_task(task_guid="a b", rootfs="x", cpu_weight=0)
    assert [problem.path for problem in admission.problems(task)] == [
        "task_guid",
        "rootfs",
        "cpu_weight",
    ]


def test_a_definition_that_is_too_large_as_a_whole_is_refused() -> None:
    variables = {f"V{number}": "x" * 1000 for number in range(300)}
    found = admission.problems(a_task(environment_variables=variables))
    assert len(found) == 1
    assert found[0].path == ""
    assert "at most 262144 are allowed" in found[0].message


def test_a_flood_of_faults_in_one_list_is_one_problem() -> None:
    task = a_task(placement_tags=["a b"] * 5000)
    assert admission.problems(task) == [
        Problem("placement_tags", "5000 tags, at most 64 are allowed")
    ]


def test_a_long_value_is_shortened_in_the_message() -> None:
    (only,) = admission.problems(a_task(rootfs="x" * 1000))
    assert len(only.message) < 150


def test_everything_that_is_wrong_with_an_update_is_listed_at_once() -> None:
    lrp = an_lrp(mode=GLOBAL, instances=2, placement={"cell_id": "c1"})
    lrp.update.order = UpdatePolicy.STOP_FIRST
    lrp.update.max_in_flight = 0
    lrp.update.max_unavailable = 0
    lrp.depends_on.add(lrp="web")
    assert [problem.path for problem in admission.problems(lrp)] == [
        "instances",
        "placement.cell_id",
        "update.max_in_flight",
        "update.max_unavailable",
        "depends_on[0].lrp",
    ]


def test_a_global_lrp_as_it_is_shown_may_be_desired_again() -> None:
    """Defaults write `instances: 1` into every LRP."""
    lrp = an_lrp(mode=GLOBAL)
    admission.fill_defaults(lrp)
    assert lrp.instances == 1
    assert admission.problems(lrp) == []


def test_more_canaries_than_instances_are_all_of_them() -> None:
    """An LRP that was scaled down can still be desired as it is shown."""
    assert admission.problems(an_lrp(instances=0, update={"canaries": 2})) == []
