"""What a schedule must be, and what a dispatch of one gives its task."""

from collections.abc import Iterator, Mapping

from diegod.models import cron, limits
from diegod.models import field_rules as rules
from diegod.models.errors import Problem
from diegod.v1.definition_pb2 import TaskParameter, TaskScheduleDefinition
from diegod.v1.record_pb2 import TaskSchedule

#: Where a dispatched task finds what it was dispatched with.
PAYLOAD_VARIABLE = "DIEGOD_DISPATCH_PAYLOAD"


def schedule(definition: TaskScheduleDefinition) -> Iterator[Problem]:
    """Of everything but the task."""
    yield from rules.guid("name", definition.name)
    yield from rules.at_most_bytes("name", definition.name, limits.SCHEDULE_NAME_BYTES_MAX)
    yield from rules.domain("domain", definition.domain)
    if definition.cron:
        yield from cron.problems(definition.cron, definition.time_zone)
    elif definition.time_zone:
        yield from cron.problems("@daily", definition.time_zone)
    if definition.HasField("late_ms"):
        yield from rules.between("late_ms", definition.late_ms, 1000, limits.LATE_MS_MAX)
    yield from _parameters(definition)
    if not definition.HasField("task"):
        yield Problem("task", "is required: what is to run")
    if definition.task.task_guid:
        yield Problem("task.task_guid", "is made of the schedule's name and the slot: leave it out")
    if definition.task.domain not in ("", definition.domain or "default"):
        yield Problem("task.domain", "is another one than the schedule's: leave it out")


def _parameters(definition: TaskScheduleDefinition) -> Iterator[Problem]:
    parameters = definition.parameters
    if len(parameters) > limits.PARAMETERS_MAX:
        found = f"{len(parameters)} parameters, at most {limits.PARAMETERS_MAX} are allowed"
        yield Problem("parameters", found)
        return
    for number, parameter in enumerate(parameters):
        yield from _parameter(f"parameters[{number}]", parameter, definition)
    yield from rules.unique("parameters", [each.name for each in parameters], ".name")


def _parameter(
    path: str, parameter: TaskParameter, definition: TaskScheduleDefinition
) -> Iterator[Problem]:
    if not parameter.name:
        yield from rules.required(f"{path}.name", parameter.name)
    else:
        yield from rules.environment_name(f"{path}.name", parameter.name)
    yield from rules.argument(f"{path}.default_value", parameter.default_value)
    if parameter.required and parameter.default_value:
        yield Problem(f"{path}.default_value", "is never used: the parameter is required")
    if parameter.required and definition.cron:
        yield Problem(f"{path}.required", "the clock gives none: a schedule with cron needs none")


def given(
    row: TaskSchedule, parameters: Mapping[str, str], payload: bytes
) -> tuple[dict[str, str], list[Problem]]:
    """The environment variables of a dispatched task; and all that is wrong with what was given."""
    known = {parameter.name: parameter for parameter in row.parameters}
    found = [*_unknown(known, parameters), *_missing(known, parameters), *_payload(payload)]
    values = {name: each.default_value for name, each in known.items() if not each.required}
    values |= {name: parameters[name] for name in known if name in parameters}
    if payload and not found:
        values[PAYLOAD_VARIABLE] = payload.decode()
    return values, found


def _unknown(known: Mapping[str, TaskParameter], given: Mapping[str, str]) -> Iterator[Problem]:
    names = ", ".join(known) or "none"
    for name in sorted(given):
        path = f"parameters.{rules.shortened(name)}"
        if name not in known:
            yield Problem(path, f"is no parameter of this schedule, which has {names}")
        yield from rules.argument(path, given[name])


def _missing(known: Mapping[str, TaskParameter], given: Mapping[str, str]) -> Iterator[Problem]:
    for name, parameter in known.items():
        if parameter.required and name not in given:
            yield Problem(f"parameters.{name}", "is required")


def _payload(payload: bytes) -> Iterator[Problem]:
    size, allowed = len(payload), limits.DISPATCH_PAYLOAD_BYTES_MAX
    if size > allowed:
        yield Problem("payload", f"is {size} bytes large, at most {allowed} are allowed")
    try:
        text = payload.decode()
    except UnicodeDecodeError:
        yield Problem("payload", "is not UTF-8")
        return
    if "\0" in text:
        yield Problem("payload", "contains a NUL character")
