"""A dev cluster for one benchmark: real processes, real certificates, real containers."""

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from diegod.node.dev import foreground
from diegod.node.dev import layout as layouts
from diegod.node.dev.cluster import DevCluster
from diegod.rpc.channel import GrpcDialer
from diegod.rpc.client import ClusterClient
from diegod.security.credentials import channel_credentials, load_identity
from diegod.security.identity import Role
from diegod.world import RandomIds, SystemClock

ROOT = Path(__file__).parents[2] / ".cache" / "bench"


@dataclass(frozen=True)
class Bench:
    dev: DevCluster
    client: ClusterClient


@asynccontextmanager
async def cluster(members: int, cells: int) -> AsyncIterator[Bench]:
    """Gone afterwards, with its containers and its data."""
    clock, ids = SystemClock(), RandomIds()
    os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
    shutil.rmtree(ROOT, ignore_errors=True)
    layout = layouts.create("bench", ROOT, "runc", members, cells, ids.new_id(), clock)
    foreground.give_birth(layout, ids)
    dev = DevCluster(layout, clock, ids)
    identity = load_identity(layout.client_dir, Role.USER, clock.wall())
    dialer = GrpcDialer(lambda: channel_credentials(identity))
    try:
        await dev.start()
        yield Bench(dev, ClusterClient(dialer, layout.bbs_addresses, clock, ids))
    finally:
        await dialer.close()
        await dev.stop()
        await dev.sweep()
        shutil.rmtree(ROOT)
