"""One task for a person: everything that is known, a line each."""

from collections.abc import Iterator

from diegod.cli.record.views import dependency_text, task_result
from diegod.cli.terminal.quantities import amount_mb
from diegod.models.field_rules import shortened
from diegod.v1.record_pb2 import Callback, Task


def task_fields(task: Task) -> Iterator[tuple[str, str]]:
    """Name and value; what is not known is empty."""
    resources = task.needs.resources
    run = task.definition.action.run
    yield "task", task.task_guid
    yield "domain", task.domain
    yield "state", Task.State.Name(task.state)
    yield "result", task_result(task)
    yield "cell", task.cell_id or task.placed_cell_id
    yield "attempt", str(task.attempt or "")
    yield "created", task.created_at.ToJsonString() if task.HasField("created_at") else ""
    yield "started", task.started_at.ToJsonString() if task.HasField("started_at") else ""
    yield "completed", task.completed_at.ToJsonString() if task.HasField("completed_at") else ""
    yield "failure", Task.Failure.Name(task.failure) if task.failed else ""
    yield "reason", task.failure_reason
    yield "result file", shortened(task.result, 200)
    yield "callback", _callback(task.callback) if task.HasField("callback") else ""
    yield "made by", _schedule(task)
    yield "waits for", ", ".join(dependency_text(each) for each in task.depends_on)
    yield "rejections", str(task.rejection_count or "")
    yield "rejected because", task.rejection_reason
    yield "rootfs", task.definition.rootfs
    yield "command", " ".join([run.path, *run.args])
    yield "reserves", f"{amount_mb(resources.memory_mb)}, {amount_mb(resources.disk_mb)} of disk"
    yield "annotation", task.definition.annotation
    yield "revision", str(task.provenance.revision)
    yield "last changed by", task.provenance.by
    yield "because", task.provenance.cause


def _callback(callback: Callback) -> str:
    """What has become of the telling."""
    tries = f"{callback.tries} {'try' if callback.tries == 1 else 'tries'}"
    if callback.delivered:
        return f"{callback.url}: delivered (HTTP {callback.http_status})"
    if callback.given_up:
        return f"{callback.url}: given up after {tries}: {callback.last_error}"
    if not callback.tries:
        return f"{callback.url}: not called yet"
    due = callback.next_try_at.ToJsonString()
    return f"{callback.url}: {tries} failed, next at {due}: {callback.last_error}"


def _schedule(task: Task) -> str:
    """The schedule, and the slot if it was the clock."""
    slot = f", for {task.slot.ToJsonString()}" if task.HasField("slot") else ", by dispatch"
    return f"schedule {task.schedule_name}{slot}" if task.schedule_name else ""
