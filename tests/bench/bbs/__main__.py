"""`python -m tests.bench.bbs [part…] [--rows N …] [-o json]`; without parts: all of them."""

import argparse
import asyncio
import contextlib
import json
import os
import platform
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, fields
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TextIO, TypeVar

import tests.bench.bbs
from diegod.telemetry import logs
from tests.bench.bbs import failover, flushes, idle, large, programs, table, watches, writes
from tests.bench.bbs.ours import Ours
from tests.bench.bbs.side import Side
from tests.bench.bbs.sizes import Sizes
from tests.bench.bbs.table import Row
from tests.bench.bbs.theirs import Theirs

S = TypeVar("S", bound=Side)

_PARTS = ("idle", "bulk", "singles", "lone", "flushes", "watches", "failover", "large", "slow-disk")
#: Of etcd, by a client in C, on two such cores.
_SEEN_BULK, _SEEN_SINGLES, _SEEN_LONE_MS, _SEEN_LONE = 33_000.0, 12_500.0, 1.3, 780.0


class Run:
    """One run: the clusters that stand, and the rows found so far."""

    def __init__(self, parts: Sequence[str], sizes: Sizes, etcd: Path | None, out: TextIO) -> None:
        self._parts = [part for part in _PARTS if part in parts]
        self._sizes = sizes
        self._etcd = etcd
        self._out = out
        self.rows: list[Row] = []
        self.failed = False

    async def run(self) -> None:
        standing = [part for part in self._parts if part not in ("large", "slow-disk")]
        if standing or "large" in self._parts:
            async with self._sides("main") as sides:
                await self._measure(standing, sides)
                if "large" in self._parts:
                    await self._part("large", self._large(sides))
        if "slow-disk" in self._parts:
            await self._part("slow-disk", self._slow_disk())

    async def _measure(self, parts: Sequence[str], sides: Sequence[Side]) -> None:
        """On the clusters as they are born, then with the rows that a run asks for."""
        sizes = self._sizes
        if "idle" in parts:
            await self._part("idle", self._idle("new", sides))
        self._say(f"filling each side with {sizes.rows:,} rows")
        await writes.fill(sides, sizes.rows)
        measures: dict[str, Callable[[Sequence[Side]], Awaitable[None]]] = {
            "bulk": self._bulk,
            "singles": self._singles,
            "lone": self._lone,
            "flushes": self._flushes,
            "watches": self._watches,
            "idle": lambda sides: self._idle(f"{sizes.rows:,} rows", sides),
            "failover": self._failover,
        }
        for part, measure in measures.items():
            if part in parts:
                await self._part(part, measure(sides))

    async def _part(self, name: str, measuring: Awaitable[None]) -> None:
        """One that fails says so, and the others are measured all the same."""
        try:
            await measuring
        except Exception as error:
            self.failed = True
            self._say(f"{name}: not measured, {type(error).__name__}: {error}")

    async def _idle(self, what: str, sides: Sequence[Side]) -> None:
        self._found(await idle.run("idle", what, sides, self._sizes.idle_s))

    async def _bulk(self, sides: Sequence[Side]) -> None:
        self._found(await _bulk("bulk", sides, self._sizes, _SEEN_BULK))

    async def _singles(self, sides: Sequence[Side]) -> None:
        self._found(await _singles("singles", sides, self._sizes, _SEEN_SINGLES))

    async def _lone(self, sides: Sequence[Side]) -> None:
        self._found(await _lone("lone", sides, self._sizes, _SEEN_LONE_MS, _SEEN_LONE))

    async def _watches(self, sides: Sequence[Side]) -> None:
        self._found(await watches.run("watches", sides, self._sizes))

    async def _failover(self, sides: Sequence[Side]) -> None:
        taken = await failover.run(sides, self._sizes.failovers)
        self._found(failover.rows("failover", taken))

    async def _flushes(self, sides: Sequence[Side]) -> None:
        if not flushes.is_possible():
            self._say("flushes: not counted, there is no strace here")
            return
        times = self._sizes.flushes
        with TemporaryDirectory(dir=programs.CACHE) as folder:
            counts = {side.name: await flushes.count(side, times, Path(folder)) for side in sides}
        self._found(flushes.rows("flushes", counts))

    async def _large(self, sides: Sequence[Side]) -> None:
        """Our tasks make room for LRPs: a new cluster."""
        for side in sides:
            if isinstance(side, Ours):
                await side.stop()
        theirs = next((side for side in sides if isinstance(side, Theirs)), None)
        self._say(f"large: {self._sizes.rows:,} LRPs")
        async with _standing(Ours(programs.CACHE / "large")) as ours:
            self._found(await large.run("large", ours, theirs, self._sizes.rows))

    async def _slow_disk(self) -> None:
        sizes = self._sizes
        try:
            prefix = [str(programs.slow_disk()), str(int(sizes.delay_ms * 1000))]
        except programs.Missing as missing:
            self._say(f"slow-disk: not measured: {missing}")
            return
        async with self._sides("slow", prefix) as sides:
            self._say(f"slow-disk: every flush {sizes.delay_ms:g} ms later, on all members")
            self._found(await _bulk("slow-disk", sides, sizes, None))
            self._found(await _singles("slow-disk", sides, sizes, None))
            self._found(await _lone("slow-disk", sides, sizes, None, None))

    @asynccontextmanager
    async def _sides(self, name: str, prefix: Sequence[str] = ()) -> AsyncIterator[list[Side]]:
        async with contextlib.AsyncExitStack() as stack:
            ours = Ours(programs.CACHE / f"{name}-ours", prefix)
            sides: list[Side] = [await stack.enter_async_context(_standing(ours))]
            if self._etcd is not None:
                theirs = Theirs(programs.CACHE / f"{name}-etcd", self._etcd, prefix)
                sides.append(await stack.enter_async_context(_standing(theirs)))
            yield sides

    def _found(self, rows: Sequence[Row]) -> None:
        self.rows += rows
        for row in rows:
            self._say(table.line(row))

    def _say(self, text: str) -> None:
        print(text, file=self._out, flush=True)


async def _bulk(part: str, sides: Sequence[Side], sizes: Sizes, seen: float | None) -> list[Row]:
    found = await writes.bulk(sides, sizes)
    return writes.bulk_rows(part, found, sizes.rounds * sizes.bulk, seen)


async def _singles(part: str, sides: Sequence[Side], sizes: Sizes, seen: float | None) -> list[Row]:
    await _prefer_leaders(sides)
    found = await writes.singles(sides, sizes)
    return writes.single_rows(part, found, sizes.rounds * sizes.singles, seen)


async def _lone(
    part: str, sides: Sequence[Side], sizes: Sizes, seen_ms: float | None, seen: float | None
) -> list[Row]:
    await _prefer_leaders(sides)
    lone = writes.Lone()
    await lone.run(sides, sizes.lone)
    return writes.lone_rows(part, lone, seen_ms, seen)


async def _prefer_leaders(sides: Sequence[Side]) -> None:
    for side in sides:
        if isinstance(side, Theirs):
            await side.prefer_leader()


@asynccontextmanager
async def _standing(side: S) -> AsyncIterator[S]:
    try:
        await side.start()
        yield side
    finally:
        await side.stop()


def main() -> int:
    given = _arguments()
    logs.configure("console", "error")
    sizes = Sizes(**{each.name: getattr(given, each.name) for each in fields(Sizes)})
    out = sys.stderr if given.output == "json" else sys.stdout
    etcd, version = _etcd()
    machine = {**_machine(), "etcd": version}
    print("  ".join(f"{name}: {value}" for name, value in machine.items()), file=out)
    print(table.head(), file=out)
    run = Run(given.parts or _PARTS, sizes, etcd, out)
    try:
        asyncio.run(_until_ended(run))
    except asyncio.CancelledError:
        return 128 + signal.SIGINT
    if given.output == "json":
        rows = [row.record() for row in run.rows]
        print(json.dumps({"machine": machine, "sizes": asdict(sizes), "rows": rows}, indent=1))
    return 1 if run.failed else 0


async def _until_ended(run: Run) -> None:
    """Ctrl-C and SIGTERM end a run, and everything that it has started goes with it."""
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    await run.run()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tests.bench.bbs", description=tests.bench.bbs.__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=" ".join(_PARTS))
    parser.add_argument("-o", dest="output", choices=("table", "json"), default="table")
    for each in fields(Sizes):
        flag = "--" + each.name.replace("_", "-")
        parser.add_argument(flag, dest=each.name, type=type(each.default), default=each.default)
    given = parser.parse_intermixed_args()
    if unknown := [part for part in given.parts if part not in _PARTS]:
        parser.error(f"no such part: {' '.join(unknown)}")
    return given


def _etcd() -> tuple[Path | None, str]:
    """The program and its version; without it our side is measured alone."""
    try:
        program = programs.etcd()
    except programs.Missing as missing:
        return None, str(missing)
    return program, programs.etcd_version(program)


def _machine() -> dict[str, str]:
    return {
        "cores": str(os.cpu_count()),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "at": time.strftime("%Y-%m-%d %H:%M", time.gmtime()),
    }


if __name__ == "__main__":
    sys.exit(main())
