"""What the standing of any row is told of the rest of the cluster, read once for a command."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from diegod.cli.terminal.quantities import age
from diegod.models.schedule_slots import next_slot
from diegod.models.standing import Facts, Standing, facts_of_brain, standing
from diegod.v1.cell_pb2 import CellStatus
from diegod.v1.record_pb2 import ActualLrp, DesiredLrp, Lock, Task, TaskSchedule

if TYPE_CHECKING:
    from diegod.client import Client
    from diegod.scheduler.core.limits import Limits

#: Always fresh, also without a row of its own.
_DEFAULT_DOMAIN = "default"


@dataclass(frozen=True)
class Surroundings:
    facts: Facts
    lock: Lock
    cells: Sequence[CellStatus]
    fresh: Mapping[str, bool] = field(default_factory=dict)  # by domain; else it is

    def limits(self) -> "Limits":
        """By what the active brain goes; of what it doesn't say, the defaults."""
        from diegod.scheduler.core.limits import Limits

        brain, limits = self.lock.brain, Limits()
        if brain.mass_loss_cells_min:
            limits = replace(
                limits,
                mass_loss_percent=brain.mass_loss_percent,
                mass_loss_cells_min=brain.mass_loss_cells_min,
                mass_loss_hold_s=float(brain.mass_loss_hold_s),
            )
        return replace(
            limits, take_up_s=self.facts.take_up_s, lease_ttl_s=self.facts.lease_ttl_s
        )

    def of_task(self, task: Task, now: float) -> Standing:
        return standing(task, self.facts, now)

    def of_instance(
        self,
        row: ActualLrp,
        lrp: DesiredLrp | None,
        instances: Sequence[ActualLrp],
        now: float,
    ) -> Standing:
        facts = replace(
            self.facts,
            lrp=lrp,
            instances=instances,
            domain_fresh=self.fresh.get(row.domain, True),
        )
        if lrp is not None:
            facts = replace(facts, **_timeouts(lrp))  # type: ignore[arg-type]
        return standing(row, facts, now)

    def of_lrp(self, lrp: DesiredLrp, instances: Sequence[ActualLrp], now: float) -> Standing:
        return standing(lrp, replace(self.facts, instances=instances), now)

    def of_schedule(self, schedule: TaskSchedule, now: float) -> Standing:
        return standing(schedule, replace(self.facts, next_slot=next_slot(schedule)), now)

    def of_cell(self, status: CellStatus, now: float) -> Standing:
        occupants = status.tasks + status.instances
        return standing(status.cell, replace(self.facts, occupants=occupants), now)


async def look_around(client: "Client", *, domains: bool = False) -> Surroundings:
    """`domains`: also which are fresh, which matters only for what nobody desires."""
    status, lock, cells = await asyncio.gather(
        client.status(), client.brains.lock(), client.cells.list()
    )
    facts = facts_of_brain(status.brain_id, lock.brain)
    hold = status.mass_loss
    facts = replace(
        facts,
        hold_until=hold.until.ToNanoseconds() / 1e9 if status.HasField("mass_loss") else None,
        cells={each.cell.cell_id: each.cell for each in cells},
    )
    fresh = {}
    if domains:
        fresh = {each.domain.domain: each.fresh for each in await client.domains.list()}
        fresh[_DEFAULT_DOMAIN] = True
    return Surroundings(facts, lock, cells, fresh)


def _timeouts(lrp: DesiredLrp) -> dict[str, float]:
    """Of its definition, where we may read it."""
    given = lrp.definition
    return {
        f"{name}_s": getattr(given, f"{name}_ms") / 1000
        for name in ("start_timeout", "stop_timeout")
        if given.HasField(f"{name}_ms")  # type: ignore[arg-type]
    }


async def standings_of_tasks(
    client: "Client", tasks: Sequence[Task], now: float
) -> dict[str, str]:
    """By guid, as a column of a list."""
    around = await look_around(client)
    return {task.task_guid: as_text(around.of_task(task, now), now) for task in tasks}


async def standings_of_instances(
    client: "Client", rows: Sequence[ActualLrp], now: float
) -> dict[str, str]:
    """By instance guid. What no LRP desires stands by how fresh its domain is."""
    lrps, everywhere = await asyncio.gather(client.lrps.list(), client.lrps.instances())
    by_guid = {lrp.process_guid: lrp for lrp in lrps}
    undesired = any(row.process_guid not in by_guid for row in rows)
    around = await look_around(client, domains=undesired)
    siblings: dict[str, list[ActualLrp]] = {}
    for row in everywhere:
        siblings.setdefault(row.process_guid, []).append(row)

    def told(row: ActualLrp) -> str:
        guid = row.process_guid
        of = around.of_instance(row, by_guid.get(guid), siblings.get(guid, ()), now)
        return as_text(of, now)

    return {row.instance_guid: told(row) for row in rows}


def as_text(standing: Standing, now: float) -> str:
    """`waits for the next auction, in 12s`."""
    if standing.deadline is None:
        return standing.reason
    left_s = standing.deadline - now
    return f"{standing.reason}, {f'in {age(left_s)}' if left_s > 0 else 'now'}"
