"""What goes wrong when: one fault or two at a time, chosen by a seed, each written down.

Kinds are drawn like cards from a deck, so that each comes up before any comes twice.
"""

import asyncio
import math
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass

from tests.chaos import faults, persistence
from tests.chaos.arena import Arena
from tests.chaos.faults import Fault

ALL_FAULTS: Sequence[type[Fault]] = (*faults.FAULTS, *persistence.FAULTS)
KINDS = tuple(each.kind for each in ALL_FAULTS)
QUIET_S = (1.0, 5.0)
LEADER_SHARE = 0.7
_PAIR_SHARE = 0.4


@dataclass(frozen=True)
class Event:
    """A fault that was injected; `seen` is empty where nothing showed that it took place."""

    kind: str
    target: str
    led: bool
    began_s: float
    ended_s: float
    seen: str


class Deck:
    """Kinds in random order, all of them before any comes again."""

    def __init__(self, kinds: Sequence[type[Fault]], chance: random.Random) -> None:
        self._kinds = list(kinds)
        self._chance = chance
        self._left: list[type[Fault]] = []

    def draw(self) -> list[type[Fault]]:
        """One, or two that bear one another's company."""
        first = self._next()
        if not first.bears_company or self._chance.random() > _PAIR_SHARE:
            return [first]
        second = self._next()
        if second.bears_company and second is not first:
            return [first, second]
        self._left.append(second)
        return [first]

    def _next(self) -> type[Fault]:
        if not self._left:
            self._left = list(self._kinds)
            self._chance.shuffle(self._left)
        return self._left.pop()


class Nemesis:
    def __init__(self, arena: Arena, kinds: Sequence[type[Fault]]) -> None:
        self._arena = arena
        self._deck = Deck(kinds, arena.chance)
        self.events: list[Event] = []

    @property
    def observed(self) -> int:
        return sum(bool(event.seen) for event in self.events)

    async def strike(self) -> None:
        """Once: quiet, then what was drawn, for as long as it lasts, until it is over."""
        await asyncio.sleep(self._arena.chance.uniform(*QUIET_S))
        chosen: list[Fault] = []
        for kind in self._deck.draw():
            target = self._target(kind, chosen)
            chosen.append(kind(self._arena, target))
        await asyncio.gather(*(self._carry_out(fault) for fault in chosen))

    def _target(self, kind: type[Fault], chosen: Sequence[Fault]) -> str:
        """Two faults of one time are aimed at two members."""
        arena = self._arena
        taken = [fault.target for fault in chosen]
        target = arena.some_member(LEADER_SHARE)
        return target if target not in taken else arena.chance.choice(arena.others(target))

    async def _carry_out(self, fault: Fault) -> None:
        began = time.monotonic()
        lasts_s = _between(self._arena.chance, *fault.lasts_s)
        try:
            await fault.begin()
            await asyncio.sleep(lasts_s)
        finally:
            await fault.end()
        ended = time.monotonic()
        self.events.append(Event(fault.kind, fault.target, fault.led, began, ended, fault.seen))


def _between(chance: random.Random, least: float, most: float) -> float:
    """Often short, seldom long: evenly by the logarithm."""
    if least <= 0:
        return chance.uniform(least, most)
    return math.exp(chance.uniform(math.log(least), math.log(most)))
