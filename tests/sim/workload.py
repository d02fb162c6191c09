"""What people do meanwhile, all of them through one client: the sum of the `people_*` modules.

Each keeps a list of what it was told. A write that was acknowledged must be there in the end. One
whose outcome is unknown, or that was tried for so long that an earlier try may still be on its way,
may take effect at any time: it is one of the states that are possible.
"""

import asyncio
from typing import TYPE_CHECKING, Any

from diegod.models.errors import DomainError, Reason
from diegod.raftbbs.store.state import StateView
from diegod.rpc.client import ClusterClient
from tests.sim.people_lrps import DesiredProcess, PeopleOfLrps
from tests.sim.people_operator import PeopleOfCells
from tests.sim.people_schedules import PeopleOfSchedules
from tests.sim.people_tasks import DesiredTask, PeopleOfTasks, task_definition

if TYPE_CHECKING:
    from tests.sim.ring import Ring

__all__ = ["Workload", "task_definition"]

#: A call that took this long may have been tried more than once.
_ONE_TRY_S = 2.9


class Workload:
    def __init__(self, ring: "Ring", client: ClusterClient) -> None:
        self._ring = ring
        self.client = client
        self.of_tasks = PeopleOfTasks(ring, self)
        self.of_lrps = PeopleOfLrps(ring, self)
        self.of_cells = PeopleOfCells(ring, self)
        self.of_schedules = PeopleOfSchedules(ring, self)
        self.acknowledged = 0
        self.unknown = 0

    @property
    def tasks(self) -> dict[str, DesiredTask]:
        return self.of_tasks.tasks

    @property
    def processes(self) -> dict[str, DesiredProcess]:
        return self.of_lrps.processes

    async def run(self, until_s: float) -> None:
        """Everything, until the faults end."""
        people = (self.of_tasks, self.of_lrps, self.of_cells, self.of_schedules)
        await asyncio.gather(*(each.run(until_s) for each in people))

    async def settle(self) -> None:
        """The last words of all, when the faults are over: what can't work is set right."""
        await asyncio.gather(self.of_lrps.settle(), self.of_cells.settle())

    async def probe(self) -> None:
        """One write."""
        await self.of_tasks.desire("probe", task_definition("probe", "runs=0.1"))

    def check(self, state: StateView) -> None:
        """Whether everything that was acknowledged is there."""
        self.of_tasks.check(state)
        self.of_lrps.check(state)

    async def call(self, service: str, verb: str, request: Any) -> tuple[Any, bool]:
        """The reply or the refusal; and whether nothing of it can still be on its way."""
        began = self.now()
        try:
            reply = await self.client.call(f"diegod.v1.{service}Service/{verb}", request)
        except DomainError as error:
            if verb == "Desire" and error.reason is Reason.INVALID_REQUEST:
                self._ring.complain(f"what people say is not legal: {error}")
            self.unknown += error.reason is Reason.UNKNOWN_OUTCOME
            self._ring.counts[f"refused: {service} {verb}"] += error.applied == "no"
            return error, error.applied == "no" and self.now() - began < _ONE_TRY_S
        self.acknowledged += 1
        self._ring.counts[f"{service} {verb}"] += 1
        return reply, self.now() - began < _ONE_TRY_S

    def now(self) -> float:
        return self._ring.loop.time()
