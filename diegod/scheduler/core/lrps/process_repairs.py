"""`repair_process`: all rules, in the order of Diego's convergence
(bbs/controllers/lrp_convergence_controller.go), then those that Diego leaves to its clients.

A rule finds its cases by itself and leaves those of the others alone, so the order shows only in
which step comes first. Expired domains, Diego's first step, need no pruning: whether a domain is
fresh is a question of time (`models.freshness`).
"""

from collections.abc import Callable

from diegod.scheduler.core.breaks import Steps, in_portions
from diegod.scheduler.core.lrps.drain import move_away
from diegod.scheduler.core.lrps.evacuation import drop_evacuating_on_lost_cells, end_replaced
from diegod.scheduler.core.lrps.instance import create_missing, restart_crashed, withdraw_placements
from diegod.scheduler.core.lrps.places import is_at_rest, placed_out
from diegod.scheduler.core.lrps.process import Process, Slot
from diegod.scheduler.core.lrps.rollout import begin_replacing, replace_what_serves_nobody
from diegod.scheduler.core.lrps.suspicion import replace_lost, settle_suspects, take_back
from diegod.scheduler.core.lrps.unwanted import end_unwanted, forget, retire_extra
from diegod.scheduler.core.lrps.verdict import Failed, pronounce, verdict
from diegod.scheduler.core.repairs import Sheet


def repair_process(sheet: Sheet, process_guid: str) -> Steps[None]:
    snapshot = sheet.snapshot
    desired = snapshot.desired.get(process_guid)
    rows = snapshot.rows_of(process_guid)
    if desired is None:
        yield from end_unwanted(sheet, rows)
        return
    if is_at_rest(snapshot, desired, rows):
        return
    yield
    process = yield from placed_out(sheet, desired, rows)
    yield from process.look_at_all()
    yield from _at_each_place(drop_evacuating_on_lost_cells, process)
    yield from _at_each_place(withdraw_placements, process)
    yield from _at_each_place(replace_lost, process)
    yield from _at_each_place(create_missing, process)
    yield from retire_extra(process)
    yield from _at_each_place(settle_suspects, process)
    yield from _at_each_place(take_back, process)
    yield from _at_each_place(restart_crashed, process)
    yield from _at_each_place(end_replaced, process)
    yield from _at_each_place(replace_what_serves_nobody, process)
    found = yield from verdict(process)
    if not isinstance(found, Failed):  # the next pass begins with the definition it falls back to
        yield from move_away(process)
        yield from begin_replacing(process)
    pronounce(process, found)
    yield from forget(process)


def _at_each_place(rule: Callable[[Process, Slot], None], process: Process) -> Steps[None]:
    for portion in in_portions(process.slots.values()):
        yield
        for slot in portion:
            rule(process, slot)
