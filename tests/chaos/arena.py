"""What faults are done to: the members, their network and disks, and how to wait for them."""

import asyncio
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tests.chaos.members import Member
from tests.chaos.network import Network
from tests.chaos.site import Site
from tests.chaos.tower import Tower

_LOOK_S = 0.05


@dataclass(frozen=True)
class Arena:
    site: Site
    network: Network
    members: Mapping[str, Member]
    tower: Tower
    complaints: list[str]
    chance: random.Random
    seed: int

    def others(self, member: str) -> list[str]:
        return [each for each in self.members if each != member]

    def addresses(self, members: Sequence[str]) -> list[str]:
        return [self.network.addresses[each] for each in members]

    def some_member(self, share_of_leader: float) -> str:
        """More often than not the leader, where one is known."""
        leader = self.tower.leader()
        if leader and self.chance.random() < share_of_leader:
            return leader
        return self.chance.choice(list(self.members))

    async def restart(self, member: str, failpoint: str = "") -> None:
        """Killed if it runs; returns when it is ready. The caller holds it."""
        await self.members[member].kill()
        await self.members[member].start(failpoint)
        await self.members[member].ready()


async def seen_within(look: Callable[[], bool], within_s: float) -> bool:
    """Whether it was seen by then. Looks often."""
    give_up = time.monotonic() + within_s
    while not look():
        if time.monotonic() > give_up:
            return False
        await asyncio.sleep(_LOOK_S)
    return True
