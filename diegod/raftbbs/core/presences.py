"""Which instance of an index counts: ORDINARY, EVACUATING or SUSPECT, and when one is ended.

An index has at most one ORDINARY instance. Beside it there may be one that evacuates (it serves
while its replacement is made) and one whose cell is missing. What a person asks for goes the way
that the brain goes (`retire_index`). Does not belong here: when the brain does what
(`scheduler.core`).
"""

from diegod.internal.v1 import command_pb2 as c
from diegod.models.errors import Reason
from diegod.models.retirement import starts_first
from diegod.raftbbs.core.decision import (
    Changed,
    Decision,
    Refused,
    RowChange,
    Unchanged,
    changed,
    removed,
)
from diegod.raftbbs.core.desired import VERSIONS_FROM_FORMAT, being_removed
from diegod.raftbbs.core.guards import not_found
from diegod.raftbbs.core.instance_rows import (
    is_on_present_cell,
    named,
    ordinary,
    repairable,
    retirement_refused,
    unclaimed_again,
)
from diegod.raftbbs.core.view import Context, View
from diegod.v1.record_pb2 import ActualLrp, Cell, Change


def suspect(view: View, command: c.SuspectInstance, context: Context) -> Decision:
    """Its cell is missing: it stays routable until a replacement runs."""
    row, refusal = repairable(
        view, command.instance_guid, command.row_revision, "suspect_instance"
    )
    if row is None or refusal:
        return refusal or not_found("instance", command.instance_guid)
    cell = view.cell(row.cell_id)
    if cell is not None and cell.state == Cell.PRESENT:
        return Refused(Reason.RESOURCE_CONFLICT, f"cell {row.cell_id} is present")
    if row.presence == ActualLrp.SUSPECT:
        return Unchanged(row)
    if view.cluster_format() >= VERSIONS_FROM_FORMAT and (refusal := _no_suspect(view, row)):
        return refusal
    row.presence = ActualLrp.SUSPECT
    return changed(row)


def unsuspect(view: View, command: c.UnsuspectInstance, context: Context) -> Decision:
    """Its cell is back: it is ordinary again, unless another one has taken its place."""
    row, refusal = repairable(
        view, command.instance_guid, command.row_revision, "unsuspect_instance"
    )
    if row is None or refusal:
        return refusal or not_found("instance", command.instance_guid)
    if row.presence == ActualLrp.EVACUATING:
        return _of_presence(row, "unsuspect_instance")
    return _ordinary_again(view, row)


def evacuate(view: View, command: c.EvacuateInstance, context: Context) -> Decision:
    """It runs, and serves while its replacement is made; what evacuated before it is stopped."""
    row, refusal = repairable(
        view, command.instance_guid, command.row_revision, "evacuate_instance"
    )
    if row is None or refusal:
        return refusal or not_found("instance", command.instance_guid)
    return _evacuating(view, row)


def reinstate(view: View, command: c.ReinstateInstance, context: Context) -> Decision:
    """It is wanted where it is, after all, and nothing has taken its place."""
    row, refusal = repairable(
        view, command.instance_guid, command.row_revision, "reinstate_instance"
    )
    if row is None or refusal:
        return refusal or not_found("instance", command.instance_guid)
    if row.presence != ActualLrp.EVACUATING:
        return _of_presence(row, "reinstate_instance")
    if row.stopping:
        return _is_stopping(row)
    return _ordinary_again(view, row)


def retire(view: View, command: c.RetireInstance, context: Context) -> Decision:
    row, refusal = repairable(view, command.instance_guid, command.row_revision, "retire_instance")
    if row is None or refusal:
        return refusal or not_found("instance", command.instance_guid)
    if view.cluster_format() >= VERSIONS_FROM_FORMAT:
        desired = view.desired_lrp(row.process_guid)
        if refusal := retirement_refused(view, row, desired, context):
            return refusal
    if not is_on_present_cell(view, row) or row.state == ActualLrp.CRASHED:
        return removed(row)
    return _stopping(row)


def retire_index(view: View, command: c.RetireIndex, context: Context) -> Decision:
    """A person wants another instance in the place of this one; it goes on running till then."""
    desired = view.desired_lrp(command.process_guid)
    if desired is None:
        return not_found("LRP", command.process_guid)
    if refusal := being_removed(desired):
        return refusal
    row = ordinary(view, command.process_guid, command.index)
    if row is None:
        return not_found("instance", f"{command.process_guid}/{command.index}")
    if row.state in (ActualLrp.UNCLAIMED, ActualLrp.CRASHED):
        row.crash_count, row.crash_reason = 0, ""
        return unclaimed_again(view, row, context)
    if not is_on_present_cell(view, row):
        return _cell_missing(row)
    if row.stopping:
        return Unchanged(row)
    if row.state == ActualLrp.RUNNING and starts_first(desired):
        return _evacuating(view, row)
    return _stopping(row)


def _evacuating(view: View, row: ActualLrp) -> Decision:
    if row.presence == ActualLrp.EVACUATING:
        return Unchanged(row)
    if not is_on_present_cell(view, row):
        return _cell_missing(row)
    if row.stopping:
        return _is_stopping(row)
    before = [
        _ended(view, other)
        for other in view.instances_at(row.process_guid, row.index)
        if other.presence == ActualLrp.EVACUATING and not other.stopping
    ]
    row.presence = ActualLrp.EVACUATING
    return Changed((*before, RowChange(Change.CHANGED, row)))


def _ended(view: View, row: ActualLrp) -> RowChange:
    if not is_on_present_cell(view, row):
        return RowChange(Change.REMOVED, row)
    row.stopping = True
    return RowChange(Change.CHANGED, row)


def _stopping(row: ActualLrp) -> Decision:
    if row.stopping:
        return Unchanged(row)
    row.stopping = True
    return changed(row)


def _ordinary_again(view: View, row: ActualLrp) -> Decision:
    if not is_on_present_cell(view, row):
        return _cell_missing(row)
    if ordinary(view, row.process_guid, row.index) is not None:
        return Refused(
            Reason.RESOURCE_CONFLICT, f"{row.process_guid}/{row.index} has an ordinary instance"
        )
    row.presence = ActualLrp.ORDINARY
    return changed(row)


def _no_suspect(view: View, row: ActualLrp) -> Refused | None:
    """One suspect an index: of two lost instances the one that served before is kept."""
    if row.presence == ActualLrp.EVACUATING:
        return _of_presence(row, "suspect_instance")
    for other in view.instances_at(row.process_guid, row.index):
        if other.presence == ActualLrp.SUSPECT:
            return Refused(
                Reason.RESOURCE_CONFLICT,
                f"{row.process_guid}/{row.index} has a suspect already: {other.instance_guid}",
            )
    return None


def _of_presence(row: ActualLrp, command: str) -> Refused:
    presence = ActualLrp.Presence.Name(row.presence)
    return Refused(
        Reason.INVALID_STATE_TRANSITION, f"{named(row)} is {presence}: {command} is not possible"
    )


def _is_stopping(row: ActualLrp) -> Refused:
    return Refused(Reason.RESOURCE_CONFLICT, f"{named(row)} is being stopped")


def _cell_missing(row: ActualLrp) -> Refused:
    return Refused(Reason.CELL_MISSING, f"cell {row.cell_id} is missing")
