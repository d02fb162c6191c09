"""Convergence alone, in process: 250,000 instances on 1,000 cells, as a brain holds them.

Of the instances, 1 in 1,000 is not as it should be, one LRP has 10,000 of them, and one is in the
middle of an update. Slices are taken as a term takes them (`Pace`, `sliced`); nothing is carried
out. Beside it stands a bare loop over the rows, which reads three fields of each. Memory is what
the process has grown by.
"""

import gc
import resource
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from google.protobuf.timestamp_pb2 import Timestamp

from diegod.scheduler.core.convergence import all_keys, converge, converging, sliced
from diegod.scheduler.core.snapshot import CELL, Key, Snapshot
from diegod.scheduler.pace import HELD_S, Pace
from diegod.v1.definition_pb2 import UpdatePolicy
from diegod.v1.record_pb2 import (
    ActualLrp,
    Cell,
    Change,
    DesiredLrp,
    PlacementNeeds,
    Provenance,
    Resources,
    Rollout,
)
from tests.bench.report import percentile, ratio, row

_INSTANCES, _CELLS, _RUNS = 250_000, 1_000, 7
_LARGE, _USUAL = 10_000, 25  # instances of an LRP
_CHANGES_A_REPLY = 500
NOW = 1_000_000.0
_AT = Timestamp(seconds=int(NOW) - 3600)
NEEDS = PlacementNeeds(
    resources=Resources(memory_mb=128, disk_mb=256, containers=1),
    rootfs_provider="preloaded:busybox",
)


async def run() -> Iterator[str]:
    return iter(_measured())


def _measured() -> list[str]:
    before, snapshot, filling = _resident_mb(), Snapshot(), []
    for changes in _replies(_changes()):
        filling.append(_timed(lambda changes=changes: snapshot.apply_changes(changes)))
    gc.collect()
    memory_mb = _resident_mb() - before
    gc.freeze()  # the rows stay for as long as the brain does
    passes, longest, longest_cpu, bare = [], [], [], []
    for _ in range(_RUNS):
        slices = _pass_over(snapshot, all_keys(snapshot))
        passes.append(sum(slices))
        longest.append(max(slices))
        longest_cpu.append(max(_pass_over(snapshot, all_keys(snapshot), time.thread_time)))
        bare.append(_timed(lambda: _bare_loop(snapshot)))
    single = [_one_change(snapshot, number) for number in range(200)]
    lost = [max(_pass_over(snapshot, [Key(CELL, cell_name(n))])) for n in range(50)]
    filled = len(snapshot.instances)
    return [
        row(f"a full pass over {filled} instances on {_CELLS} cells", passes, 1.0, "s "),
        row("  its longest slice", longest),
        row("  its longest slice, CPU alone", longest_cpu),
        row("  a bare loop over the same rows", bare, 1.0, "s "),
        ratio("  the pass, beside the bare loop", _middle(passes), _middle(bare)),
        row("one change: taken up and converged", single),
        row("one cell: all that is on it, longest slice", lost),
        row(f"{_CHANGES_A_REPLY} changes taken up, as the brain begins", filling),
        f"memory: {memory_mb:.0f} MB, {memory_mb * 1024 / filled:.2f} KB an instance",
    ]


def _pass_over(
    snapshot: Snapshot, keys: Iterable[Key], clock: Callable[[], float] = time.perf_counter
) -> list[float]:
    """How long the loop is held each time, with breaks as a term takes them (`Breaks`): the making
    of a slice is part of it."""
    pace, taken = Pace(), []
    began = clock()
    for part in sliced(snapshot, keys, pace.rows):
        slice_began = clock()
        for _ in converging(snapshot, part, NOW):
            if (now := clock()) - began >= HELD_S:
                taken.append(now - began)
                began = clock()
        now = clock()
        pace.took(now - slice_began)
        taken.append(now - began)
        began = clock()
    return taken


def _one_change(snapshot: Snapshot, number: int) -> float:
    """An instance of an ordinary LRP becomes unroutable."""
    guid = next(iter(snapshot.rows_of(process_name(number)))).instance_guid
    changed = ActualLrp()
    changed.CopyFrom(snapshot.instances[guid])
    changed.routable = not changed.routable
    change = Change(verb=Change.CHANGED, actual_lrp=changed)

    def take_up() -> None:
        converge(snapshot, snapshot.apply_changes([change]).keys, NOW)

    return _timed(take_up)


def _bare_loop(snapshot: Snapshot) -> int:
    return sum(
        1
        for each in snapshot.instances.values()
        if each.state == ActualLrp.RUNNING and each.presence == ActualLrp.ORDINARY and each.cell_id
    )


def _changes() -> Iterator[Change]:
    for number in range(_CELLS):
        yield Change(verb=Change.CREATED, cell=a_cell(number))
    made = process = 0
    while made < _INSTANCES:
        count = min(_LARGE if process in (0, 1) else _USUAL, _INSTANCES - made)
        is_updated = process == 1
        yield Change(verb=Change.CREATED, desired_lrp=an_lrp(process, count, is_updated))
        for index in range(count):
            yield Change(verb=Change.CREATED, actual_lrp=an_instance(process, index, made + index))
        made += count
        process += 1


def _replies(changes: Iterator[Change]) -> Iterator[Sequence[Change]]:
    reply: list[Change] = []
    for change in changes:
        reply.append(change)
        if len(reply) == _CHANGES_A_REPLY:
            yield reply
            reply = []
    yield reply


def an_lrp(number: int, count: int, is_updated: bool) -> DesiredLrp:
    return DesiredLrp(
        process_guid=process_name(number),
        domain="default",
        instances=count,
        definition_revision=8 if is_updated else 7,
        needs=NEEDS,
        update=UpdatePolicy(max_in_flight=10),
        rollout=Rollout(state=Rollout.ROLLING if is_updated else Rollout.DONE, began_at=_AT),
        provenance=Provenance(revision=7, by="user/bench"),
    )


def an_instance(process: int, index: int, number: int) -> ActualLrp:
    is_crashed = number % 1000 == 999
    return ActualLrp(
        process_guid=process_name(process),
        index=index,
        domain="default",
        instance_guid=f"i{number:x}",
        state=ActualLrp.CRASHED if is_crashed else ActualLrp.RUNNING,
        crash_count=5 if is_crashed else 0,
        definition_revision=7,
        needs=NEEDS,
        cell_id="" if is_crashed else cell_name(number % _CELLS),
        routable=not is_crashed,
        since=Timestamp(seconds=int(NOW) - 10) if is_crashed else _AT,
        provenance=Provenance(revision=100 + number, by="cell/c", cause="it runs"),
    )


def a_cell(number: int) -> Cell:
    return Cell(
        cell_id=cell_name(number),
        zone=f"z{number % 3}",
        state=Cell.PRESENT,
        incarnation=1,
        capacity=Resources(memory_mb=1 << 20, disk_mb=1 << 20, containers=10_000),
        rootfs_providers=["preloaded:busybox"],
        since=_AT,
    )


def process_name(number: int) -> str:
    return f"process-{number:05}"


def cell_name(number: int) -> str:
    return f"cell-{number:04}"


def _timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _middle(samples: Sequence[float]) -> float:
    return percentile(samples, 0.5)


def _resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / (1 << 20)
