"""A cell's agent is killed, its containers live on, and the next agent finds them."""

import asyncio
import time

from diegod.v1.record_pb2 import ActualLrp, Cell
from tests.demo.evidence import answers, containers_of
from tests.demo.report import NotSeen
from tests.demo.stage import Stage

_CELL = "cell-2"
_AWAY_S = 1.0


async def run(stage: Stage) -> None:
    rows = stage.instances.serving()
    before = await containers_of(stage.cluster, rows)
    its_own = [row for row in rows if row.cell_id == _CELL]
    began = time.monotonic()
    killed = await stage.cluster.kill(_CELL)
    served = await answers(its_own)
    await asyncio.sleep(_AWAY_S)  # requests go on, with nobody there to look after the containers
    await stage.sabotage("traffic")
    await stage.sabotage("agent")
    started = await stage.cluster.start_part(_CELL)
    seconds = time.monotonic() - began
    after = await containers_of(stage.cluster, rows)
    if after != before:
        raise NotSeen("containers have other processes than before")
    _require_no_restart(rows, stage.instances.serving())
    cell = await stage.client.cells.get(_CELL)
    if cell.cell.state != Cell.PRESENT:
        raise NotSeen(f"{_CELL} is not PRESENT again")
    stage.report.seen(
        f"kill -9 {_CELL}'s agent, start it again → same pids, 0 restarts",
        seconds,
        agent=[killed.pid, started.pid],
        answered_meanwhile=[answer.says for answer in served],
        pids=[one.process.pid for one in after],
        instance_guids=[row.instance_guid for row in rows],
    )


def _require_no_restart(before: list[ActualLrp], after: list[ActualLrp]) -> None:
    def lives(rows: list[ActualLrp]) -> list[tuple[str, int]]:
        return [(row.instance_guid, row.crash_count) for row in rows]

    if lives(before) != lives(after):
        raise NotSeen(f"instances were replaced or restarted: {lives(before)} → {lives(after)}")
