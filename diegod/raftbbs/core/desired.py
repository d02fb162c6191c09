"""The rules of desired LRPs: what people ask for. Instances follow by convergence.

A new definition begins a version and its rollout. `scaled_revision` notes when the number of
instances was last asked for: what was there then beyond that may go without further ado.
Before format 2 there are neither versions nor rollouts, and a removed LRP is gone at once. Does not
belong here: what is done to an LRP without a new definition (`control`).
"""

from diegod.internal.v1 import command_pb2 as c
from diegod.models.errors import Reason
from diegod.raftbbs.core import versions
from diegod.raftbbs.core.decision import Decision, Refused, Unchanged, changed, created, removed
from diegod.raftbbs.core.guards import not_found, stale_row
from diegod.raftbbs.core.stamps import stamp
from diegod.raftbbs.core.view import Context, View
from diegod.v1.definition_pb2 import LrpDefinition
from diegod.v1.record_pb2 import DesiredLrp

#: The first format of the cluster in which LRPs have versions, and instances evacuate.
VERSIONS_FROM_FORMAT = 2


def desire(view: View, command: c.DesireLrp, context: Context) -> Decision:
    """Creates the LRP or replaces its definition; what runs keeps its own until replaced."""
    new = DesiredLrp()
    new.CopyFrom(command.desired_lrp)
    old = view.desired_lrp(new.process_guid)
    if refusal := unexpected(old, new.process_guid, command.expected_revision):
        return refusal
    if old is None:
        return _created(view, new, command.definition, context)
    if old.removing:
        return _in_its_place(view, old, new, command.definition, context)
    same = view.lrp_definition(old.process_guid, old.definition_revision) == command.definition
    if same and old.instances == new.instances:
        return Unchanged(old)
    if old.domain != new.domain:
        return _of_another_domain(old)
    new.created_at.CopyFrom(old.created_at)
    new.definition_revision = old.definition_revision if same else context.revision
    if view.cluster_format() < VERSIONS_FROM_FORMAT:
        return changed(new, None if same else command.definition)
    _carry_over(old, new)
    if old.instances != new.instances:
        new.scaled_revision = context.revision
    if same:
        return changed(new)
    past = versions.history(view, old)
    versions.begin_rollout(new, versions.stable_before(old), context)
    entries = versions.next_version(new, past, context)
    return changed(new, command.definition, versions=entries)


def scale(view: View, command: c.ScaleLrp, context: Context) -> Decision:
    desired = view.desired_lrp(command.process_guid)
    if desired is None:
        return not_found("LRP", command.process_guid)
    if refusal := unexpected(desired, command.process_guid, command.expected_revision):
        return refusal
    if refusal := being_removed(desired):
        return refusal
    if desired.mode == LrpDefinition.GLOBAL and view.cluster_format() >= VERSIONS_FROM_FORMAT:
        return Refused(
            Reason.INVALID_REQUEST,
            f"{desired.process_guid} is GLOBAL: it has an instance on each cell that may run it",
        )
    if desired.instances == command.instances:
        return Unchanged(desired)
    desired.instances = command.instances
    if view.cluster_format() >= VERSIONS_FROM_FORMAT:
        desired.scaled_revision = context.revision
    return changed(desired)


def remove(view: View, command: c.RemoveLrp, context: Context) -> Decision:
    """The row stays until its last instance is gone: its definition is needed as long."""
    desired = view.desired_lrp(command.process_guid)
    if desired is None:
        return not_found("LRP", command.process_guid)
    if view.cluster_format() < VERSIONS_FROM_FORMAT or not view.has_instances(desired.process_guid):
        return removed(desired)
    if desired.removing:
        return Unchanged(desired)
    desired.removing = True
    desired.scaled_revision = context.revision
    return changed(desired)


def forget(view: View, command: c.ForgetLrp, context: Context) -> Decision:
    """By the brain: nothing is left of an LRP that was removed."""
    desired = view.desired_lrp(command.process_guid)
    if desired is None:
        return not_found("LRP", command.process_guid)
    revision = desired.provenance.revision
    if refusal := stale_row("LRP", desired.process_guid, command.row_revision, revision):
        return refusal
    if not desired.removing:
        return Refused(
            Reason.INVALID_STATE_TRANSITION, f"{desired.process_guid} is not being removed"
        )
    if view.has_instances(desired.process_guid):
        return Refused(Reason.RESOURCE_CONFLICT, f"{desired.process_guid} has instances still")
    return removed(desired)


def being_removed(desired: DesiredLrp) -> Refused | None:
    if not desired.removing:
        return None
    return Refused(
        Reason.INVALID_STATE_TRANSITION,
        f"{desired.process_guid} is being removed; desire it again to keep it",
    )


def unexpected(row: DesiredLrp | None, process_guid: str, expected: int) -> Refused | None:
    is_now = row.provenance.revision if row is not None else 0
    if expected in (0, is_now):
        return None
    return Refused(
        Reason.RESOURCE_CONFLICT,
        f"{process_guid} is at revision {is_now}, not {expected}: somebody changed it meanwhile",
    )


def _created(view: View, new: DesiredLrp, definition: bytes, context: Context) -> Decision:
    new.definition_revision = context.revision
    new.created_at.CopyFrom(stamp(context.at_ns))
    if view.cluster_format() < VERSIONS_FROM_FORMAT:
        return created(new, definition)
    _only_as_desired(new)
    new.scaled_revision = context.revision
    versions.begin_rollout(new, 0, context)
    return created(new, definition, versions.next_version(new, (), context))


def _in_its_place(
    view: View, old: DesiredLrp, new: DesiredLrp, definition: bytes, context: Context
) -> Decision:
    """It is being removed: this is a new one that takes over its history and what still runs."""
    if old.domain != new.domain:
        return _of_another_domain(old)
    same = view.lrp_definition(old.process_guid, old.definition_revision) == definition
    _only_as_desired(new)
    new.created_at.CopyFrom(stamp(context.at_ns))
    new.definition_revision = old.definition_revision if same else context.revision
    new.scaled_revision = context.revision
    new.version = old.version
    past = versions.history(view, old)
    versions.begin_rollout(new, 0, context)
    entries = versions.next_version(new, past, context, copy_of=old.version if same else 0)
    return changed(new, None if same else definition, versions=entries)


def _only_as_desired(new: DesiredLrp) -> None:
    """What apply alone writes begins empty, whatever a command may carry."""
    for field in ("rollout", "version", "stopped", "removing", "scaled_revision"):
        new.ClearField(field)


def _carry_over(old: DesiredLrp, new: DesiredLrp) -> None:
    """What is not part of a definition stays as it is."""
    _only_as_desired(new)
    new.version = old.version
    new.stopped = old.stopped
    new.scaled_revision = old.scaled_revision
    if old.HasField("rollout"):
        new.rollout.CopyFrom(old.rollout)


def _of_another_domain(old: DesiredLrp) -> Refused:
    return Refused(
        Reason.INVALID_REQUEST,
        f"{old.process_guid} is in domain {old.domain}; an LRP can't change its domain",
    )
