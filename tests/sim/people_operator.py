"""The operator of the machines: cordons, drains with a deadline, removes what is lost."""

import asyncio
import random
from typing import TYPE_CHECKING

from diegod.v1 import cell_pb2

if TYPE_CHECKING:
    from tests.sim.ring import Ring
    from tests.sim.workload import Workload

_Control = cell_pb2.ControlCellRequest
#: Of all cells, those that may be without new work at a time.
_CLOSED_MAX = 0.34
DRAIN_MS = (4_000, 25_000)
#: So many drains are called off while what is there is still being replaced.
_CALLED_OFF = 0.3


class PeopleOfCells:
    def __init__(self, ring: "Ring", workload: "Workload") -> None:
        self._ring = ring
        self._workload = workload
        self._chance: random.Random = ring.chance("operator")
        self.closed: dict[str, None] = {}

    async def run(self, until_s: float) -> None:
        chance = self._chance
        while self._workload.now() < until_s:
            await asyncio.sleep(chance.uniform(2.0, 8.0))
            room = len(self.closed) < _CLOSED_MAX * len(self._ring.cells)
            if room and chance.random() < 0.6:
                cell = chance.choice(self._ring.cells)
                self.closed[cell.name] = None
                verb = chance.choice((_Control.DRAIN, _Control.DRAIN, _Control.CORDON))
                await self._control(cell.name, verb, chance.randint(*DRAIN_MS))
                if verb == _Control.DRAIN and chance.random() < _CALLED_OFF:
                    await asyncio.sleep(chance.uniform(0.1, 1.2))
                    await self._open(cell.name)
            elif self.closed and chance.random() < 0.7:
                name = chance.choice(list(self.closed))
                await self._open(name)
            await self._give_up_lost()

    async def settle(self) -> None:
        """Most of them take work again; who has no machine any more is no cell any more."""
        for name in list(self.closed):
            if self._chance.random() < 0.8:
                await self._open(name)
        for cell in self._ring.cells:
            if not cell.may_live:
                verb = self._chance.choice((_Control.REMOVE, _Control.ACCEPT_LOSS))
                await self._control(cell.name, verb)

    async def _give_up_lost(self) -> None:
        """Refused while the BBS thinks that it is there; it may come back all the same."""
        lost = [cell.name for cell in self._ring.cells if not cell.is_up and not cell.host.specs()]
        if lost and self._chance.random() < 0.5:
            verb = self._chance.choice((_Control.REMOVE, _Control.REMOVE, _Control.ACCEPT_LOSS))
            await self._control(lost[0], verb)

    async def _open(self, name: str) -> None:
        self.closed.pop(name)
        await self._control(name, _Control.UNCORDON)

    async def _control(self, name: str, verb: "_Control.Verb", deadline_ms: int = 0) -> None:
        request = _Control(cell_id=name, verb=verb)
        if verb == _Control.DRAIN:
            request.deadline_ms = deadline_ms
        await self._workload.call("Cell", "Control", request)
        self._ring.counts[f"cell {_Control.Verb.Name(verb).lower()}"] += 1
