"""Each step's truth broken by hand, from outside: proof that the demo would notice.

`DIEGOD_DEMO_BREAK=STEP` has one of these done in the middle of the step; the demo must fail there.
"""

import asyncio
import shutil
import signal
import subprocess

from tests.demo.cluster import output
from tests.demo.evidence import containers_of
from tests.demo.instances import host_port
from tests.demo.stage import Stage

#: How long the traffic is disturbed; several requests are sent in that time.
_DISTURBED_S = 0.3
_REFUSING_TABLE = "diegod_demo"
_REFUSING_RULES = f"""\
table inet {_REFUSING_TABLE} {{{{
  chain refused {{{{
    type filter hook output priority -300;
    tcp dport {{{{ {{}} }}}} reject with tcp reset
  }}}}
}}}}
"""


async def give_the_stranger_a_certificate(stage: Stage) -> None:
    for file in ("user.crt", "user.key"):
        shutil.copy(stage.cluster.layout.client_dir / file, stage.places.strangers / file)


async def start_the_task_again(stage: Stage) -> None:
    """The newest task's program is run once more, by a container that is named as one of its own.

    The cluster itself refuses a second task of the guid, for a day after the first was deleted.
    """
    guid = [*stage.task_lines][-1]
    again = (await stage.client.tasks.get(guid)).definition
    again.task_guid = f"{guid}-again"  # the handles of both begin with the guid
    await stage.client.tasks.desire(again)
    await stage.client.tasks.wait(again.task_guid)


async def remove_the_rules_of_a_cell(stage: Stage) -> None:
    table = f"diegod_{stage.cluster.short_ids['cell-2']}"
    await output("nft", "delete", "table", "inet", table)


async def kill_one_more_instance(stage: Stage) -> None:
    await _kill_instance(stage, stage.instances.serving()[-1].cell_id)


async def kill_an_instance_of_the_cell(stage: Stage) -> None:
    await _kill_instance(stage, "cell-2")


async def _kill_instance(stage: Stage, cell: str) -> None:
    rows = [row for row in stage.instances.serving() if row.cell_id == cell]
    [victim] = await containers_of(stage.cluster, rows[-1:])
    victim.process.kill()


async def pause_the_brain(stage: Stage) -> None:
    brain = await stage.cluster.process("brain-1")
    brain.signal(signal.SIGSTOP)


async def refuse_requests(stage: Stage) -> None:
    """For a moment, at every mapped port."""
    ports = ", ".join(str(host_port(row)) for row in stage.instances.routable())
    await output("nft", "-f", "-", stdin=_REFUSING_RULES.format(ports).encode())
    try:
        await asyncio.sleep(_DISTURBED_S)
    finally:
        subprocess.run(["nft", "delete", "table", "inet", _REFUSING_TABLE], check=True)


async def leave_a_link(stage: Stage) -> None:
    await output("ip", "link", "add", _link(stage), "type", "bridge")


def undo(stage: Stage) -> None:
    """Remove what `leave_a_link` left, after it was noticed."""
    if stage.broken == "clean" and stage.cluster.short_ids:
        subprocess.run(["ip", "link", "delete", _link(stage)], capture_output=True, check=False)


def _link(stage: Stage) -> str:
    return f"dv{stage.cluster.short_ids['cell-1']}ffff"
