"""The tasks of a storm: submitted one after the other, at a rate, whatever is broken just now."""

import asyncio
import random
import time
from dataclasses import dataclass

from diegod.client import Client
from diegod.client.tasks import task_definition
from diegod.models.errors import DomainError
from diegod.v1.definition_pb2 import TaskDefinition

ROOTFS = "preloaded:busybox"
_MEMORY_MB = 16
_AGAIN_S = 0.3
_GIVE_UP_S = 60.0


@dataclass(frozen=True)
class Wish:
    guid: str
    backend: str
    status: int
    lasts_s: float


class Work:
    def __init__(self, client: Client, count: int, rate: float, chance: random.Random) -> None:
        self._client = client
        self._rate = rate
        self.wishes = [_wish(number, chance) for number in range(count)]
        self.acknowledged: dict[str, float] = {}
        self.failed: dict[str, str] = {}

    async def submit_all(self) -> None:
        """Evenly over time; a task that is not taken yet does not hold up the next ones."""
        began = time.monotonic()
        errands = []
        for number, wish in enumerate(self.wishes):
            due = began + number / self._rate
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            errands.append(asyncio.create_task(self._submit(wish)))
        await asyncio.gather(*errands)

    async def _submit(self, wish: Wish) -> None:
        """Until it is known to be there: an equal definition under its guid is the same task."""
        give_up = time.monotonic() + _GIVE_UP_S
        while True:
            try:
                await self._client.tasks.desire(_definition(wish))
                self.acknowledged[wish.guid] = time.time()
                return
            except DomainError as error:
                if time.monotonic() > give_up:
                    self.failed[wish.guid] = str(error)
                    return
            await asyncio.sleep(_AGAIN_S)


def _wish(number: int, chance: random.Random) -> Wish:
    backend = chance.choice(("runc", "exec"))
    lasts_s = chance.choice((0.0, 0.1, 0.1, 0.5, 1.0))
    return Wish(f"storm-{number:05d}", backend, chance.choice((0,) * 9 + (3,)), lasts_s)


def _definition(wish: Wish) -> TaskDefinition:
    """Its first instruction writes its name: that is what starts are counted by."""
    script = f"echo {wish.guid}; sleep {wish.lasts_s:g}; exit {wish.status}"
    definition = task_definition(
        wish.guid, rootfs=ROOTFS, argv=["sh", "-c", script], memory_mb=_MEMORY_MB
    )
    definition.placement_tags.append(wish.backend)
    return definition
