"""One task for a person: everything that is known, a line each."""

from collections.abc import Iterator

from diegod.cli.quantities import amount_mb
from diegod.cli.views import task_result
from diegod.v1.record_pb2 import Task


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
    yield "rejections", str(task.rejection_count or "")
    yield "rejected because", task.rejection_reason
    yield "rootfs", task.definition.rootfs
    yield "command", " ".join([run.path, *run.args])
    yield "reserves", f"{amount_mb(resources.memory_mb)}, {amount_mb(resources.disk_mb)} of disk"
    yield "annotation", task.definition.annotation
    yield "revision", str(task.provenance.revision)
    yield "last changed by", task.provenance.by
    yield "because", task.provenance.cause
