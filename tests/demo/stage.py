"""What the steps share: the cluster, the traffic, the report, and what is to be broken by hand."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from diegod.client import Client
from tests.demo import snapshot
from tests.demo.cluster import DemoCluster
from tests.demo.instances import Instances
from tests.demo.places import Places
from tests.demo.report import NotSeen, Report
from tests.demo.snapshot import Mine, Snapshot
from tests.demo.traffic import Traffic


@dataclass
class Stage:
    places: Places
    report: Report
    before: Snapshot
    #: The step that is to be broken; "" for none.
    broken: str
    sabotages: dict[str, Callable[["Stage"], Awaitable[None]]]

    def __post_init__(self) -> None:
        self.cluster = DemoCluster(self.places)
        self.instances = Instances("web")
        self.traffic = Traffic(self.instances)
        #: Whether no other diegod was seen at work on this host so far.
        self.alone = True
        self.task_lines: dict[str, str] = {}  # of each task that was run: the line that it writes
        self._client: Client | None = None
        self._background: list[asyncio.Task[None]] = []

    @property
    def client(self) -> Client:
        """Of all members; made when the cluster is there."""
        if self._client is None:
            self._client = self.cluster.client()
        return self._client

    def begin(self, step: str) -> None:
        self.report.begin(step)
        self.traffic.step = step
        self.look_around()

    def look_around(self) -> None:
        self.alone = self.alone and not snapshot.others(self.places.folder)

    @property
    def mine(self) -> Mine:
        """By what the host's things are known to be this cluster's."""
        if not self.cluster.learn_short_ids():
            return Mine(self.places.folder)
        parts = self.cluster.layout.parts
        ports = [port for part in parts for port in (part.port, part.raft_port) if port]
        return Mine(self.places.folder, sorted(self.cluster.short_ids.values()), ports)

    async def sabotage(self, step: str) -> None:
        """Break this step by hand if that was asked for. Each step calls it where it can break."""
        if self.broken == step:
            await self.sabotages[step](self)

    def go_on_beside(self, work: Coroutine[Any, Any, None]) -> None:
        """Until `close`."""
        self._background.append(asyncio.create_task(work))

    async def close(self) -> None:
        """Stop what goes on beside. NotSeen if any of it had ended before, with an error."""
        tasks, self._background = self._background, []
        for task in tasks:
            task.cancel()
        ends = await asyncio.gather(*tasks, return_exceptions=True)
        if self._client is not None:
            await self._client.close()
            self._client = None
        for end in ends:
            if isinstance(end, Exception):
                raise NotSeen(f"what went on beside ended with {end!r}")


@dataclass(frozen=True)
class Step:
    name: str
    shows: str
    run: Callable[[Stage], Awaitable[None]] = field(repr=False)
    broken_by: str
    sabotage: Callable[[Stage], Awaitable[None]] = field(repr=False)
