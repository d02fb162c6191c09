"""Every record that is not at rest has a reason and a deadline, in every state that is ever seen.

Held against the rows once a simulated second; and in the end nothing is overdue.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from diegod.models.standing import Facts, Standing, standing
from diegod.models.standing import Row as StandingRow
from diegod.v1.record_pb2 import ActualLrp, Cell, DesiredLrp, Task, TaskSchedule
from tests.sim.rows import Rows
from tests.sim.slots import next_slot_s

if TYPE_CHECKING:
    from tests.sim.ring import Ring

EVERY_S = 1.0
#: What is due is done within this time, once nothing goes wrong any more.
_GRACE_S = 45.0


class Standings:
    def __init__(self, ring: "Ring") -> None:
        self._ring = ring

    def sample(self) -> None:
        """Now, and again in a second."""
        for row, stands in _all(self._ring.history.rows):
            self._ring.counts["standings"] += 1
            if not stands.reason:
                self._ring.complain(f"{_name(row)} stands without a reason")
            if not stands.at_rest and stands.deadline is None:
                self._ring.complain(f"{_name(row)} is not at rest, without a deadline: {stands}")
        self._ring.network.at(EVERY_S, self.sample)

    def overdue(self) -> list[str]:
        rows = self._ring.history.rows
        return [
            f"{_name(row)} is overdue: {stands.reason}"
            for row, stands in _all(rows)
            if not stands.at_rest and (stands.deadline or 0.0) < rows.at_s - _GRACE_S
        ]


def _all(rows: Rows) -> Iterator[tuple[StandingRow, Standing]]:
    brain = rows.lock_owner
    occupants: dict[str, int] = {}
    for task in rows.tasks.values():
        if task.state in (Task.PENDING, Task.RUNNING):
            cell_id = task.cell_id or task.placed_cell_id
            occupants[cell_id] = occupants.get(cell_id, 0) + 1
        yield task, standing(task, Facts(brain_id=brain, cells=rows.cells), rows.at_s)
    for instance in rows.instances.values():
        cell_id = instance.cell_id or instance.placed_cell_id
        occupants[cell_id] = occupants.get(cell_id, 0) + 1
        yield instance, _of_instance(instance, rows)
    for lrp in rows.lrps.values():
        all_of_it = rows.instances_of(lrp.process_guid)
        facts = Facts(brain_id=brain, cells=rows.cells, lrp=lrp, instances=all_of_it)
        yield lrp, standing(lrp, facts, rows.at_s)
    for cell in rows.cells.values():
        there = occupants.get(cell.cell_id, 0)
        facts = Facts(brain_id=brain, cells=rows.cells, occupants=there)
        yield cell, standing(cell, facts, rows.at_s)
    for schedule in rows.schedules.values():
        facts = Facts(brain_id=brain, next_slot=next_slot_s(schedule))
        yield schedule, standing(schedule, facts, rows.at_s)


def _of_instance(instance: ActualLrp, rows: Rows) -> Standing:
    group = rows.instances_of(instance.process_guid)
    facts = Facts(
        brain_id=rows.lock_owner,
        cells=rows.cells,
        lrp=rows.lrps.get(instance.process_guid),
        domain_fresh=rows.is_fresh(instance.domain),
        instances=[row for row in group if row.index == instance.index],
    )
    return standing(instance, facts, rows.at_s)


def _name(row: StandingRow) -> str:
    if isinstance(row, Task):
        return f"task {row.task_guid}"
    if isinstance(row, ActualLrp):
        return f"instance {row.process_guid}/{row.index}"
    if isinstance(row, DesiredLrp):
        return f"LRP {row.process_guid}"
    if isinstance(row, Cell):
        return f"cell {row.cell_id}"
    assert isinstance(row, TaskSchedule)
    return f"schedule {row.name}"
