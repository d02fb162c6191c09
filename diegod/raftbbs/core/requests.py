"""Retries: a row remembers the request that last changed it, so that a repeated one is answered.

What this can't answer (the row changed again, or is gone) is answered by the rules themselves:
desiring an equal task, cancelling what has ended, and granting the same attempt to the same cell
are all 'so already'.
"""

from collections.abc import Iterable
from typing import Any

from diegod.internal.v1.command_pb2 import Command
from diegod.raftbbs.core.decision import Row
from diegod.raftbbs.core.view import View
from diegod.v1.record_pb2 import ActualLrp


def answered_before(view: View, kind: str, body: Any, command: Command) -> Row | None:
    """The row that this very request changed last; None: it is new, as far as rows can tell."""
    if not command.request_id:
        return None
    if kind == "retire_index":
        return _made_by(view.instances_at(body.process_guid, body.index), command)
    row = _row_of(view, kind, body)
    if row is None or row.provenance.request_id != command.request_id:
        return None
    return row if row.provenance.by == command.by else None


def _made_by(rows: Iterable[ActualLrp], command: Command) -> ActualLrp | None:
    """Whichever of them the request left behind: the one it named may be another one by now."""
    for row in rows:
        made = row.provenance
        if (made.request_id, made.by) == (command.request_id, command.by):
            return row
    return None


def _row_of(view: View, kind: str, body: Any) -> Row | None:
    if kind == "desire_task":
        return None  # the same request desires an equal task, and that is so already
    if kind == "desire_lrp":
        return view.desired_lrp(body.desired_lrp.process_guid)
    if kind == "register_cell":
        return view.cell(body.cell.cell_id)
    if kind == "desire_schedule":
        return view.task_schedule(body.schedule.name)
    if kind == "control_cell":
        return view.cell(body.cell_id)
    if kind == "acquire_lock":
        return view.lock(body.name)
    if kind in ("control_schedule", "fire_schedule", "skip_slots"):
        return view.task_schedule(body.name)
    if kind == "upsert_domain":
        return view.domain(body.domain)
    fields = body.DESCRIPTOR.fields_by_name
    if "task_guid" in fields:
        return view.task(body.task_guid)
    if "instance_guid" in fields:
        return view.actual_lrp(body.instance_guid)
    if "process_guid" in fields:
        return view.desired_lrp(body.process_guid)
    return None
