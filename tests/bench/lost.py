"""A machine is lost, twenty times: how long until the replacement of what it had runs elsewhere.

The agent is killed, and everything that its cell left on the host is removed. The lease that has to
run out first is told beside it; a deadline of the lease and two seconds is what is promised.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator

from diegod.rpc.client import ClusterClient
from diegod.v1.event_pb2 import WatchRequest
from diegod.v1.lrp_pb2 import DesireLrpRequest
from diegod.v1.record_pb2 import ActualLrp, Change
from tests.bench.cluster import Bench, cluster
from tests.bench.report import ratio, row
from tests.bench.specs import an_lrp

LOSSES = 20
LEASE_TTL_S = 10.0
PROMISED_S = LEASE_TTL_S + 2.0
_GUID = "lost"
_GIVE_UP_S = 60.0


async def run() -> Iterator[str]:
    async with cluster(members=1, cells=2) as bench:
        request = DesireLrpRequest(definition=an_lrp(_GUID, 1))
        await bench.client.call("diegod.v1.LrpService/Desire", request)
        running = _Running(bench.client)
        following = asyncio.create_task(running.follow())
        try:
            took = [await _lose_one(bench, running) for _ in range(LOSSES)]
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
    kept = sum(seconds <= PROMISED_S for seconds in took)
    return iter(
        [
            row(f"machine lost → replacement RUNNING, lease {LEASE_TTL_S:g} s", took, 1.0, "s"),
            f"  within {PROMISED_S:g} s: {kept} of {LOSSES}; the slowest {max(took):.2f} s",
            ratio("  the slowest in leases", max(took), LEASE_TTL_S),
        ]
    )


class _Running:
    """Where the instance runs, by the feed."""

    def __init__(self, client: ClusterClient) -> None:
        self._client = client
        self._row: ActualLrp | None = None
        self._changed = asyncio.Event()

    async def follow(self) -> None:
        replies: AsyncIterator = self._client.watch(  # type: ignore[type-arg]
            WatchRequest(guid=_GUID, kinds=["actual_lrp"])
        )
        async for reply in replies:
            for change in (*reply.rows, *reply.changes):
                is_there = change.verb != Change.REMOVED
                if is_there and change.actual_lrp.state == ActualLrp.RUNNING:
                    self._row = change.actual_lrp
            self._changed.set()

    async def other_than(self, instance_guid: str) -> ActualLrp:
        """The instance that runs, once it is not that one."""
        async with asyncio.timeout(_GIVE_UP_S):
            while self._row is None or self._row.instance_guid == instance_guid:
                self._changed.clear()
                await self._changed.wait()
        return self._row


async def _lose_one(bench: Bench, running: _Running) -> float:
    """Seconds from the kill until the replacement runs; the cell is back afterwards."""
    old = await running.other_than("")
    began = time.monotonic()
    await bench.dev.answer({"verb": "kill", "part": old.cell_id, "machine": True})
    await running.other_than(old.instance_guid)
    took = time.monotonic() - began
    await bench.dev.answer({"verb": "start", "part": old.cell_id})
    return took
