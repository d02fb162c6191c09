"""On what the whole system is told its story: how many cells, in which zones, and how large.

Drawn from the seed before anything begins. Most seeds have few cells, so that each of them matters
to many; some have many, and in some there is hardly room for what is wanted.
"""

import random
from dataclasses import dataclass

FEW, SOME, MANY = (5, 8), (9, 16), (20, 50)
_SIZES = ((FEW, 82), (SOME, 14), (MANY, 4))
_CROWDED = 0.3
ZONES = 3


@dataclass(frozen=True)
class CellPlan:
    """One cell: where it stands, and what it can hold."""

    name: str
    zone: str
    memory_mb: int
    containers: int
    tags: tuple[str, ...] = ()


def plan_cells(chance: random.Random) -> list[CellPlan]:
    """All cells of one seed."""
    low, high = chance.choices([size for size, _ in _SIZES], [weight for _, weight in _SIZES])[0]
    number, is_crowded = chance.randint(low, high), chance.random() < _CROWDED
    return [_plan(f"cell-{index:02}", chance, is_crowded) for index in range(number)]


def _plan(name: str, chance: random.Random, is_crowded: bool) -> CellPlan:
    memory_mb = chance.choice((192, 256, 320) if is_crowded else (512, 768, 1024))
    containers = chance.choice((3, 4, 5) if is_crowded else (6, 8, 10))
    tags = ("fast",) if chance.random() < 0.3 else ()
    return CellPlan(name, f"z{chance.randint(1, ZONES)}", memory_mb, containers, tags)
