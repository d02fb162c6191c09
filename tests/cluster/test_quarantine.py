"""A member whose state is altered while it runs leaves, alone, and does not come back.

With real processes: a row of a follower is changed in its store by somebody else, under a checksum
that fits, so that nothing but the comparison with the others can find it.
"""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from diegod.client.tasks import task_definition
from diegod.raftbbs.store.environment import Environment
from diegod.raftbbs.store.tables import Tables
from diegod.v1.definition_pb2 import TaskDefinition
from tests.cluster.roles import Processes, Site, new_site, refused_start
from tests.cluster.terminal import PROGRAM, new_terminal
from tests.cluster.waiting import until

MEMBERS = ("bbs-1", "bbs-2", "bbs-3")
NOT_CURABLE = 78
COMPARED_EVERY = 1000


@pytest.fixture(scope="module")
def processes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processes]:
    site = new_site(new_terminal(tmp_path_factory.mktemp("quarantine") / "home"))
    for id_ in MEMBERS:
        site.add("bbs", id_)
    site.issue("user", "alice", site.folder / "alice")
    site.furnish()
    site.init_stores()
    made = Processes(site)
    try:
        made.start(*MEMBERS)
        yield made
    finally:
        made.end()


async def test_a_member_whose_state_was_altered_leaves_and_stays_away(processes: Processes) -> None:
    site = processes.site
    async with site.client() as client:
        await client.tasks.desire(_nowhere("altered"))
        leader = (await client.bbs_status()).leader_id
    wrong = next(id_ for id_ in MEMBERS if id_ != leader)
    folder = site.nodes[wrong].data / "store"
    until("the task on the follower", lambda: _alter(folder, "altered"))
    async with site.client() as client:
        await client.tasks.cancel("altered")
    await _write(site, COMPARED_EVERY)

    assert await asyncio.to_thread(processes.ended, wrong) == NOT_CURABLE
    log = site.nodes[wrong].log.read_text()
    assert "Traceback" not in log
    said = [line for line in log.splitlines() if line.startswith("diegod: ")]
    assert len(said) == 1
    assert "differs from the majority's at entry 1000 " in said[0]
    mark = json.loads((folder / "quarantined").read_text())
    assert mark["index"] == COMPARED_EVERY
    assert mark["own_hash"] != mark["agreed_hash"]

    config = ["--config", str(site.nodes[wrong].config)]
    again = refused_start(site.terminal, [str(PROGRAM), "--role=bbs", *config])
    assert again.status == NOT_CURABLE
    assert again.err.startswith(f"diegod: the store in {folder} is quarantined: ")
    assert again.err.count("\n") == 1

    async with site.client() as client:
        await client.tasks.desire(_nowhere("afterwards"))
        status = await client.bbs_status()
        assert status.hash.hex() == mark["agreed_hash"]
        assert {task.task_guid for task in await client.tasks.list()} >= {"altered", "afterwards"}


def _nowhere(guid: str) -> TaskDefinition:
    """Work for a cell that there isn't: it stays where it was written."""
    return task_definition(guid, rootfs="preloaded:nowhere", argv=["true"])


async def _write(site: Site, count: int) -> None:
    """More entries of the log than that; callers that wait for one another share none."""
    async with site.client(timeout_s=30.0) as client:
        for number in range(count):
            await client.tasks.desire(_nowhere(f"t{number}"))


def _alter(folder: Path, guid: str) -> bool:
    """Change a row in a member's store as somebody else; False while it is not there."""
    environment = Environment.open(folder)
    try:
        tasks = Tables.open(environment).tasks
        with environment.begin_write() as transaction:
            row, number = tasks.get(transaction, guid), tasks.number(transaction, guid)
            if row is None or number is None:
                return False
            row.rejection_reason = "somebody was here"
            tasks.put(transaction, number, row)
        return True
    finally:
        environment.close()
