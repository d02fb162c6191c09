"""Instances that a BBS of a later epoch does not know: they are adopted rather than started anew.

They were started after the state that was restored. A cell reports each as it runs. Of two
instances of one index the one with the later guid was made to replace the other, so it is the one
that stays. Where a state of an older time does not want the instance at all (its LRP is not there,
or has fewer instances), that says little: it is left running until somebody has said in this epoch
that the domain is complete (`UpsertDomain`). Until then it has a row, so that people see what would
be removed; in the domain `default`, which convergence takes for always complete, it has none, and
the cell asks again.
"""

from diegod.internal.v1 import command_pb2 as c
from diegod.models.defaults import DEFAULT_DOMAIN
from diegod.models.definition_digest import digest_of_closed
from diegod.models.epochs import epoch_of
from diegod.models.errors import Reason
from diegod.raftbbs.core.decision import Changed, Decision, Refused, RowChange, Unchanged
from diegod.raftbbs.core.keys import KEY_BYTES_MAX
from diegod.raftbbs.core.stamps import nanoseconds, stamp
from diegod.raftbbs.core.view import Context, View
from diegod.v1.definition_pb2 import LrpDefinition
from diegod.v1.record_pb2 import ActualLrp, Change, DesiredLrp, Domain

_ON_A_CELL = (ActualLrp.CLAIMED, ActualLrp.RUNNING)


def adopt(view: View, command: c.AdoptInstance, context: Context) -> Decision:
    given = command.instance
    made_at = _revision_of(given.instance_guid)
    if made_at is None:
        return Refused(Reason.INVALID_REQUEST, f'"{given.instance_guid}" is no instance guid')
    known = view.actual_lrp(given.instance_guid)
    if known is not None and not _is_nowhere(known):
        return _known_already(known, context)
    if epoch_of(made_at) >= epoch_of(context.revision):
        return _refused(given, "it was made in this epoch, and its row is gone")
    desired = view.desired_lrp(given.process_guid)
    is_wanted = desired is not None and not _is_beyond(desired, given.index)
    if not is_wanted and (refusal := _unwanted(view, given, desired, context)):
        return refusal
    return _in_place_of(view, command, desired, made_at, context)


def _known_already(known: ActualLrp, context: Context) -> Decision:
    if context.caller_id in (known.cell_id, known.placed_cell_id):
        return Unchanged(known)
    return Refused(
        Reason.RUNNING_ON_DIFFERENT_CELL,
        f"instance {known.instance_guid} is on {known.cell_id or 'no cell'}",
    )


def _is_nowhere(row: ActualLrp) -> bool:
    """As it was before it was placed where it runs now."""
    return row.state == ActualLrp.UNCLAIMED and not row.placed_cell_id


def _is_beyond(desired: DesiredLrp, index: int) -> bool:
    return desired.removing or not (
        desired.mode == LrpDefinition.GLOBAL or index < desired.instances
    )


def _unwanted(
    view: View, given: ActualLrp, desired: DesiredLrp | None, context: Context
) -> Refused | None:
    """None: it is adopted all the same, so that people see it, until its domain is fresh."""
    if desired is not None and desired.removing:
        return _refused(given, f"{desired.process_guid} is being removed")
    name = desired.domain if desired is not None else given.domain
    domain = view.domain(name) if name else None
    what = (
        f'there is no LRP "{given.process_guid}"'
        if desired is None
        else f"only {desired.instances} instances of {desired.process_guid} are desired"
    )
    if domain is not None and _is_fresh(domain, context):
        return _refused(given, f"{what}, and domain {domain.domain} is complete")
    if name not in ("", DEFAULT_DOMAIN) and len(name.encode()) <= KEY_BYTES_MAX:
        return None
    return Refused(
        Reason.UNAVAILABLE,
        f"{what} in the state that was restored: {given.instance_guid} is left running until its "
        "domain is freshened",
    )


def _is_fresh(domain: Domain, context: Context) -> bool:
    """What was said to be complete is so for its time."""
    return not domain.ttl_s or nanoseconds(domain.fresh_until) > context.at_ns


def _in_place_of(
    view: View,
    command: c.AdoptInstance,
    desired: DesiredLrp | None,
    made_at: int,
    context: Context,
) -> Decision:
    """The ordinary instance of that index gives way if it is older, or on no cell."""
    given = command.instance
    steps: list[RowChange] = []
    for row in view.instances_at(given.process_guid, given.index):
        if row.presence != ActualLrp.ORDINARY or row.instance_guid == given.instance_guid:
            continue
        is_newer = (_revision_of(row.instance_guid) or 0) > made_at
        if is_newer and (row.placed_cell_id or row.state in _ON_A_CELL):
            return _refused(given, f"instance {row.instance_guid} has taken its place")
        steps.append(_giving_way(row))
    adopted = _adopted(view, command, desired, context)
    is_known = view.actual_lrp(given.instance_guid) is not None
    verb = Change.CHANGED if is_known else Change.CREATED
    return Changed((*steps, RowChange(verb, adopted)))


def _giving_way(row: ActualLrp) -> RowChange:
    """What a cell may still have is ended by convergence, as any other that was replaced."""
    if row.state in _ON_A_CELL:
        row.presence = ActualLrp.SUSPECT
        return RowChange(Change.CHANGED, row)
    return RowChange(Change.REMOVED, row)


def _adopted(
    view: View, command: c.AdoptInstance, desired: DesiredLrp | None, context: Context
) -> ActualLrp:
    """CLAIMED until it is healthy."""
    given, cell = command.instance, view.cell(context.caller_id)
    row = ActualLrp(
        process_guid=given.process_guid,
        index=given.index,
        domain=desired.domain if desired is not None else given.domain,
        instance_guid=given.instance_guid,
        state=ActualLrp.RUNNING if given.routable else ActualLrp.CLAIMED,
        definition_revision=_definition_revision(view, command, desired) if desired else 0,
        cell_id=context.caller_id,
        cell_incarnation=context.cell_incarnation,
        zone=cell.zone if cell is not None else "",
        routable=given.routable,
        since=stamp(context.at_ns),
    )
    row.adopted_revision = context.revision
    row.needs.CopyFrom(desired.needs if desired is not None else given.needs)
    if desired is not None and desired.mode == LrpDefinition.GLOBAL:
        row.needs.cell_id = context.caller_id
    row.net_info.CopyFrom(given.net_info)
    return row


def _definition_revision(view: View, command: c.AdoptInstance, desired: DesiredLrp) -> int:
    """Of what it runs. What is not known here counts as older than any definition: it is replaced
    as in an update, one instance at a time."""
    revision = command.instance.definition_revision
    if view.lrp_definition(desired.process_guid, revision) is not None:
        return revision
    present = view.lrp_definition(desired.process_guid, desired.definition_revision)
    is_present = present is not None and command.definition_digest == digest_of_closed(present)
    return desired.definition_revision if is_present else 0


def _refused(given: ActualLrp, why: str) -> Refused:
    return Refused(
        Reason.RESOURCE_CONFLICT, f"instance {given.instance_guid} is not adopted: {why}"
    )


def _revision_of(instance_guid: str) -> int | None:
    """The revision that an instance guid was made from (`instances.instance_guid`)."""
    digits = instance_guid[1:]
    if instance_guid[:1] != "i" or not digits or digits.strip("0123456789abcdef"):
        return None
    return int(digits, 16)
