"""One call of the API as one operation of a history: what is asked, and what its answer means.

A task's value is its memory, an LRP's the number of its instances: both stand in the row itself.
"""

from typing import Any

from diegod.models.errors import DomainError
from diegod.rpc.methods import Method, method
from diegod.v1 import definition_pb2, lrp_pb2, record_pb2, task_pb2
from tests.checkers.history import Change, Done, Operation, Outcome, Refused, Row, Unknown, Verb

_ROOTFS = "preloaded:nowhere"
#: What a definition carries beside; so that rows have the size of real ones.
_ANNOTATION = "x" * 200
TASK_MEMORY_MB = (64, 65)
INSTANCES_MAX = 5


def task_key(guid: str) -> str:
    return f"task/{guid}"


def lrp_key(guid: str) -> str:
    return f"lrp/{guid}"


def request_of(call: Operation) -> tuple[Method, Any]:
    """The method and the request that carry this operation out."""
    kind, _, guid = call.key.partition("/")
    if kind == "task":
        return _task_request(call, guid)
    name = {
        Verb.READ: "Get",
        Verb.SCALE_LRP: "Scale",
        Verb.DESIRE_LRP: "Desire",
    }[call.verb]
    return method(f"diegod.v1.LrpService/{name}"), _lrp_request(call, guid)


def done(call: Operation, reply: Any) -> Done:
    """What a reply says."""
    kind = call.key.partition("/")[0]
    row = row_of(reply.task) if kind == "task" else row_of(reply.desired_lrp)
    return Done(row, reply.revision if call.verb is Verb.READ else 0)


def failed(error: DomainError) -> Outcome:
    return Unknown() if error.applied == "unknown" else Refused(error.reason)


def row_of(row: "record_pb2.Task | record_pb2.DesiredLrp") -> Row:
    return Row(row.provenance.revision, row.provenance.request_id, str(_value_of(row)))


def _value_of(row: "record_pb2.Task | record_pb2.DesiredLrp") -> int:
    if isinstance(row, record_pb2.Task):
        return row.needs.resources.memory_mb
    return row.instances


def change_of(change: record_pb2.Change) -> Change:
    """A step of the feed. A removal, which no client asks for, is told as a row of nobody."""
    kind = change.WhichOneof("row")
    is_removal = change.verb == record_pb2.Change.REMOVED
    if kind == "task":
        row = None if is_removal else row_of(change.task)
        return Change(change.revision, task_key(change.task.task_guid), row)
    if kind == "desired_lrp":
        row = None if is_removal else row_of(change.desired_lrp)
        return Change(change.revision, lrp_key(change.desired_lrp.process_guid), row)
    return Change(change.revision, str(kind), None)


def _task_request(call: Operation, guid: str) -> tuple[Method, Any]:
    if call.verb is Verb.READ:
        return method("diegod.v1.TaskService/Get"), task_pb2.GetTaskRequest(task_guid=guid)
    definition = definition_pb2.TaskDefinition(
        task_guid=guid, rootfs=_ROOTFS, memory_mb=int(call.value), annotation=_ANNOTATION
    )
    definition.action.run.path = "/bin/true"
    request = task_pb2.DesireTaskRequest(request_id=call.request_id, definition=definition)
    return method("diegod.v1.TaskService/Desire"), request


def _lrp_request(call: Operation, guid: str) -> Any:
    if call.verb is Verb.READ:
        return lrp_pb2.GetLrpRequest(process_guid=guid)
    if call.verb is Verb.SCALE_LRP:
        return lrp_pb2.ScaleLrpRequest(
            request_id=call.request_id,
            process_guid=guid,
            instances=int(call.value),
            expected_revision=call.expected_revision,
        )
    definition = definition_pb2.LrpDefinition(
        process_guid=guid, rootfs=_ROOTFS, instances=int(call.value), annotation=_ANNOTATION
    )
    definition.action.run.path = "/bin/true"
    return lrp_pb2.DesireLrpRequest(
        request_id=call.request_id,
        definition=definition,
        expected_revision=call.expected_revision,
    )
