"""The cluster is stopped, and the host is as it was."""

import time

from tests.demo import snapshot
from tests.demo.report import NotSeen
from tests.demo.stage import Stage


async def run(stage: Stage) -> None:
    began = time.monotonic()
    mine = stage.mine
    await stage.close()
    await stage.cluster.stop()
    await stage.sabotage("clean")
    found = await snapshot.differences(stage.before, mine, alone=stage.alone)
    if found:
        raise NotSeen("; ".join(found[:5]))
    stage.report.seen(
        "processes, mounts, cgroups, namespaces, links, nft: as before",
        time.monotonic() - began,
        compared={kind: len(things) for kind, things in stage.before.items()},
        judged="all of diegod's" if stage.alone else "this cluster's (another diegod is at work)",
    )
    stage.report.seen("listening ports, files outside the clone, the user's context: as before")
