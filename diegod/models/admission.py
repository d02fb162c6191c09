"""What a definition of a task, a schedule or an LRP must be before it is stored.

The door between a person and the cluster: `problems` lists all that is wrong, `fill_defaults`
writes down what was left out, `task_row` and `lrp_row` make the scheduling part that is stored
beside the closed definition. The command line asks the same questions before it sends anything,
so that its answer carries line numbers. Pure; does not belong here: reading files, storing rows.
"""

from collections.abc import Iterator

from diegod.models import field_rules as rules
from diegod.models import limits, schedule_rules
from diegod.models.defaults import fill_defaults
from diegod.models.dependency_rules import dependencies
from diegod.models.errors import Problem
from diegod.models.rows import (
    lrp_row,
    schedule_row,
    task_row,
)
from diegod.models.update_rules import (
    update_policy,
)
from diegod.v1 import definition_pb2

__all__ = ["Definition", "fill_defaults", "lrp_row", "problems", "schedule_row", "task_row"]

#: What runs in a container, and every kind of document.
Work = definition_pb2.TaskDefinition | definition_pb2.LrpDefinition
Definition = Work | definition_pb2.TaskScheduleDefinition


def problems(definition: Definition) -> list[Problem]:
    """Everything that is wrong with a definition, in the order of its fields; [] means admitted."""
    if isinstance(definition, definition_pb2.TaskDefinition):
        found = [*rules.guid("task_guid", definition.task_guid), *_task(definition)]
    elif isinstance(definition, definition_pb2.TaskScheduleDefinition):
        found = [*_schedule(definition)]
    else:
        found = [*_lrp(definition)]
    return [*found, *_size(definition)]


def _size(definition: Definition) -> Iterator[Problem]:
    size = definition.ByteSize()
    if size > limits.DEFINITION_BYTES_MAX:
        allowed = limits.DEFINITION_BYTES_MAX
        yield Problem("", f"the definition is {size} bytes large, at most {allowed} are allowed")


def _schedule(schedule: definition_pb2.TaskScheduleDefinition) -> Iterator[Problem]:
    yield from schedule_rules.schedule(schedule)
    if schedule.HasField("task"):
        for problem in _task(schedule.task):
            yield Problem(f"task.{problem.path}", problem.message)


def _task(task: definition_pb2.TaskDefinition) -> Iterator[Problem]:
    """All but the guid, which the tasks of a schedule have not yet."""
    yield from _container(task)
    if task.HasField("start_deadline_ms"):
        yield from rules.between(
            "start_deadline_ms", task.start_deadline_ms, 1, limits.START_DEADLINE_MS_MAX
        )
    yield from rules.between(
        "execution_timeout_ms", task.execution_timeout_ms, 0, limits.EXECUTION_TIMEOUT_MS_MAX
    )
    if task.HasField("max_placement_attempts"):
        yield from rules.between(
            "max_placement_attempts", task.max_placement_attempts, 1, limits.PLACEMENT_ATTEMPTS_MAX
        )
    yield from rules.between("retention_ms", task.retention_ms, 0, limits.RETENTION_MS_MAX)
    yield from _labels(task)
    if task.result_file:
        yield from rules.absolute_path("result_file", task.result_file)
    yield from rules.callback_url("completion_callback_url", task.completion_callback_url)
    yield from _callback_policy(task)
    yield from dependencies("depends_on", task.depends_on, ("task", task.task_guid))
    yield from rules.stop_signal("stop_signal", task.stop_signal)
    yield from rules.between("stop_timeout_ms", task.stop_timeout_ms, 0, limits.STOP_TIMEOUT_MS_MAX)


def _callback_policy(task: definition_pb2.TaskDefinition) -> Iterator[Problem]:
    policy, path = task.callback_policy, "callback_policy"
    if task.HasField("callback_policy") and not task.completion_callback_url:
        yield Problem(path, "is of no use without a completion_callback_url")
    for name in ("backoff_ms", "max_backoff_ms"):
        if policy.HasField(name):
            lowest, highest = limits.CALLBACK_BACKOFF_MS_MIN, limits.BACKOFF_MS_MAX
            yield from rules.between(f"{path}.{name}", getattr(policy, name), lowest, highest)
    yield from rules.between(
        f"{path}.give_up_after_ms", policy.give_up_after_ms, 0, limits.CALLBACK_GIVE_UP_MS_MAX
    )
    both = policy.HasField("backoff_ms") and policy.HasField("max_backoff_ms")
    if both and policy.backoff_ms > policy.max_backoff_ms:
        yield Problem(f"{path}.backoff_ms", f"is more than {path}.max_backoff_ms")


def _lrp(lrp: definition_pb2.LrpDefinition) -> Iterator[Problem]:
    yield from rules.guid("process_guid", lrp.process_guid)
    yield from rules.between("instances", lrp.instances, 0, limits.INSTANCES_MAX)
    yield from _container(lrp)
    yield from _ports(lrp)
    yield from _checks(lrp)
    yield from rules.between(
        "start_timeout_ms", lrp.start_timeout_ms, 0, limits.START_TIMEOUT_MS_MAX
    )
    yield from rules.stop_signal("stop_signal", lrp.stop_signal)
    yield from rules.between("stop_timeout_ms", lrp.stop_timeout_ms, 0, limits.STOP_TIMEOUT_MS_MAX)
    yield from _crash_policy(lrp.crash_policy)
    yield from _labels(lrp)
    yield from _mode(lrp)
    yield from update_policy("update", lrp.update)
    yield from dependencies("depends_on", lrp.depends_on, ("lrp", lrp.process_guid))


def _container(definition: Work) -> Iterator[Problem]:
    """What tasks and LRPs have in common: where it comes from, what runs, what it may use."""
    yield from rules.domain("domain", definition.domain)
    yield from rules.rootfs("rootfs", definition.rootfs)
    yield from _action(definition.action)
    if definition.HasField("memory_mb"):
        yield from rules.between(
            "memory_mb", definition.memory_mb, limits.MEMORY_MB_MIN, limits.MEMORY_MB_MAX
        )
    yield from rules.between("disk_mb", definition.disk_mb, 0, limits.DISK_MB_MAX)
    if definition.HasField("cpu_weight"):
        yield from rules.between(
            "cpu_weight", definition.cpu_weight, limits.CPU_WEIGHT_MIN, limits.CPU_WEIGHT_MAX
        )
    if definition.HasField("max_pids"):
        yield from rules.between("max_pids", definition.max_pids, 1, limits.PIDS_MAX)
    yield from rules.environment("environment_variables", definition.environment_variables)


def _labels(definition: Work) -> Iterator[Problem]:
    yield from rules.placement_tags("placement_tags", definition.placement_tags)
    yield from rules.strategy("placement.strategy", definition.placement.strategy)
    if definition.placement.cell_id:
        yield from rules.domain("placement.cell_id", definition.placement.cell_id)
    yield from rules.metric_tags("metric_tags", definition.metric_tags)
    yield from rules.at_most_bytes("annotation", definition.annotation, limits.ANNOTATION_BYTES_MAX)


def _action(action: definition_pb2.Action) -> Iterator[Problem]:
    if action.WhichOneof("action") is None:
        yield Problem("action", "is required: run")
        return
    run = action.run
    yield from rules.required("action.run.path", run.path)
    yield from rules.argument("action.run.path", run.path)
    yield from rules.arguments("action.run.args", run.args)
    if run.dir:
        yield from rules.absolute_path("action.run.dir", run.dir)
    yield from rules.environment("action.run.env", run.env)
    yield from rules.user("action.run.user", run.user)


def _ports(lrp: definition_pb2.LrpDefinition) -> Iterator[Problem]:
    if len(lrp.ports) > limits.PORTS_MAX:
        yield Problem("ports", f"{len(lrp.ports)} ports, at most {limits.PORTS_MAX} are allowed")
        return
    for number, mapping in enumerate(lrp.ports):
        yield from rules.port_name(f"ports[{number}].name", mapping.name)
        yield from rules.port(f"ports[{number}].container_port", mapping.container_port)
    numbers = [mapping.container_port for mapping in lrp.ports]
    yield from rules.unique("ports", numbers, ".container_port")
    yield from rules.unique("ports", _port_names(lrp), ".name")


def _port_names(lrp: definition_pb2.LrpDefinition) -> Iterator[str]:
    """Names as defaults will make them; a port that is given twice is one problem, not two."""
    seen: set[int] = set()
    for place, mapping in enumerate(lrp.ports):
        repeated = mapping.container_port in seen
        yield mapping.name or (f"#{place}" if repeated else str(mapping.container_port))
        seen.add(mapping.container_port)


def _checks(lrp: definition_pb2.LrpDefinition) -> Iterator[Problem]:
    ports = {mapping.container_port for mapping in lrp.ports}
    definition = lrp.check_definition
    for name, checks in (
        ("checks", definition.checks),
        ("startup_checks", definition.startup_checks),
        ("readiness_checks", definition.readiness_checks),
    ):
        path = f"check_definition.{name}"
        if len(checks) > limits.CHECKS_MAX:
            found = f"{len(checks)} checks, at most {limits.CHECKS_MAX} are allowed"
            yield Problem(path, found)
            continue
        for number, check in enumerate(checks):
            yield from _check(f"{path}[{number}]", check, ports)


def _check(path: str, check: definition_pb2.Check, ports: set[int]) -> Iterator[Problem]:
    kind = check.WhichOneof("check")
    if kind is None:
        yield Problem(path, "is required: one of tcp_check, http_check, command_check")
    elif kind == "tcp_check":
        yield from _check_port(f"{path}.tcp_check.port", check.tcp_check.port, ports)
    elif kind == "http_check":
        yield from _check_port(f"{path}.http_check.port", check.http_check.port, ports)
        yield from rules.url_path(f"{path}.http_check.path", check.http_check.path)
    else:
        yield from rules.required(f"{path}.command_check.path", check.command_check.path)
        yield from rules.argument(f"{path}.command_check.path", check.command_check.path)
        yield from rules.arguments(f"{path}.command_check.args", check.command_check.args)
    yield from _check_times(path, check)


def _check_port(path: str, port: int, ports: set[int]) -> Iterator[Problem]:
    bad = [*rules.port(path, port)]
    yield from bad
    if not bad and port not in ports:
        yield Problem(path, f"{port} is not one of the definition's ports")


def _check_times(path: str, check: definition_pb2.Check) -> Iterator[Problem]:
    if check.HasField("interval_ms"):
        yield from rules.between(
            f"{path}.interval_ms",
            check.interval_ms,
            limits.CHECK_INTERVAL_MS_MIN,
            limits.CHECK_INTERVAL_MS_MAX,
        )
    if check.HasField("timeout_ms"):
        yield from rules.between(
            f"{path}.timeout_ms", check.timeout_ms, 1, limits.CHECK_TIMEOUT_MS_MAX
        )
    if check.HasField("failure_threshold"):
        yield from rules.between(
            f"{path}.failure_threshold", check.failure_threshold, 1, limits.FAILURE_THRESHOLD_MAX
        )


def _crash_policy(policy: definition_pb2.CrashPolicy) -> Iterator[Problem]:
    bounds = (
        ("immediate_restarts", policy.immediate_restarts, limits.RESTARTS_MAX),
        ("backoff_ms", policy.backoff_ms, limits.BACKOFF_MS_MAX),
        ("max_backoff_ms", policy.max_backoff_ms, limits.BACKOFF_MS_MAX),
        ("max_restarts", policy.max_restarts, limits.RESTARTS_MAX),
        ("reset_after_ms", policy.reset_after_ms, limits.RESET_AFTER_MS_MAX),
    )
    for name, value, highest in bounds:
        yield from rules.between(f"crash_policy.{name}", value, 0, highest)
    both = policy.HasField("backoff_ms") and policy.HasField("max_backoff_ms")
    if both and policy.backoff_ms > policy.max_backoff_ms:
        yield Problem("crash_policy.backoff_ms", "is more than crash_policy.max_backoff_ms")


def _mode(lrp: definition_pb2.LrpDefinition) -> Iterator[Problem]:
    """One on each cell, or so many anywhere: what belongs to the one is refused with the other."""
    if lrp.mode not in definition_pb2.LrpDefinition.Mode.values():
        yield Problem("mode", f"{lrp.mode} is neither REPLICATED nor GLOBAL")
    if lrp.mode != definition_pb2.LrpDefinition.GLOBAL:
        return
    if lrp.HasField("instances") and lrp.instances != 1:
        yield Problem("instances", "is not used with mode GLOBAL: leave it out, or say 1")
    if lrp.placement.cell_id:
        yield Problem("placement.cell_id", "is one cell, and mode GLOBAL means each")
