"""The instances of one LRP as the cluster tells them: present rows, and when each change came."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from diegod.client import Client
from diegod.models.errors import DomainError
from diegod.v1.event_pb2 import WatchReply
from diegod.v1.record_pb2 import ActualLrp, Change
from tests.demo.report import NotSeen


@dataclass(frozen=True)
class Told:
    """One change, and when it was heard of."""

    at: float
    removed: bool
    row: ActualLrp


class Instances:
    """Follows the feed for as long as `follow` runs."""

    def __init__(self, process_guid: str) -> None:
        self.process_guid = process_guid
        self.told: list[Told] = []
        self._rows: dict[str, ActualLrp] = {}  # by instance guid
        self._changed = asyncio.Event()
        self._lost = ""

    async def follow(self, client: Client) -> None:
        try:
            async for reply in client.lrps.watch(self.process_guid):
                self._take(reply)
        except DomainError as error:
            self._lost = f"the feed of {self.process_guid} was lost: {error.message}"
            self._changed.set()

    def _take(self, reply: WatchReply) -> None:
        for change in [*reply.rows, *reply.changes]:
            if change.WhichOneof("row") == "actual_lrp":
                self._note(change)
        self._changed.set()
        self._changed = asyncio.Event()

    def _note(self, change: Change) -> None:
        row, removed = change.actual_lrp, change.verb == Change.REMOVED
        self.told.append(Told(time.monotonic(), removed, row))
        if removed:
            self._rows.pop(row.instance_guid, None)
        else:
            self._rows[row.instance_guid] = row

    def routable(self) -> list[ActualLrp]:
        """Whom requests may go to, suspects included, in order of index."""
        return sorted(
            (row for row in self._rows.values() if row.routable), key=lambda row: row.index
        )

    def serving(self) -> list[ActualLrp]:
        """The ordinary instances that run and are healthy, in order of index."""
        return [row for row in self.routable() if row.presence == ActualLrp.ORDINARY]

    async def until(self, holds: Callable[[], bool], timeout_s: float, what: str) -> None:
        """Wait for something to be so; NotSeen with `what` if it isn't within that time."""
        try:
            async with asyncio.timeout(timeout_s):
                while not holds():
                    if self._lost:
                        raise NotSeen(self._lost)
                    await self._changed.wait()
        except TimeoutError:
            raise NotSeen(f"{what} (waited {timeout_s:.1f} s; {self})") from None

    def __str__(self) -> str:
        rows = sorted(self._rows.values(), key=lambda row: (row.index, row.instance_guid))
        return ", ".join(map(shown, rows)) or f"no instance of {self.process_guid}"


def shown(row: ActualLrp) -> str:
    """As `web/1 RUNNING on cell-2`."""
    suspect = " SUSPECT" if row.presence == ActualLrp.SUSPECT else ""
    place = f" on {row.cell_id}" if row.cell_id else ""
    return f"{name(row)} {ActualLrp.State.Name(row.state)}{suspect}{place}"


def name(row: ActualLrp) -> str:
    return f"{row.process_guid}/{row.index}"


def host_port(row: ActualLrp) -> int:
    return row.net_info.ports[0].host_port
