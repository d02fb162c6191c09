"""The rules of desired LRPs: what people ask for. Instances follow by convergence."""

from diegod.internal.v1 import command_pb2 as c
from diegod.models.errors import Reason
from diegod.raftbbs.core.decision import Decision, Refused, Unchanged, changed, created, removed
from diegod.raftbbs.core.guards import not_found
from diegod.raftbbs.core.stamps import stamp
from diegod.raftbbs.core.view import Context, View
from diegod.v1.record_pb2 import DesiredLrp


def desire(view: View, command: c.DesireLrp, context: Context) -> Decision:
    """Creates the LRP or replaces its definition; what runs keeps its own until replaced."""
    new = DesiredLrp()
    new.CopyFrom(command.desired_lrp)
    old = view.desired_lrp(new.process_guid)
    if refusal := _unexpected(old, new.process_guid, command.expected_revision):
        return refusal
    if old is None:
        new.definition_revision = context.revision
        new.created_at.CopyFrom(stamp(context.at_ns))
        return created(new, command.definition)
    same = view.lrp_definition(old.process_guid, old.definition_revision) == command.definition
    if same and old.instances == new.instances:
        return Unchanged(old)
    if old.domain != new.domain:
        return Refused(
            Reason.INVALID_REQUEST,
            f"{old.process_guid} is in domain {old.domain}; an LRP can't change its domain",
        )
    new.created_at.CopyFrom(old.created_at)
    new.definition_revision = old.definition_revision if same else context.revision
    return changed(new, None if same else command.definition)


def scale(view: View, command: c.ScaleLrp, context: Context) -> Decision:
    desired = view.desired_lrp(command.process_guid)
    if desired is None:
        return not_found("LRP", command.process_guid)
    if refusal := _unexpected(desired, command.process_guid, command.expected_revision):
        return refusal
    if desired.instances == command.instances:
        return Unchanged(desired)
    desired.instances = command.instances
    return changed(desired)


def remove(view: View, command: c.RemoveLrp, context: Context) -> Decision:
    desired = view.desired_lrp(command.process_guid)
    return not_found("LRP", command.process_guid) if desired is None else removed(desired)


def _unexpected(row: DesiredLrp | None, process_guid: str, expected: int) -> Refused | None:
    is_now = row.provenance.revision if row is not None else 0
    if expected in (0, is_now):
        return None
    return Refused(
        Reason.RESOURCE_CONFLICT,
        f"{process_guid} is at revision {is_now}, not {expected}: somebody changed it meanwhile",
    )
