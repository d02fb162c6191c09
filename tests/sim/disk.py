"""A cell's disk in memory: what is synced survives the agent, and is lost with the machine.

Implements `cellruntime.ports.Records` and `Directories`. A write takes a moment, and an agent that
dies within it leaves the old record or the new one, never half of one.
"""

import asyncio
import random
from collections.abc import Sequence
from pathlib import Path

from diegod.cellruntime.core.crash_points import Record
from diegod.cellruntime.records import decode, encode

_WRITE_S = (0.0005, 0.004)


class CellDisk:
    """What lies on the disk of one machine."""

    def __init__(self) -> None:
        self.records: dict[str, bytes] = {}
        self.folders: dict[str, None] = {}


class DiskRecords:
    """One agent's way to its records."""

    def __init__(self, disk: CellDisk, chance: random.Random) -> None:
        self._disk = disk
        self._chance = chance

    async def load(self) -> Sequence[Record]:
        return [decode(data) for _, data in sorted(self._disk.records.items())]

    async def write(self, record: Record) -> None:
        await self._pause()
        self._disk.records[record.handle] = encode(record)
        await self._pause()

    async def remove(self, handle: str) -> None:
        await self._pause()
        self._disk.records.pop(handle, None)

    async def _pause(self) -> None:
        await asyncio.sleep(self._chance.uniform(*_WRITE_S))


class DiskDirectories:
    """Folders by name; the fake backend puts nothing into them."""

    def __init__(self, disk: CellDisk) -> None:
        self._disk = disk

    async def make(self, handle: str) -> Path:
        await asyncio.sleep(0)
        self._disk.folders[handle] = None
        return Path("/sim") / handle

    async def discard(self, handle: str) -> None:
        await asyncio.sleep(0)
        self._disk.folders.pop(handle, None)

    async def keep_log(self, handle: str) -> None:
        await asyncio.sleep(0)

    async def tell(self, handle: str, lines: bytes) -> None:
        await asyncio.sleep(0)

    async def prune(self, wall_s: float) -> None:
        await asyncio.sleep(0)
