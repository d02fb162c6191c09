"""Instances that nobody wants: of no LRP, beyond the number that is desired, of an LRP that is
stopped or removed (step 6 of Diego's convergence).

What a person asked for is done, whatever the domain; a mass loss holds it back only for what is on
lost cells. Where nobody asked, it is done while the domain is fresh.
"""

from collections.abc import Collection

from diegod.internal.v1.command_pb2 import ForgetLrp
from diegod.models.domain_freshness import is_fresh, waits_for_freshness
from diegod.scheduler.core.breaks import Steps, in_portions
from diegod.scheduler.core.decision import process_key
from diegod.scheduler.core.lrps.process import Process, is_on_cell
from diegod.scheduler.core.lrps.steps import retirement
from diegod.scheduler.core.repairs import Sheet
from diegod.v1.record_pb2 import ActualLrp

_NS = 1_000_000_000


def end_unwanted(sheet: Sheet, rows: Collection[ActualLrp]) -> Steps[None]:
    """Of an LRP that there is not."""
    in_order = sorted(rows, key=lambda row: (row.index, row.presence, row.instance_guid))
    for portion in in_portions(in_order):
        yield
        for row in portion:
            if _is_domain_fresh(sheet, row):
                _end(sheet, row, "its LRP is not desired any more")


def retire_extra(process: Process) -> Steps[None]:
    sheet, desired = process.sheet, process.desired
    for portion in in_portions(process.extra):
        yield
        for row in portion:
            if not waits_for_freshness(row, desired) or _is_domain_fresh(sheet, row):
                _end(sheet, row, _why_extra(process))


def forget(process: Process) -> Steps[None]:
    """The row of an LRP that is being removed goes with its last instance."""
    desired = process.desired
    if not desired.removing:
        return
    for portion in in_portions(process.extra):
        yield
        if any(not _is_ended_now(process, row) for row in portion):
            return
    action = ForgetLrp(
        process_guid=desired.process_guid, row_revision=desired.provenance.revision
    )
    process.sheet.decide(process.key, action, "it was removed, and no instance is left")


def _why_extra(process: Process) -> str:
    desired = process.desired
    if desired.removing:
        return "its LRP is being removed"
    if desired.stopped:
        return "its LRP is stopped"
    if process.is_global:
        return "its cell may not run it, or is drained"
    return f"only {desired.instances} instances are desired"


def _is_domain_fresh(sheet: Sheet, row: ActualLrp) -> bool:
    return is_fresh(row.domain, sheet.snapshot.domains.get(row.domain), int(sheet.now * _NS))


def _is_ended_now(process: Process, row: ActualLrp) -> bool:
    """Whether this pass removes the row."""
    is_kept = waits_for_freshness(row, process.desired)
    if is_kept and not _is_domain_fresh(process.sheet, row):
        return False
    return process.goes_at_once(row) and not _is_held(process.sheet, row)


def _is_lost(sheet: Sheet, row: ActualLrp) -> bool:
    return is_on_cell(row) and not sheet.snapshot.is_present(row.cell_id)


def _is_held(sheet: Sheet, row: ActualLrp) -> bool:
    if sheet.mass_loss is None or not _is_lost(sheet, row):
        return False
    return not sheet.snapshot.is_given_up(row.cell_id)


def _end(sheet: Sheet, row: ActualLrp, reason: str) -> None:
    step = retirement(row, reason)
    if _is_lost(sheet, row):
        sheet.decide_unless_held(process_key(row.process_guid), [step], row.cell_id)
    elif not row.stopping:
        sheet.decide(process_key(row.process_guid), *step)
