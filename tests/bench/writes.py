"""A lone write: from one client, through three members, durable; beside two fsyncs of this disk."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

from diegod.v1.task_pb2 import DesireTaskRequest
from tests.bench.cluster import Bench, cluster
from tests.bench.report import percentile, ratio, row
from tests.bench.specs import a_task

_COUNT = 300
HEARTBEAT_S = 0.1


async def run() -> Iterator[str]:
    async with cluster(members=3, cells=1) as bench:
        ours = await _writes(bench)
        disk = _fsyncs(bench.dev.layout.directory)
    lines = [
        row("a task desired through 3 members, one client", ours),
        row("one 4 KiB write and fdatasync on the same disk", disk),
        ratio("  that write in fsyncs", percentile(ours, 0.5), percentile(disk, 0.5)),
        ratio("  that write in heartbeats", percentile(ours, 0.5), HEARTBEAT_S),
    ]
    return iter(lines)


async def _writes(bench: Bench) -> list[float]:
    samples = []
    for number in range(_COUNT):
        # No cell has this rootfs: what is measured is the write, not what follows from it.
        definition = a_task(f"write-{number}", rootfs="preloaded:none")
        began = time.perf_counter()
        await bench.client.call(
            "diegod.v1.TaskService/Desire", DesireTaskRequest(definition=definition)
        )
        samples.append(time.perf_counter() - began)
    return samples


def _fsyncs(folder: Path) -> list[float]:
    samples = []
    descriptor = os.open(folder / "fsync", os.O_RDWR | os.O_CREAT)
    try:
        for number in range(_COUNT):
            began = time.perf_counter()
            os.pwrite(descriptor, b"x" * 4096, number * 4096)
            os.fdatasync(descriptor)
            samples.append(time.perf_counter() - began)
    finally:
        os.close(descriptor)
    return samples
