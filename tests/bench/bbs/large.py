"""A large state: memory, restart, a full list, and a member that was away for too long.

Ours holds LRPs, in a cluster of its own; etcd the rows that the other parts have left in it.
"""

import asyncio
import time

from tests.bench.bbs.ours import Ours
from tests.bench.bbs.processes import rss_anon_mb
from tests.bench.bbs.side import Side
from tests.bench.bbs.table import Row
from tests.bench.bbs.writes import IN_FLIGHT, in_flight, new_keys, side_row
from tests.bench.report import percentile

_WRITERS = 4  # so few that nearly each write is an entry of the log
_BEFORE_WRITES = 300
_LIMIT_S = 120.0


async def run(part: str, ours: Ours, theirs: Side | None, rows: int) -> list[Row]:
    await in_flight(ours.put_lrp, new_keys(rows), IN_FLIGHT)
    sides: list[Side] = [ours, *([theirs] if theirs else [])]
    memory = {side.name: _largest(side) for side in sides}
    restart = {side.name: await _restarted(side) for side in sides}
    listed = {}
    for side in sides:
        began = time.perf_counter()
        found = await (ours.list_lrps() if side is ours else side.list_all())
        assert found >= rows, f"{side.name} lists {found} of {rows} rows"
        listed[side.name] = time.perf_counter() - began
    title = f"{rows:,} LRP rows"
    return [
        side_row(part, f"{title}: RssAnon of the largest member", "MB", memory, goal=300.0),
        side_row(part, "  a follower restarted, to its first read", "s", restart, goal=5.0),
        side_row(part, "  full list through gRPC", "s", listed, goal=10.0),
        *await _caught_up(part, ours),
    ]


def _largest(side: Side) -> float:
    return max(rss_anon_mb(side.pid(member)) for member in side.members)


async def _restarted(side: Side) -> float:
    leader = await side.leader()
    follower = next(member for member in side.members if member != leader)
    await side.kill(follower)
    began = time.perf_counter()
    await side.restart(follower)
    taken_s = time.perf_counter() - began
    await side.whole()
    return taken_s


async def _caught_up(part: str, ours: Ours) -> list[Row]:
    """A member whose next entry is no longer in any log gets the leader's state."""
    leader = await ours.leader()
    follower = next(member for member in ours.members if member != leader)
    before = await _samples(ours, _BEFORE_WRITES)
    _, behind = await ours.log_range(follower)
    await ours.kill(follower)
    await _cut_log(ours, leader, behind)
    began = time.perf_counter()
    catching_up = asyncio.create_task(_whole_again(ours, follower))
    meanwhile = await _samples_until(ours, catching_up)
    taken_s = time.perf_counter() - began
    before_ms, meanwhile_ms = percentile(before, 0.99) * 1e3, percentile(meanwhile, 0.99) * 1e3
    return [
        Row(part, "  a far-behind member caught up", "s", taken_s, goal=20.0),
        Row(part, "    write p99 before", "ms", before_ms),
        Row(part, "    write p99 meanwhile", "ms", meanwhile_ms),
        Row(part, "    meanwhile / before", "×", meanwhile_ms / before_ms, goal=3.0),
    ]


async def _whole_again(ours: Ours, follower: str) -> None:
    """Until it answers a linearizable read: by then it has all that was written before that."""
    async with asyncio.timeout(_LIMIT_S):
        await ours.restart(follower)


async def _cut_log(ours: Ours, leader: str, behind: int) -> None:
    """Write until the leader's log begins after what the stopped member has."""
    while (await ours.log_range(leader))[0] <= behind:
        await in_flight(ours.put_lrp, new_keys(500), _WRITERS)


async def _samples(ours: Ours, writes: int) -> list[float]:
    return [await _timed(ours) for _ in range(writes)]


async def _samples_until(ours: Ours, done: "asyncio.Task[None]") -> list[float]:
    samples: list[float] = []
    while not done.done():
        samples.append(await _timed(ours))
    done.result()
    return samples


async def _timed(ours: Ours) -> float:
    began = time.perf_counter()
    await ours.put_lrp(new_keys(1)[0])
    return time.perf_counter() - began
