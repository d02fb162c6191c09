"""How a record stands: at rest, or what it waits for and when something happens next by itself.

`standing(row, facts, now)` is what `explain`, `status` and the lists show, and what the simulation
holds against every row that it ever sees. Does not belong here: what the brain does about a row.
"""

from diegod.models.standing.cells import of_cell
from diegod.models.standing.facts import Facts, Standing, facts_of_brain
from diegod.models.standing.instances import of_instance
from diegod.models.standing.lrps import of_lrp
from diegod.models.standing.schedules import of_schedule
from diegod.models.standing.tasks import of_task
from diegod.v1.record_pb2 import ActualLrp, Cell, DesiredLrp, Task, TaskSchedule

Row = Task | ActualLrp | DesiredLrp | Cell | TaskSchedule

__all__ = ["Facts", "Row", "Standing", "facts_of_brain", "standing"]


def standing(row: Row, facts: Facts, now: float) -> Standing:
    """`facts` need to hold only what concerns this row; `now` is the cluster's time, in seconds."""
    if isinstance(row, Task):
        return of_task(row, facts, now)
    if isinstance(row, ActualLrp):
        return of_instance(row, facts, now)
    if isinstance(row, DesiredLrp):
        return of_lrp(row, facts, now)
    if isinstance(row, Cell):
        return of_cell(row, facts, now)
    return of_schedule(row, facts, now)
