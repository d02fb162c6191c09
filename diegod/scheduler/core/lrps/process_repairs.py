"""`repair_process`: all rules, in the order of Diego's convergence
(bbs/controllers/lrp_convergence_controller.go), then those that Diego leaves to its clients.

A rule finds its cases by itself and leaves those of the others alone, so the order shows only in
which step comes first. Expired domains, Diego's first step, need no pruning: whether a domain is
fresh is a question of time (`models.freshness`).
"""

from diegod.scheduler.core.lrps.drain import move_away
from diegod.scheduler.core.lrps.evacuation import drop_evacuating_on_lost_cells, end_replaced
from diegod.scheduler.core.lrps.instance import create_missing, restart_crashed, withdraw_placements
from diegod.scheduler.core.lrps.places import is_at_rest, placed_out
from diegod.scheduler.core.lrps.rollout import begin_replacing, replace_what_serves_nobody
from diegod.scheduler.core.lrps.suspicion import replace_lost, settle_suspects, take_back
from diegod.scheduler.core.lrps.unwanted import end_unwanted, forget, retire_extra
from diegod.scheduler.core.lrps.verdict import Failed, pronounce, verdict
from diegod.scheduler.core.repairs import Sheet


def repair_process(sheet: Sheet, process_guid: str) -> None:
    snapshot = sheet.snapshot
    desired = snapshot.desired.get(process_guid)
    rows = snapshot.rows_of(process_guid)
    if desired is None:
        end_unwanted(sheet, rows)
        return
    if is_at_rest(snapshot, desired, rows):
        return
    process = placed_out(sheet, desired, rows)
    drop_evacuating_on_lost_cells(process)
    withdraw_placements(process)
    replace_lost(process)
    create_missing(process)
    retire_extra(process)
    settle_suspects(process)
    take_back(process)
    restart_crashed(process)
    end_replaced(process)
    replace_what_serves_nobody(process)
    found = verdict(process)
    if not isinstance(found, Failed):  # the next pass begins with the definition it falls back to
        move_away(process)
        begin_replacing(process)
    pronounce(process, found)
    forget(process)
