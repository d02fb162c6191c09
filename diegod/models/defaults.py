"""What a field means that was left out. Written into the definition at admission.

So `show` shows what holds, and a later change of a default changes nobody's LRP. The values are
those that the comments of `definition.proto` promise.
"""

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
}
_LRP = {"instances": 1, "start_timeout_ms": MINUTE_MS, "stop_timeout_ms": 10_000}
_CRASH_POLICY = {
    "immediate_restarts": 2,
    "backoff_ms": 30_000,
    "max_backoff_ms": 16 * MINUTE_MS,
    "max_restarts": 200,
    "reset_after_ms": 5 * MINUTE_MS,
}
_CHECK = {"interval_ms": 30_000, "timeout_ms": 1000, "failure_threshold": 1}


def fill_defaults(
    definition: definition_pb2.TaskDefinition
    | definition_pb2.LrpDefinition
    | definition_pb2.TaskScheduleDefinition,
) -> None:
    """Write down, in place, everything that has a default; twice is the same as once."""
    if isinstance(definition, definition_pb2.TaskScheduleDefinition):
        definition.domain = definition.domain or DEFAULT_DOMAIN
        definition.time_zone = definition.time_zone or "UTC"
        _fill(definition, {"late_ms": MINUTE_MS})
        fill_defaults(definition.task)
        return
    definition.domain = definition.domain or DEFAULT_DOMAIN
    _fill(definition, _CONTAINER)
    if definition.action.WhichOneof("action") == "run":
        definition.action.run.dir = definition.action.run.dir or "/"
    if isinstance(definition, definition_pb2.TaskDefinition):
        _fill(definition, _TASK)
    else:
        _fill_lrp(definition)


def _fill(message: Message, defaults: dict[str, int]) -> None:
    for name, value in defaults.items():
        if not message.HasField(name):
            setattr(message, name, value)


def _fill_lrp(lrp: definition_pb2.LrpDefinition) -> None:
    _fill(lrp, _LRP)
    lrp.stop_signal = lrp.stop_signal or DEFAULT_STOP_SIGNAL
    _fill_crash_policy(lrp.crash_policy)
    for mapping in lrp.ports:
        mapping.name = mapping.name or str(mapping.container_port)
    for check in lrp.check_definition.checks:
        _fill(check, _CHECK)
        if check.WhichOneof("check") == "http_check":
            check.http_check.path = check.http_check.path or "/"


def _fill_crash_policy(policy: definition_pb2.CrashPolicy) -> None:
    """A longest back-off below the default first one lowers the first one too: both can't hold."""
    first = _CRASH_POLICY["backoff_ms"]
    if policy.HasField("max_backoff_ms") and not policy.HasField("backoff_ms"):
        policy.backoff_ms = min(first, policy.max_backoff_ms)
    if policy.HasField("backoff_ms") and not policy.HasField("max_backoff_ms"):
        policy.max_backoff_ms = max(_CRASH_POLICY["max_backoff_ms"], policy.backoff_ms)
    _fill(policy, _CRASH_POLICY)
