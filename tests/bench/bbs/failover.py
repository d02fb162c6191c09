"""The leader is killed; how long until the next write is acknowledged."""

import time
import uuid
from collections.abc import Sequence

from tests.bench.bbs.side import Side
from tests.bench.bbs.table import Row
from tests.bench.bbs.writes import side_row
from tests.bench.report import percentile


async def run(sides: Sequence[Side], times: int) -> dict[str, list[float]]:
    taken: dict[str, list[float]] = {side.name: [] for side in sides}
    for _ in range(times):
        for side in sides:
            taken[side.name].append(await _once(side))
    return taken


async def _once(side: Side) -> float:
    leader = await side.leader()
    await side.put(str(uuid.uuid4()))  # the client knows the leader
    began = time.perf_counter()
    await side.kill(leader)
    await side.put(str(uuid.uuid4()))
    taken_s = time.perf_counter() - began
    await side.restart(leader)
    await side.whole()
    return taken_s


def rows(part: str, taken: dict[str, list[float]]) -> list[Row]:
    times = max(len(each) for each in taken.values())
    title = f"leader killed to next write acknowledged, {times} times"
    p50 = {name: percentile(each, 0.5) for name, each in taken.items()}
    p99 = {name: percentile(each, 0.99) for name, each in taken.items()}
    return [
        side_row(part, f"{title}, p50", "s", p50),
        side_row(part, "  p99", "s", p99, goal=2.0),
    ]
