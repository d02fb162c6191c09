"""`python -m tests.mutants.chance NAME WORLD SEEDS`: the first seed that finds a mutant.

Prints one line of JSON: the number of seeds that were needed (null: none found it), what was found,
and how often the mutant was reached.
"""

import json
import sys
from collections.abc import Callable

from tests.mutants.surgery import Surgery
from tests.mutants.table import MUTANTS
from tests.sim import bbs
from tests.sim.raft_faults import STORM_FAULTS, STORM_LIMITS, STORM_TIMING, Faults
from tests.sim.raft_member import disks
from tests.sim.raft_world import World
from tests.sim.ring import simulate

_SECONDS = 15.0


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


def search(world: str, seeds: int) -> tuple[int | None, str]:
    """How many seeds it took, and what was found."""
    for seed in range(1, seeds + 1):
        if violations := WORLDS[world](seed):
            return seed, violations[0]
    return None, ""


def main(name: str, world: str, seeds: str) -> None:
    surgery = Surgery()
    MUTANTS[name].install(surgery)
    needed, what = search(world, int(seeds))
    print(json.dumps({"needed": needed, "says": what[:300], "reached": surgery.reached}))


if __name__ == "__main__":
    main(*sys.argv[1:])
