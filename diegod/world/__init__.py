"""The outside that decisions must not reach for: clock, randomness, ids.

Everything non-deterministic is handed in from here, so that a whole cluster can run on a virtual
clock from one seed. Does not belong here: network, disk, processes (each role's ports name those).
"""

from diegod.world.clock import Clock, SystemClock
from diegod.world.ids import Ids, RandomIds

__all__ = ["Clock", "Ids", "RandomIds", "SystemClock"]
