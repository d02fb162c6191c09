"""Task schedules for a person: a line each, or one field a line. Pure."""

from collections.abc import Iterator

from google.protobuf.timestamp_pb2 import Timestamp

from diegod.cli.record.views import since
from diegod.cli.terminal.quantities import age
from diegod.cli.terminal.render import Column, View
from diegod.models.json_form import json_form
from diegod.models.schedule_slots import next_slot
from diegod.v1.definition_pb2 import TaskParameter
from diegod.v1.record_pb2 import TaskSchedule


def _when(schedule: TaskSchedule) -> str:
    if not schedule.cron:
        return "by dispatch"
    return f"{schedule.cron} ({schedule.time_zone or 'UTC'})"


def _state(schedule: TaskSchedule) -> str:
    return "paused" if schedule.paused else "active"


def _next(schedule: TaskSchedule, now: float) -> str:
    """`in 12h`; `due` until the brain has seen to it. Empty where no clock runs."""
    slot = None if schedule.paused else next_slot(schedule)
    if slot is None:
        return ""
    return f"in {age(slot - now)}" if slot > now else "due"


def _next_stamp(schedule: TaskSchedule) -> str:
    slot = None if schedule.paused else next_slot(schedule)
    return Timestamp(seconds=int(slot)).ToJsonString() if slot is not None else ""


def schedule_view(now: float) -> View[TaskSchedule]:
    return View(
        columns=[
            Column("SCHEDULE", lambda s: s.name),
            Column("WHEN", _when),
            Column("STATE", _state),
            Column("FIRED", lambda s: str(s.fired)),
            Column("SKIPPED", lambda s: str(s.skipped)),
            Column("MISSED", lambda s: str(s.missed)),
            Column("NEXT SLOT", lambda s: _next(s, now)),
            Column("LAST SLOT", lambda s: since(s.last_slot, now)),
            Column("LAST TASK", lambda s: s.last_task_guid),
            Column("DOMAIN", lambda s: s.domain, wide=True),
            Column("NOTE", lambda s: s.last_skip_reason, wide=True),
            Column("REVISION", lambda s: str(s.provenance.revision), wide=True),
        ],
        name=lambda s: s.name,
        form=json_form,
        nothing="no schedules",
    )


def schedule_fields(schedule: TaskSchedule) -> Iterator[tuple[str, str]]:
    """Name and value; what is not known is empty."""
    run = schedule.definition.task.action.run
    yield "schedule", schedule.name
    yield "domain", schedule.domain
    yield "when", _when(schedule)
    yield "state", _state(schedule)
    yield "overlap", "allowed" if schedule.allow_overlap else "not allowed"
    yield "next slot", _next_stamp(schedule)
    yield "late", f"at most {schedule.late_ms / 1000:g} s"
    yield "parameters", " ".join(_parameter(each) for each in schedule.parameters)
    yield "rootfs", schedule.definition.task.rootfs
    yield "command", " ".join([run.path, *run.args])
    yield "fired", str(schedule.fired)
    yield "skipped", str(schedule.skipped or "")
    yield "missed", str(schedule.missed or "")
    yield "last slot", schedule.last_slot.ToJsonString() if schedule.HasField("last_slot") else ""
    yield "last task", schedule.last_task_guid
    yield "last skipped", _skipped(schedule)
    yield "revision", str(schedule.provenance.revision)
    yield "last changed by", schedule.provenance.by
    yield "because", schedule.provenance.cause


def _parameter(parameter: TaskParameter) -> str:
    if parameter.required:
        return f"{parameter.name} (required)"
    return f"{parameter.name}={parameter.default_value}"


def _skipped(schedule: TaskSchedule) -> str:
    if not schedule.HasField("last_skipped_slot"):
        return ""
    return f"{schedule.last_skipped_slot.ToJsonString()}: {schedule.last_skip_reason}"
