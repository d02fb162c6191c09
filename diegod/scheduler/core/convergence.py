"""`converge`: what has to be done so that what is becomes what was asked for.

A full pass is slices of the same function, so what a change brings about at once and what a pass
would find later are the same thing. Does not belong here: where work goes (`auction`).
"""

from collections.abc import Iterable, Iterator, Sequence

from diegod.scheduler.core.lrp_repairs import repair_process
from diegod.scheduler.core.mass_loss import Limits, mass_loss
from diegod.scheduler.core.repairs import Repairs, Sheet
from diegod.scheduler.core.snapshot import CELL, PROCESS, TASK, Key, Snapshot
from diegod.scheduler.core.task_repairs import repair_task

_DEFAULTS = Limits()


def converge(
    snapshot: Snapshot, keys: Iterable[Key], now: float, limits: Limits = _DEFAULTS
) -> Repairs:
    """The repairs of these tasks and processes, and of those on these cells."""
    sheet = Sheet(snapshot, now, limits, mass_loss(snapshot, now, limits))
    reviewed = _opened(snapshot, keys)
    for key in reviewed:
        if key.kind == PROCESS:
            repair_process(sheet, key.guid)
        elif (task := snapshot.tasks.get(key.guid)) is not None:
            repair_task(sheet, task)
    return Repairs(tuple(sheet.decisions), tuple(sheet.deadlines), reviewed, sheet.mass_loss)


def all_keys(snapshot: Snapshot, slice_size: int = 500) -> Iterator[Sequence[Key]]:
    """Everything there is at this moment, in slices that a caller can take breaks between."""
    keys = [Key(PROCESS, guid) for guid in snapshot.processes()]
    keys += [Key(TASK, guid) for guid in sorted(snapshot.tasks)]
    return (keys[at : at + slice_size] for at in range(0, len(keys), slice_size))


def _opened(snapshot: Snapshot, keys: Iterable[Key]) -> tuple[Key, ...]:
    """Each cell replaced by what is on it; each key once, in one order whatever came first."""
    opened: dict[Key, None] = {}
    for key in keys:
        for inner in snapshot.keys_on(key.guid) if key.kind == CELL else [key]:
            opened[inner] = None
    return tuple(sorted(opened))
