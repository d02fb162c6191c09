"""What a field means that was left out. Written into the definition at admission.

So `show` shows what holds, and a later change of a default changes nobody's LRP. The values are
those that the comments of `definition.proto` promise.
"""

from collections.abc import Iterable

from google.protobuf.message import Message

from diegod.models.limits import DAY_MS, MINUTE_MS
from diegod.v1 import definition_pb2

DEFAULT_DOMAIN = "default"
DEFAULT_STOP_SIGNAL = "TERM"

_CONTAINER = {"memory_mb": 128, "disk_mb": 256, "cpu_weight": 50, "max_pids": 1024}
_TASK = {
    "start_deadline_ms": 30 * MINUTE_MS,
    "execution_timeout_ms": 0,
    "max_placement_attempts": 3,
    "retention_ms": 7 * DAY_MS,
    "stop_timeout_ms": 10_000,
}
_CALLBACK = {"backoff_ms": 1000, "max_backoff_ms": 5 * MINUTE_MS, "give_up_after_ms": DAY_MS}
DEFAULT_LATE_MS = MINUTE_MS
DEFAULT_TIME_ZONE = "UTC"
_LRP = {"instances": 1, "start_timeout_ms": MINUTE_MS, "stop_timeout_ms": 10_000}
_CRASH_POLICY = {
    "immediate_restarts": 2,
    "backoff_ms": 30_000,
    "max_backoff_ms": 16 * MINUTE_MS,
    "max_restarts": 200,
    "reset_after_ms": 5 * MINUTE_MS,
}
_CHECK = {"interval_ms": 30_000, "timeout_ms": 1000, "failure_threshold": 1}
_STARTUP_CHECK = {**_CHECK, "interval_ms": 500}
_UPDATE = {
    "max_in_flight": 1,
    "canaries": 0,
    "min_healthy_ms": 5000,
    "progress_deadline_ms": 10 * MINUTE_MS,
}


def fill_defaults(
    definition: definition_pb2.TaskDefinition
    | definition_pb2.LrpDefinition
    | definition_pb2.TaskScheduleDefinition,
) -> None:
    """Write down, in place, everything that has a default; twice is the same as once."""
    if isinstance(definition, definition_pb2.TaskScheduleDefinition):
        _fill_schedule(definition)
    else:
        _fill_work(definition)


def _fill_schedule(schedule: definition_pb2.TaskScheduleDefinition) -> None:
    schedule.domain = schedule.domain or DEFAULT_DOMAIN
    schedule.time_zone = schedule.time_zone or DEFAULT_TIME_ZONE
    _fill(schedule, {"late_ms": DEFAULT_LATE_MS})
    schedule.task.domain = schedule.domain
    _fill_work(schedule.task)


def _fill_work(definition: definition_pb2.TaskDefinition | definition_pb2.LrpDefinition) -> None:
    definition.domain = definition.domain or DEFAULT_DOMAIN
    _fill(definition, _CONTAINER)
    if definition.action.WhichOneof("action") == "run":
        definition.action.run.dir = definition.action.run.dir or "/"
    if isinstance(definition, definition_pb2.TaskDefinition):
        _fill_task(definition)
    else:
        _fill_lrp(definition)


def _fill(message: Message, defaults: dict[str, int]) -> None:
    for name, value in defaults.items():
        if not message.HasField(name):
            setattr(message, name, value)


def _fill_task(task: definition_pb2.TaskDefinition) -> None:
    _fill(task, _TASK)
    task.stop_signal = task.stop_signal or DEFAULT_STOP_SIGNAL
    _fill_conditions(task.depends_on)
    if task.completion_callback_url:
        _fill_backoff(task.callback_policy, _CALLBACK)
        _fill(task.callback_policy, _CALLBACK)


def _fill_lrp(lrp: definition_pb2.LrpDefinition) -> None:
    _fill(lrp, _LRP)
    lrp.stop_signal = lrp.stop_signal or DEFAULT_STOP_SIGNAL
    _fill_crash_policy(lrp.crash_policy)
    for mapping in lrp.ports:
        mapping.name = mapping.name or str(mapping.container_port)
    checks = lrp.check_definition
    _fill_checks([*checks.checks, *checks.readiness_checks], _CHECK)
    _fill_checks(checks.startup_checks, _STARTUP_CHECK)
    _fill_update(lrp.update)
    _fill_conditions(lrp.depends_on)


def _fill_crash_policy(policy: definition_pb2.CrashPolicy) -> None:
    _fill_backoff(policy, _CRASH_POLICY)
    _fill(policy, _CRASH_POLICY)


def _fill_backoff(
    policy: definition_pb2.CrashPolicy | definition_pb2.CallbackPolicy, defaults: dict[str, int]
) -> None:
    """A longest back-off below the default first one lowers the first one too: both can't hold."""
    if policy.HasField("max_backoff_ms") and not policy.HasField("backoff_ms"):
        policy.backoff_ms = min(defaults["backoff_ms"], policy.max_backoff_ms)
    if policy.HasField("backoff_ms") and not policy.HasField("max_backoff_ms"):
        policy.max_backoff_ms = max(defaults["max_backoff_ms"], policy.backoff_ms)


def _fill_checks(checks: Iterable[definition_pb2.Check], defaults: dict[str, int]) -> None:
    for check in checks:
        _fill(check, defaults)
        if check.WhichOneof("check") == "http_check":
            check.http_check.path = check.http_check.path or "/"


def _fill_update(update: definition_pb2.UpdatePolicy) -> None:
    """An instance that is given longer to prove healthy gives its update longer, too."""
    if not update.HasField("max_unavailable"):
        update.max_unavailable = max_unavailable_default(update)
    if not update.HasField("progress_deadline_ms"):
        shortest = _UPDATE["progress_deadline_ms"]
        update.progress_deadline_ms = max(shortest, 2 * update.min_healthy_ms)
    _fill(update, _UPDATE)


def max_unavailable_default(update: definition_pb2.UpdatePolicy) -> int:
    """Where an old instance ends before its new one begins, one has to be away."""
    policy = definition_pb2.UpdatePolicy
    stops_first = update.strategy == policy.ROLLING and update.order == policy.STOP_FIRST
    return 1 if stops_first else 0


def _fill_conditions(dependencies: Iterable[definition_pb2.Dependency]) -> None:
    for each in dependencies:
        if each.condition == definition_pb2.Dependency.DEFAULT:
            of_task = definition_pb2.Dependency.SUCCEEDED
            each.condition = of_task if each.task else definition_pb2.Dependency.HEALTHY
