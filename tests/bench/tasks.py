"""`task run` of `true`: as typed, through an open client, and beside a bare `runc run`."""

import asyncio
import sys
import time
from collections.abc import Iterator

from diegod.v1.event_pb2 import WatchRequest
from diegod.v1.record_pb2 import Task
from diegod.v1.task_pb2 import DesireTaskRequest
from tests.bench.bare import BareRunc
from tests.bench.cluster import Bench, cluster
from tests.bench.report import percentile, ratio, row
from tests.bench.specs import a_task

_COUNT = 30


async def run() -> Iterator[str]:
    async with cluster(members=1, cells=1) as bench:
        through_client = [await _desired_to_completed(bench, n) for n in range(_COUNT)]
        typed = [await _typed(bench) for _ in range(_COUNT)]
        nothing = [await _version() for _ in range(_COUNT)]
        with BareRunc(bench.dev.layout.directory) as bare:
            runs = [bare.run_once(n) for n in range(_COUNT)]
    lines = [
        row("task run true, as typed (a new Python each)", typed),
        row("  of which: diegod --version (the interpreter)", nothing),
        row("desired to COMPLETED, through an open client", through_client),
        row("runc run of the same, bare", runs),
        ratio("  through an open client", percentile(through_client, 0.5), percentile(runs, 0.5)),
    ]
    return iter(lines)


async def _desired_to_completed(bench: Bench, number: int) -> float:
    guid = f"true-{number}"
    began = time.perf_counter()
    await bench.client.call(
        "diegod.v1.TaskService/Desire", DesireTaskRequest(definition=a_task(guid))
    )
    async for reply in bench.client.watch(WatchRequest(guid=guid, kinds=["task"])):
        rows = [*reply.rows, *reply.changes]
        if any(change.task.state == Task.COMPLETED for change in rows):
            return time.perf_counter() - began
    raise AssertionError("a watch has no end")


async def _typed(bench: Bench) -> float:
    layout = bench.dev.layout
    environment = {
        "DIEGOD_ADDR": ",".join(layout.bbs_addresses),
        "DIEGOD_CACERT": str(layout.client_dir / "ca.crt"),
        "DIEGOD_CLIENT_CERT": str(layout.client_dir / "user.crt"),
        "DIEGOD_CLIENT_KEY": str(layout.client_dir / "user.key"),
    }
    return await _timed("task", "run", "true", environment=environment)


async def _version() -> float:
    return await _timed("--version", environment={})


async def _timed(*arguments: str, environment: dict[str, str]) -> float:
    began = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "diegod", *arguments,
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/nonexistent", **environment},
        stdout=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    assert await process.wait() == 0
    return time.perf_counter() - began
