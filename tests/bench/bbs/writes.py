"""Writes: many at once, 256 in flight, and one alone; on both sides in turns."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing

from tests.bench.bbs.processes import Spent, meters
from tests.bench.bbs.side import Side
from tests.bench.bbs.sizes import Sizes
from tests.bench.bbs.table import Row
from tests.bench.report import percentile

IN_FLIGHT = 256
_FILL_TURN = 10_000
_WATCH_CHANNEL = 1
_DELIVERY_LIMIT_S = 10.0


def new_keys(count: int) -> list[str]:
    return [str(uuid.uuid4()) for _ in range(count)]


async def fill(sides: Sequence[Side], rows: int) -> None:
    """Rows that are there before anything is measured."""
    for start in range(0, rows, _FILL_TURN):
        for side in sides:
            await side.put_many(new_keys(min(_FILL_TURN, rows - start)))


async def bulk(sides: Sequence[Side], sizes: Sizes) -> dict[str, Spent]:
    taken = meters(sides)
    for _ in range(sizes.rounds):
        for side in sides:
            with taken[side.name]:
                await side.put_many(new_keys(sizes.bulk))
    return {name: meter.spent for name, meter in taken.items()}


async def singles(sides: Sequence[Side], sizes: Sizes) -> dict[str, Spent]:
    taken = meters(sides)
    for _ in range(sizes.rounds):
        for side in sides:
            with taken[side.name]:
                await in_flight(side.put, new_keys(sizes.singles), IN_FLIGHT)
    return {name: meter.spent for name, meter in taken.items()}


async def in_flight(put: Callable[[str], object], keys: Sequence[str], many: int) -> None:
    """Each of `many` writers writes its next when its last is acknowledged."""
    left = iter(keys)

    async def writer() -> None:
        for key in left:
            await put(key)  # type: ignore[misc]

    async with asyncio.TaskGroup() as group:
        for _ in range(many):
            group.create_task(writer())


class Lone:
    """One write at a time: until it is acknowledged, and until a watcher on a follower has it."""

    def __init__(self) -> None:
        self.acknowledged: dict[str, list[float]] = {}
        self.visible: dict[str, list[float]] = {}
        self.client_s: dict[str, float] = {}

    async def run(self, sides: Sequence[Side], count: int) -> None:
        watches = {side.name: await _Watch.begin(side) for side in sides}
        for side in sides:
            self.acknowledged[side.name], self.visible[side.name] = [], []
            self.client_s[side.name] = 0.0
        try:
            for _ in range(count):
                for side in sides:
                    await self._write(side, watches[side.name])
        finally:
            for watch in watches.values():
                await watch.end()

    async def _write(self, side: Side, watch: "_Watch") -> None:
        key = str(uuid.uuid4())
        seen = watch.expect(key)
        client_s, began = time.process_time(), time.perf_counter()
        await side.put(key)
        self.acknowledged[side.name].append(time.perf_counter() - began)
        async with asyncio.timeout(_DELIVERY_LIMIT_S):
            self.visible[side.name].append(await seen - began)
        self.client_s[side.name] += time.process_time() - client_s


class _Watch:
    """A watcher on a follower, and when it saw what."""

    def __init__(self) -> None:
        self._expected: dict[str, asyncio.Future[float]] = {}

    @classmethod
    async def begin(cls, side: Side) -> "_Watch":
        watch = cls()
        leader = await side.leader()
        follower = next(member for member in side.members if member != leader)
        begun = asyncio.Event()
        keys = side.follow(follower, "", _WATCH_CHANNEL)
        watch._task = asyncio.create_task(watch._listen(keys, begun))
        await begun.wait()
        return watch

    _task: "asyncio.Task[None]"

    def expect(self, key: str) -> "asyncio.Future[float]":
        self._expected[key] = asyncio.get_running_loop().create_future()
        return self._expected[key]

    async def end(self) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])

    async def _listen(self, keys: AsyncIterator[str], begun: asyncio.Event) -> None:
        async with aclosing(keys) as source:  # type: ignore[type-var]
            async for key in source:
                begun.set()
                expected = self._expected.pop(key, None)
                if expected is not None and not expected.done():
                    expected.set_result(time.perf_counter())


def bulk_rows(part: str, found: dict[str, Spent], count: int, seen: float | None) -> list[Row]:
    rates = {name: count / spent.wall_s for name, spent in found.items()}
    means = {name: spent.member_s / count * 1e6 for name, spent in found.items()}
    busiest = {name: spent.busiest_s / count * 1e6 for name, spent in found.items()}
    client = {name: spent.client_s / count * 1e6 for name, spent in found.items()}
    return [
        _row(part, "bulk: writes a second, one client", "1/s", rates, seen, True, goal_ratio=1.0),
        _row(part, "  CPU of the busiest member a record", "µs", busiest, goal=25.0),
        _row(part, "  CPU of the mean member a record", "µs", means),
        _row(part, "  CPU of the client a record", "µs", client),
    ]


def single_rows(part: str, found: dict[str, Spent], count: int, seen: float | None) -> list[Row]:
    rates = {name: count / spent.wall_s for name, spent in found.items()}
    means = {name: spent.member_s / count * 1e6 for name, spent in found.items()}
    client = {name: spent.client_s / count * 1e6 for name, spent in found.items()}
    title = f"single writes, {IN_FLIGHT} in flight"
    return [
        _row(part, f"{title}: a second", "1/s", rates, seen, True),
        _row(part, "  CPU of the mean member a record", "µs", means),
        _row(part, "  CPU of the client a record", "µs", client),
    ]


def lone_rows(
    part: str, lone: Lone, seen_p50_ms: float | None, seen_rate: float | None
) -> list[Row]:
    rows = []
    kinds = (
        ("a lone write, acknowledged", lone.acknowledged),
        ("  and visible to a watcher on a follower", lone.visible),
    )
    for name, samples in kinds:
        for share, label in ((0.5, "p50"), (0.99, "p99")):
            found = {side: percentile(each, share) * 1e3 for side, each in samples.items()}
            is_first = label == "p50" and samples is lone.acknowledged
            rows.append(
                _row(
                    part, f"{name}, {label}", "ms", found, seen_p50_ms if is_first else None,
                    goal_ratio=1.5, goal=10.0 if label == "p50" else None,
                )
            )  # fmt: skip
    rate = {side: len(each) / sum(each) for side, each in lone.acknowledged.items()}
    client = {
        side: lone.client_s[side] / len(each) * 1e3 for side, each in lone.acknowledged.items()
    }
    rows.append(_row(part, "  one after the other: a second", "1/s", rate, seen_rate, True))
    rows.append(_row(part, "  CPU of the client a write", "ms", client))
    return rows


def _row(
    part: str,
    name: str,
    unit: str,
    found: dict[str, float],
    seen: float | None = None,
    more_is_better: bool = False,
    *,
    goal_ratio: float | None = None,
    goal: float | None = None,
) -> Row:
    return Row(
        part, name, unit, found.get("ours"), found.get("etcd"), seen, more_is_better,
        goal_ratio=goal_ratio, goal=goal,
    )  # fmt: skip


side_row = _row
