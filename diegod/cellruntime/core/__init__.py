"""The pure core of a cell: `CellMachine.handle(event, now)` returns what is to be done.

Read `events.py` and `instructions.py` first (what comes in, what goes out), then `lifecycle.py`
(the states of a container), then `starting.py` and `ending.py` (the road up and the road down).
Nothing here does I/O, reads a clock, waits or logs: time is an argument, timers are data, and the
answer of an effect is the next event. Does not belong here: how an instruction is carried out
(`diegod.cellruntime.executor`), and when (`diegod.cellruntime.agent`).
"""

from diegod.cellruntime.core.machine import CellMachine

__all__ = ["CellMachine"]
