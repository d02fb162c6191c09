"""Fifty instances on one cell, from desire to RUNNING; each proven by its own first line."""

import asyncio
import time
from collections.abc import Iterator

from diegod.rpc.client import ClusterClient
from diegod.v1.event_pb2 import WatchRequest
from diegod.v1.lrp_pb2 import DesireLrpRequest
from diegod.v1.record_pb2 import ActualLrp
from diegod.v1.stream_pb2 import ReadLogsRequest
from tests.bench.bare import BareRunc
from tests.bench.cluster import cluster
from tests.bench.report import ratio
from tests.bench.specs import an_lrp

INSTANCES = 50


async def run() -> Iterator[str]:
    async with cluster(members=1, cells=1) as bench:
        desired_at = time.clock_gettime(time.CLOCK_BOOTTIME)
        await bench.client.call(
            "diegod.v1.LrpService/Desire", DesireLrpRequest(definition=an_lrp("many", INSTANCES))
        )
        guids = await _all_running(bench.client)
        running_s = time.clock_gettime(time.CLOCK_BOOTTIME) - desired_at
        first_lines = await asyncio.gather(*(_first_line(bench.client, guid) for guid in guids))
        with BareRunc(bench.dev.layout.directory) as bare:
            bare_s = bare.run_many(INSTANCES)
    last_s = max(first_lines) - desired_at
    return iter(
        [
            f"{INSTANCES} instances, desired to all RUNNING {'':<20} {running_s:8.2f} s",
            f"  the last one's own first line {'':<26} {last_s:8.2f} s",
            f"{INSTANCES} × runc run --detach, a parallel loop {'':<17} {bare_s:8.2f} s",
            ratio("  ratio", running_s, bare_s),
        ]
    )


async def _all_running(client: ClusterClient) -> list[str]:
    running: dict[str, None] = {}
    async for reply in client.watch(WatchRequest(guid="many", kinds=["actual_lrp"])):
        for change in (*reply.rows, *reply.changes):
            if change.actual_lrp.state == ActualLrp.RUNNING:
                running[change.actual_lrp.instance_guid] = None
        if len(running) == INSTANCES:
            return list(running)
    raise AssertionError("a watch has no end")


async def _first_line(client: ClusterClient, instance_guid: str) -> float:
    """Seconds since boot, as the container itself said."""
    request = ReadLogsRequest(instance_guid=instance_guid, follow=True)
    async for reply in client.stream("diegod.v1.LogService/Read", request):
        for chunk in reply.chunks:
            return float(chunk.data.split()[0])
    raise AssertionError(f"{instance_guid} said nothing")
