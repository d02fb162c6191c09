"""`python -m tests.mutants.chance NAME WORLD SEEDS`: the first seed that finds a mutant.

Prints one line of JSON: the number of seeds that were needed (null: none found it), what was found,
how often the mutant was reached, and seeds that say nothing, since they find the same without it.
"""

import json
import sys
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass

from tests.mutants.mutant import Mutant
from tests.mutants.surgery import Surgery
from tests.mutants.table import MUTANTS
from tests.sim import bbs
from tests.sim.raft_faults import STORM_FAULTS, STORM_LIMITS, STORM_TIMING, Faults
from tests.sim.raft_member import disks
from tests.sim.raft_world import World
from tests.sim.ring import simulate

_SECONDS = 15.0


@dataclass(frozen=True)
class Hunt:
    """What seeds found of one mutant."""

    needed: int | None
    says: str
    reached: int
    unsound: list[int]


def _raft(seed: int) -> list[str]:
    """Three members, and five in every fourth seed."""
    with disks() as folder:
        members = 5 if seed % 4 == 0 else 3
        return World(seed, folder, members=members).run(_SECONDS).violations


def _storms(seed: int) -> list[str]:
    """Logs so short that members are far behind all the time."""
    with disks() as folder:
        world = World(seed, folder, limits=STORM_LIMITS, timing=STORM_TIMING)
        return world.run(_SECONDS, STORM_FAULTS if seed % 2 else Faults()).violations


def _ring(seed: int) -> list[str]:
    return simulate(seed).violations


def _bbs(seed: int) -> list[str]:
    """The bulletin board alone, with scripts for everybody who speaks to it."""
    return bbs.simulate(seed).violations


WORLDS: dict[str, Callable[[int], list[str]]] = {
    "raft": _raft,
    "storms": _storms,
    "ring": _ring,
    "bbs": _bbs,
}


def search(world: str, seeds: Iterable[int]) -> tuple[int | None, str]:
    """The first seed that finds something, and what it finds."""
    for seed in seeds:
        if violations := WORLDS[world](seed):
            return seed, violations[0]
    return None, ""


def hunt(mutant: Mutant, world: str, seeds: int) -> Hunt:
    """A seed in which the product itself breaks a promise finds nothing: it is told apart."""
    surgery, unsound, tried = Surgery(), [], 0
    while True:
        mutant.install(surgery)
        try:
            needed, what = search(world, range(tried + 1, seeds + 1))
        finally:
            surgery.undo()
        if needed is None or not WORLDS[world](needed):
            return Hunt(needed, what, surgery.reached, unsound)
        unsound.append(needed)
        tried = needed


def main(name: str, world: str, seeds: str) -> None:
    found = hunt(MUTANTS[name], world, int(seeds))
    print(json.dumps(asdict(found) | {"says": found.says[:300]}))


if __name__ == "__main__":
    main(*sys.argv[1:])
