"""The cluster starts, and lets nobody in who has no certificate of it."""

import asyncio
import time
from pathlib import Path

from tests.demo import strangers
from tests.demo.report import NotSeen
from tests.demo.stage import Stage
from tests.demo.strangers import Outcome


async def run(stage: Stage) -> None:
    began = time.monotonic()
    await stage.cluster.start()
    seconds = time.monotonic() - began
    parts = [part.name for part in stage.cluster.layout.parts]
    pids = {name: (await stage.cluster.process(name)).pid for name in parts}
    stage.report.seen("3 BBS members, 1 brain, 2 cells, mutual TLS everywhere", seconds, pids=pids)
    await _strangers(stage)


async def _strangers(stage: Stage) -> None:
    layout = stage.cluster.layout
    other = strangers.other_authority(layout.name, stage.places.strangers)
    await stage.sabotage("cluster")
    servers = {part.name: part.port for part in layout.parts}
    raft = {f"{part.name} raft": part.raft_port for part in layout.of_role("bbs")}
    # Else a server that refuses everybody would do.
    await _all(Outcome.LET_IN, servers | raft, layout.client_dir, "with a certificate of ours")
    for certificate, whose in (
        (None, "without a certificate"),
        (other, "with one of another CA"),
    ):
        await _all(Outcome.REFUSED, servers | raft, certificate, whose)
        stage.report.seen(
            f"a client {whose} was refused by all {len(servers)}", refused_by=servers | raft
        )


async def _all(
    expected: Outcome, ports: dict[str, int], certificate: Path | None, whose: str
) -> None:
    outcomes = await asyncio.gather(
        *(strangers.knock(port, certificate) for port in ports.values())
    )
    for name, outcome in zip(ports, outcomes, strict=True):
        if outcome is not expected:
            raise NotSeen(f"a client {whose}: {outcome} by {name}")
