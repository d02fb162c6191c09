"""How many flushes to disk a lone write waits for, counted by strace on every member.

Counted is what begins between the call and its acknowledgement: fsync, fdatasync, and writes to a
descriptor that was opened with O_DSYNC.
"""

import asyncio
import os
import re
import shutil
import signal
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.bench.bbs.side import Side
from tests.bench.bbs.table import Row
from tests.bench.bbs.writes import side_row

_CALLS = "fsync,fdatasync,sync_file_range,msync,pwrite64,pwritev,pwritev2,write,writev"
_FLUSHES = ("fsync", "fdatasync", "msync", "sync_file_range")
_LINE = re.compile(r"^\d+ +(?P<at>\d+\.\d+) (?P<call>\w+)\((?P<fd>\d+)")


@dataclass(frozen=True)
class Count:
    leader: float
    follower: float


async def count(side: Side, writes: int, folder: Path) -> Count:
    """Flushes a write, on the leader and on a follower, in the mean."""
    leader = await side.leader()
    tracers = [await _Tracer.begin(side.pid(member), folder / member) for member in side.members]
    windows = []
    try:
        for _ in range(writes):
            began = time.time()
            await side.put(str(uuid.uuid4()))
            windows.append((began, time.time()))
            await asyncio.sleep(0.02)  # what follows a write is not on its path
    finally:
        found = [await tracer.end() for tracer in tracers]
    means = dict(zip(side.members, (_mean(each, windows) for each in found), strict=True))
    followers = [mean for member, mean in means.items() if member != leader]
    return Count(means[leader], sum(followers) / len(followers))


def rows(part: str, found: dict[str, Count]) -> list[Row]:
    leader = {name: each.leader for name, each in found.items()}
    follower = {name: each.follower for name, each in found.items()}
    return [
        side_row(part, "flushes of the leader during a lone write", "", leader),
        side_row(part, "flushes of a follower meanwhile", "", follower),
    ]


def is_possible() -> bool:
    return shutil.which("strace") is not None


def _mean(at: Sequence[float], windows: Sequence[tuple[float, float]]) -> float:
    inside = [sum(begin <= each <= end for each in at) for begin, end in windows]
    return sum(inside) / len(inside)


class _Tracer:
    def __init__(self, process: asyncio.subprocess.Process, pid: int, said: Path) -> None:
        self._process = process
        self._said = said
        self._synchronous = _synchronous_descriptors(pid)

    @classmethod
    async def begin(cls, pid: int, said: Path) -> "_Tracer":
        process = await asyncio.create_subprocess_exec(
            "strace", "-f", "-ttt", "-qq", "-e", f"trace={_CALLS}", "-o", str(said),
            "-p", str(pid), stdin=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        while not _is_traced(pid):
            assert process.returncode is None, "strace ended"
            await asyncio.sleep(0.02)
        return cls(process, pid, said)

    async def end(self) -> list[float]:
        """When each flush began."""
        self._process.send_signal(signal.SIGINT)
        await self._process.wait()
        found = [match for each in self._said.open() if (match := _LINE.match(each))]
        self._said.unlink()
        return [float(match["at"]) for match in found if self._is_flush(match)]

    def _is_flush(self, match: "re.Match[str]") -> bool:
        return match["call"] in _FLUSHES or int(match["fd"]) in self._synchronous


def _is_traced(pid: int) -> bool:
    """Every thread of it."""
    for thread in Path(f"/proc/{pid}/task").iterdir():
        if "TracerPid:\t0\n" in (thread / "status").read_text():
            return False
    return True


def _synchronous_descriptors(pid: int) -> frozenset[int]:
    """Those that were opened with O_DSYNC, or with O_SYNC, which contains it."""
    found = []
    for each in Path(f"/proc/{pid}/fdinfo").iterdir():
        try:
            text = each.read_text()
        except FileNotFoundError:
            continue  # closed meanwhile
        flags = re.search(r"^flags:\s+(\d+)", text, re.MULTILINE)
        if flags and int(flags[1], 8) & os.O_DSYNC:
            found.append(int(each.name))
    return frozenset(found)
