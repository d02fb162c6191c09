"""A container's process is killed: the instance comes back, the others notice nothing."""

import time

from tests.demo.evidence import answers, containers_of
from tests.demo.instances import name
from tests.demo.report import NotSeen
from tests.demo.stage import Stage

_BACK_S = 20.0


async def run(stage: Stage) -> None:
    instances = stage.instances
    rows = instances.serving()
    before = await containers_of(stage.cluster, rows)
    victim, killed = rows[0], before[0].process
    stage.traffic.expect_failures_of(victim.instance_guid)
    began = time.monotonic()
    killed.kill()
    await stage.sabotage("crash")

    def is_back() -> bool:
        new = [row for row in instances.serving() if row.index == victim.index]
        return bool(new) and new[0].instance_guid != victim.instance_guid

    await instances.until(is_back, _BACK_S, f"{name(victim)} did not come back")
    seconds = time.monotonic() - began
    rows = instances.serving()
    if len(rows) != len(before):
        raise NotSeen(f"more than {name(victim)} is gone: {instances}")
    after = await containers_of(stage.cluster, rows)
    if killed.alive or after[0].process == killed:
        raise NotSeen(f"pid {killed.pid} is still there after kill -9")
    if after[1:] != before[1:]:
        raise NotSeen("other instances than the killed one have new processes")
    [answer] = await answers(rows[:1])
    stage.report.seen(
        f"kill -9 {killed.pid}  → {name(victim)} back as pid {after[0].process.pid}",
        seconds,
        answer=answer.says,
        crash_count=rows[0].crash_count,
        untouched=[one.process.pid for one in after[1:]],
    )
