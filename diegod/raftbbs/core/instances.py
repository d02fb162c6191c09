"""The rules of actual LRPs that are placed: made, placed, withdrawn and made anew, by the brain.

One row an instance, under an instance guid that the BBS makes. 'One ORDINARY row an index' is kept
by `create`, by `unsuspect` and by `reinstate`. Does not belong here: presences (`presences`), and
what cells say (`instance_reports`).
"""

from diegod.internal.v1 import command_pb2 as c
from diegod.models.errors import Reason
from diegod.raftbbs.core.decision import Decision, Refused, changed, created
from diegod.raftbbs.core.desired import VERSIONS_FROM_FORMAT, being_removed
from diegod.raftbbs.core.guards import not_found, placeable_cell, stale_row
from diegod.raftbbs.core.instance_rows import (
    ordinary,
    repairable,
    shortened,
    unclaimed,
    unclaimed_again,
)
from diegod.raftbbs.core.stamps import stamp
from diegod.raftbbs.core.view import Context, View
from diegod.v1.definition_pb2 import LrpDefinition
from diegod.v1.record_pb2 import ActualLrp, DesiredLrp


def create(view: View, command: c.CreateInstance, context: Context) -> Decision:
    desired = view.desired_lrp(command.process_guid)
    if desired is None:
        return not_found("LRP", command.process_guid)
    if refusal := stale_row(
        "LRP", desired.process_guid, command.desired_revision, desired.provenance.revision
    ):
        return refusal
    if refusal := being_removed(desired) or _of_another_mode(view, desired, command.cell_id):
        return refusal
    if ordinary(view, command.process_guid, command.index) is not None:
        return Refused(
            Reason.RESOURCE_EXISTS, f"{command.process_guid}/{command.index} exists already"
        )
    return created(unclaimed(desired, command.index, context, command.cell_id))


def place(view: View, command: c.PlaceInstance, context: Context) -> Decision:
    row, refusal = repairable(view, command.instance_guid, command.row_revision, "place_instance")
    if row is None or refusal:
        return refusal or not_found("instance", command.instance_guid)
    if row.placed_cell_id:
        return Refused(Reason.RESOURCE_CONFLICT, f"instance {row.instance_guid} is placed already")
    if refusal := _of_another_cell(view, row, command.cell_id):
        return refusal
    if refusal := placeable_cell(view, command.cell_id, command.cell_incarnation):
        return refusal
    row.placed_cell_id = command.cell_id
    row.placed_at.CopyFrom(stamp(context.at_ns))
    row.placement_error = ""
    return changed(row)


def refuse(view: View, command: c.RefuseInstance, context: Context) -> Decision:
    row, refusal = repairable(view, command.instance_guid, command.row_revision, "refuse_instance")
    if row is None or refusal:
        return refusal or not_found("instance", command.instance_guid)
    row.placement_error = shortened(command.placement_error)
    return changed(row)


def withdraw(view: View, command: c.WithdrawInstance, context: Context) -> Decision:
    row, refusal = repairable(
        view, command.instance_guid, command.row_revision, "withdraw_instance"
    )
    if row is None or refusal:
        return refusal or not_found("instance", command.instance_guid)
    return unclaimed_again(view, row, context)


def unclaim(view: View, command: c.UnclaimInstance, context: Context) -> Decision:
    row, refusal = repairable(
        view, command.instance_guid, command.row_revision, "unclaim_instance"
    )
    if row is None or refusal:
        return refusal or not_found("instance", command.instance_guid)
    return unclaimed_again(view, row, context)


def _of_another_mode(view: View, desired: DesiredLrp, cell_id: str) -> Refused | None:
    """An instance is made for a cell where the LRP has one on each, and only there."""
    is_global = desired.mode == LrpDefinition.GLOBAL
    if is_global == bool(cell_id) or view.cluster_format() < VERSIONS_FROM_FORMAT:
        return None
    mode = LrpDefinition.Mode.Name(desired.mode)
    return Refused(
        Reason.INVALID_REQUEST,
        f"{desired.process_guid} is {mode}: an instance of it is "
        f"{'' if is_global else 'not '}for a certain cell",
    )


def _of_another_cell(view: View, row: ActualLrp, cell_id: str) -> Refused | None:
    is_free = row.needs.cell_id in ("", cell_id)
    if is_free or view.cluster_format() < VERSIONS_FROM_FORMAT:
        return None
    return Refused(
        Reason.RESOURCE_CONFLICT,
        f"instance {row.instance_guid} is for cell {row.needs.cell_id} and no other",
    )
