"""A thousand watch streams over all members: how late the latest hears of a write.

First each stream follows a key of its own, as a cell follows its rows, under 100 writes a second;
then all of them follow everything, and a few writes go to each of them.
"""

import asyncio
import time
import uuid
from collections.abc import Sequence
from contextlib import aclosing

from tests.bench.bbs.processes import meters
from tests.bench.bbs.side import Side
from tests.bench.bbs.sizes import Sizes
from tests.bench.bbs.table import Row
from tests.bench.bbs.writes import side_row
from tests.bench.report import percentile

_WRITES_A_SECOND = 100
_TO_ALL_WRITES = 5
_TO_ALL_EVERY_S = 1.0
_FIRST_CHANNEL = 100
_BEGIN_LIMIT_S = 120.0
_LATE_LIMIT_S = 30.0


async def run(part: str, sides: Sequence[Side], sizes: Sizes) -> list[Row]:
    own, cpu, everything = {}, {}, {}
    for side in sides:
        keys = [str(uuid.uuid4()) for _ in range(sizes.streams)]
        taken = meters([side])[side.name]
        async with _Watchers(side, keys, sizes.channels) as watchers:
            with taken:
                own[side.name] = await watchers.written()
        cpu[side.name] = taken.spent.busiest_s / taken.spent.wall_s * 100
        async with _Watchers(side, [""] * sizes.streams, sizes.channels) as watchers:
            everything[side.name] = await watchers.to_all()
    title = f"{sizes.streams} watch streams on {sizes.channels} channels, {_WRITES_A_SECOND}/s"
    slowest = {name: max(each) * 1e3 for name, each in own.items()}
    p50 = {name: percentile(each, 0.5) * 1e3 for name, each in own.items()}
    to_all = {name: max(each) * 1e3 for name, each in everything.items()}
    return [
        side_row(part, f"{title}: slowest", "ms", slowest, goal=250.0),
        side_row(part, "  p50", "ms", p50),
        side_row(part, "  CPU of the busiest member", "%", cpu),
        side_row(part, "  one write to all of the streams: slowest", "ms", to_all),
    ]


class _Watchers:
    """Streams over the members in turn; each tells when it heard of which key."""

    def __init__(self, side: Side, keys: Sequence[str], channels: int) -> None:
        self._side = side
        self._keys = keys
        self._channels_a_member = -(-channels // len(side.members))
        self._begun = 0
        self._all_begun = asyncio.Event()
        self._written: dict[str, float] = {}
        self._late: list[float] = []
        self._due = 0
        self._all_heard = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> "_Watchers":
        self._tasks = [
            asyncio.create_task(self._follow(number, key)) for number, key in enumerate(self._keys)
        ]
        try:
            await self._until(self._all_begun, _BEGIN_LIMIT_S)
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.wait(self._tasks)

    async def written(self) -> list[float]:
        """A write to each key, evenly; how late each was heard. None is written twice: what is
        there already is no news."""
        self._due = len(self._keys)
        began = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for number, key in enumerate(self._keys):
                due = began + number / _WRITES_A_SECOND
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                group.create_task(self._put(key))
        return await self._heard()

    async def to_all(self) -> list[float]:
        self._due = _TO_ALL_WRITES * len(self._keys)
        for _ in range(_TO_ALL_WRITES):
            await self._put(str(uuid.uuid4()))
            await asyncio.sleep(_TO_ALL_EVERY_S)
        return await self._heard()

    async def _put(self, key: str) -> None:
        self._written[key] = time.perf_counter()
        await self._side.put(key)

    async def _heard(self) -> list[float]:
        await self._until(self._all_heard, _LATE_LIMIT_S)
        return self._late

    async def _until(self, event: asyncio.Event, limit_s: float) -> None:
        """Until it is set. No stream ends by itself: one that has ended raises why."""
        waiting = asyncio.create_task(event.wait())
        try:
            done, _ = await asyncio.wait(
                [waiting, *self._tasks], timeout=limit_s, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            waiting.cancel()
        for task in done - {waiting}:
            task.result()
        if waiting not in done:
            raise TimeoutError(f"not all of {len(self._tasks)} streams heard it in {limit_s:g} s")

    async def _follow(self, number: int, key: str) -> None:
        members = self._side.members
        member = members[number % len(members)]
        channel = _FIRST_CHANNEL + number // len(members) % self._channels_a_member
        async with aclosing(self._side.follow(member, key, channel)) as heard:  # type: ignore[type-var]
            async for each in heard:
                if each in self._written:
                    self._hear(self._written[each])
                elif each == "":
                    self._begin()

    def _begin(self) -> None:
        self._begun += 1
        if self._begun == len(self._keys):
            self._all_begun.set()

    def _hear(self, written_at: float) -> None:
        self._late.append(time.perf_counter() - written_at)
        if len(self._late) == self._due:
            self._all_heard.set()
