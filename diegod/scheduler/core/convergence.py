"""`converge`: what has to be done so that what is becomes what was asked for.

A full pass is slices of the same function, so what a change brings about at once and what a pass
would find later are the same thing. Does not belong here: where work goes (`auction`).
"""

from collections.abc import Callable, Collection, Iterable, Iterator

from diegod.models.mass_loss import mass_loss
from diegod.scheduler.core.breaks import Steps, in_one_go
from diegod.scheduler.core.decision import RowVersion
from diegod.scheduler.core.limits import Limits
from diegod.scheduler.core.lrps.process_repairs import repair_process
from diegod.scheduler.core.repairs import Repairs, Sheet
from diegod.scheduler.core.schedules import repair_schedule
from diegod.scheduler.core.snapshot import CELL, DOMAIN, PROCESS, SCHEDULE, TASK, Key, Snapshot
from diegod.scheduler.core.task_repairs import repair_task

_DEFAULTS = Limits()


def converge(
    snapshot: Snapshot,
    keys: Iterable[Key],
    now: float,
    limits: Limits = _DEFAULTS,
    tended_since: float = 0.0,
    sent: Collection[RowVersion] = (),
) -> Repairs:
    """The repairs of these tasks, processes and schedules, and of what is on these cells.
    `tended_since`: when the brain that asks took over; `sent`: what it has decided already and
    not yet seen happen."""
    return in_one_go(converging(snapshot, keys, now, limits, tended_since, sent))


def converging(
    snapshot: Snapshot,
    keys: Iterable[Key],
    now: float,
    limits: Limits = _DEFAULTS,
    tended_since: float = 0.0,
    sent: Collection[RowVersion] = (),
) -> Steps[Repairs]:
    """The same, step by step: also one process may be more than a brain can do in one go."""
    loss = mass_loss(snapshot.missing, snapshot.present_count, now, limits)
    sheet = Sheet(snapshot, now, limits, loss, tended_since, sent)
    reviewed = tuple(sorted(dict.fromkeys(opened(snapshot, keys))))
    for key in reviewed:
        yield
        if key.kind == PROCESS:
            yield from repair_process(sheet, key.guid)
        elif key.kind == TASK and (task := snapshot.tasks.get(key.guid)) is not None:
            repair_task(sheet, task)
        elif key.kind == SCHEDULE:
            repair_schedule(sheet, key.guid)
    decisions, deadlines = tuple(sheet.decisions), tuple(sheet.deadlines)
    return Repairs(decisions, deadlines, reviewed, sheet.mass_loss, tuple(sheet.troubles))


def all_keys(snapshot: Snapshot) -> Iterator[Key]:
    """Everything there is at this moment, in an order that two brains share who saw the same feed.

    Not sorted: that alone would take longer than a brain may hold its loop.
    """
    processes, leftovers, tasks = list(snapshot.desired), snapshot.started(), list(snapshot.tasks)
    schedules = list(snapshot.schedules)
    yield from (Key(PROCESS, guid) for guid in processes)
    yield from (Key(PROCESS, guid) for guid in leftovers if guid not in snapshot.desired)
    yield from (Key(TASK, guid) for guid in tasks)
    yield from (Key(SCHEDULE, name) for name in schedules)


def sliced(snapshot: Snapshot, keys: Iterable[Key], rows: Callable[[], int]) -> Iterator[list[Key]]:
    """The keys, each once, in slices that weigh about `rows()` rows each: a caller takes breaks in
    between, and says anew each time how much it can take. There is always one, if an empty one: a
    mass loss ends by time alone, and every slice looks at it."""
    part: list[Key] = []
    weight, limit = 0, rows()
    seen: set[Key] = set()
    for key in opened(snapshot, keys):
        if key in seen:
            continue
        seen.add(key)
        part.append(key)
        weight += 1 + snapshot.instance_count(key.guid) if key.kind == PROCESS else 1
        if weight >= limit:
            yield part
            part, weight, limit = [], 0, rows()
    if part or not seen:
        yield part


def opened(snapshot: Snapshot, keys: Iterable[Key]) -> Iterator[Key]:
    """Each cell replaced by what is on it and by what may want to be on it, each domain by what its
    freshness decides about; a key may come more than once."""
    for key in keys:
        if key.kind == CELL:
            yield from snapshot.keys_on(key.guid)
            yield from (Key(PROCESS, guid) for guid in list(snapshot.everywhere))
        elif key.kind == DOMAIN:
            yield from snapshot.unsure_in(key.guid)
        else:
            yield key
