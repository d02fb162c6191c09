"""A machine is lost: a cell's agent and all its containers at once. Its instances are replaced."""

import time
from collections.abc import Sequence

from diegod.v1.record_pb2 import ActualLrp, Cell
from tests.demo import processes
from tests.demo.cluster import Container
from tests.demo.evidence import answers, containers_of, require_one_start
from tests.demo.instances import name
from tests.demo.report import NotSeen
from tests.demo.stage import Stage

_CELL = "cell-2"
_LEASE_S = 10.0
_REPLACED_S = _LEASE_S + 2.0
_GONE_S = 2.0


async def run(stage: Stage) -> None:
    instances = stage.instances
    lost = [row for row in instances.serving() if row.cell_id == _CELL]
    if not lost:
        raise NotSeen(f"{_CELL} has no instance that could be lost: {instances}")
    await stage.sabotage("machine")
    began = time.monotonic()
    await _lose(stage, lost)

    def is_replaced() -> bool:
        rows = instances.serving()
        return len(rows) == 3 and all(row.cell_id != _CELL for row in rows)

    left_s = began + _REPLACED_S - time.monotonic()
    await instances.until(is_replaced, left_s, f"not replaced within {_REPLACED_S:g} s")
    seconds = time.monotonic() - began
    served = await answers(instances.serving())
    containers = await containers_of(stage.cluster, instances.serving())
    stage.report.seen(
        f"kill -9 {_CELL} with its containers → all replaced",
        seconds,
        lost=[row.instance_guid for row in lost],
        answers=[answer.says for answer in served],
        pids=[one.process.pid for one in containers],
    )
    for row in lost:
        stage.report.seen(_course(stage, row, began))
    await _comes_back(stage)


async def _lose(stage: Stage, lost: Sequence[ActualLrp]) -> None:
    """The agent first, so that it can't tell of the others' end; then all the others."""
    doomed = await _inhabitants(stage)
    for row in lost:
        stage.traffic.expect_failures_of(row.instance_guid)
    await stage.cluster.kill(_CELL)
    for process in doomed:
        process.kill()
    for process in doomed:
        if not await process.gone(_GONE_S):
            raise NotSeen(f"pid {process.pid} is still there after kill -9: {process.command}")


async def _inhabitants(stage: Stage) -> list[processes.Process]:
    """Whoever would be gone with the machine, besides the agent: conmon, and the programs."""
    keepers = processes.about(stage.cluster.data(_CELL))
    containers: dict[str, Container] = await stage.cluster.containers(_CELL)
    return [*keepers, *(one.process for one in containers.values())]


def _course(stage: Stage, row: ActualLrp, began: float) -> str:
    """When an instance became suspect, and when its replacement ran: as the feed told it."""
    since = [told for told in stage.instances.told if told.at >= began and not told.removed]
    suspect = [
        told.at
        for told in since
        if told.row.instance_guid == row.instance_guid and told.row.presence == ActualLrp.SUSPECT
    ]
    running = [
        told
        for told in since
        if told.row.index == row.index
        and told.row.instance_guid != row.instance_guid
        and told.row.state == ActualLrp.RUNNING
    ]
    if not suspect or not running:
        raise NotSeen(f"{name(row)} was never SUSPECT, or no other RUNNING in its place")
    where = running[0].row.cell_id
    return (
        f"+{suspect[0] - began:.1f} s  {name(row)} SUSPECT     "
        f"+{running[0].at - began:.1f} s  {name(row)} RUNNING on {where}"
    )


async def _comes_back(stage: Stage) -> None:
    """The cell is one of the ring again, without what it lost; nothing was run twice for it."""
    began = time.monotonic()
    await stage.cluster.start_part(_CELL)
    seconds = time.monotonic() - began
    cell = await stage.client.cells.get(_CELL)
    old = await stage.cluster.containers(_CELL)
    if cell.cell.state != Cell.PRESENT or old:
        raise NotSeen(f"{_CELL} is back with {sorted(old)}, state {cell.cell.state}")
    for guid, line in stage.task_lines.items():
        require_one_start(stage.cluster, guid, line)
    stage.report.seen(f"{_CELL} started again, without them; tasks still started once", seconds)
