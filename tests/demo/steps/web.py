"""A web server of three instances, spread, health-checked and answering. The traffic begins."""

import time
from collections import Counter

from diegod.node.dev.layout import HOST
from diegod.v1 import definition_pb2 as d
from diegod.v1.record_pb2 import ActualLrp
from tests.demo.evidence import Answer, answers, containers_of, require_isolated
from tests.demo.instances import host_port
from tests.demo.report import NotSeen
from tests.demo.stage import Stage

_INSTANCES = 3
_PORT = 8080
_RUNNING_S = 30.0


async def run(stage: Stage) -> None:
    stage.go_on_beside(stage.instances.follow(stage.client))
    began = time.monotonic()
    await stage.client.lrps.desire(_definition())
    serving = stage.instances.serving
    await stage.instances.until(
        lambda: len(serving()) == _INSTANCES, _RUNNING_S, "not all instances run"
    )
    seconds = time.monotonic() - began
    spread = Counter(row.cell_id for row in serving())
    if sorted(spread.values()) != [1, 2]:
        raise NotSeen(f"the instances are not 2 and 1 over the cells: {dict(spread)}")
    dots = "  ".join(f"{cell} {'●' * count}" for cell, count in sorted(spread.items()))
    stage.report.seen(f"3 instances, health-checked: {dots}", seconds, cells=dict(spread))
    await stage.sabotage("web")
    for row, answer in zip(serving(), await answers(serving()), strict=True):
        await _proven(stage, row, answer)
    stage.go_on_beside(stage.traffic.run())


async def _proven(stage: Stage, row: ActualLrp, answer: Answer) -> None:
    """The page names the very process that `runc list` and /proc show."""
    [container] = await containers_of(stage.cluster, [row])
    if answer.pid != container.process.pid:
        raise NotSeen(f'"{answer.says}", but runc list says pid {container.process.pid}')
    stage.report.seen(
        f'http://{HOST}:{host_port(row)}  "{answer.says}"',
        handle=container.handle,
        command=container.process.command,
        namespaces=require_isolated(container),
    )


def _definition() -> d.LrpDefinition:
    arguments = ["-f", "-p", str(_PORT), "-h", "/www"]
    check = d.Check(http_check=d.HttpCheck(port=_PORT))
    return d.LrpDefinition(
        process_guid="web",
        instances=_INSTANCES,
        rootfs="preloaded:busybox",
        action=d.Action(run=d.RunAction(path="httpd", args=arguments)),
        ports=[d.PortMapping(name="http", container_port=_PORT)],
        check_definition=d.CheckDefinition(checks=[check]),
    )
