"""A member of the first release beside members of this one, in a cluster that it was born in.

Real processes of both: the release as it was published lies in tests/releases. In the order of an
upgrade: one member keeps the old release while the others change; each leads once, and each dies
and comes back; then the last one changes, and what is left of the old release is refused.
"""

import asyncio
import shutil
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from diegod.client.tasks import task_definition
from tests.cluster.roles import Processes, Site, new_site, write_settings
from tests.cluster.terminal import new_terminal
from tests.cluster.waiting import until

WHEEL = Path(__file__).parents[1] / "releases" / "diegod-0.1.0-py3-none-any.whl"
OLD, *NEW = MEMBERS = ("bbs-1", "bbs-2", "bbs-3")
LEAD_TRIES = 20


@dataclass
class Mixed:
    """A cluster in the middle of an upgrade, and all that it has acknowledged."""

    site: Site
    processes: Processes
    release: Path
    acknowledged: set[str] = field(default_factory=set)

    async def write(self, count: int = 20) -> None:
        """So many records more, acknowledged; whoever leads."""
        async with self.site.client(timeout_s=15.0) as client:
            for _ in range(count):
                guid = f"t{len(self.acknowledged)}"
                nowhere = task_definition(guid, rootfs="preloaded:nowhere", argv=["true"])
                await client.tasks.desire(nowhere)
                self.acknowledged.add(guid)

    async def check(self, *members: str) -> None:
        """Each of these members has all that was acknowledged, by a linearizable read."""
        for id_ in members:
            async with self.site.client(self.site.nodes[id_].address, timeout_s=15.0) as client:
                tasks = await client.tasks.list()
            assert self.acknowledged <= {task.task_guid for task in tasks}, id_

    async def let_lead(self, id_: str) -> None:
        """Kill whoever leads, until this one does."""
        for _ in range(LEAD_TRIES):
            leader = await self.leader()
            if leader == id_:
                return
            self.processes.kill(leader)
            await self.write(1)
            await asyncio.to_thread(self.processes.start, leader)
            await self.write(1)
        raise AssertionError(f"{id_} was not elected {LEAD_TRIES} times in a row")

    async def leader(self) -> str:
        async with asyncio.timeout(20), self.site.client() as client:
            while not (known := (await client.bbs_status()).leader_id):
                await asyncio.sleep(0.1)
        return known

    async def cluster_format(self, id_: str) -> int:
        async with self.site.client(self.site.nodes[id_].address) as client:
            return (await client.bbs_status()).cluster_format

    def refusals(self, id_: str) -> list[str]:
        """Why a member has refused others, by its log."""
        lines = self.site.nodes[id_].log.read_text().splitlines()
        return [line for line in lines if "link.refused" in line]


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mixed]:
    """Born and begun by the first release; then two members are of this one."""
    release = tmp_path_factory.mktemp("release")
    with zipfile.ZipFile(WHEEL) as wheel:
        wheel.extractall(release)
    home = tmp_path_factory.mktemp("releases") / "home"
    site = new_site(new_terminal(home).with_environ(PYTHONPATH=str(release)))
    for id_ in MEMBERS:
        site.add("bbs", id_)
    site.issue("user", "alice", site.folder / "alice")
    for node in site.nodes.values():
        sections = site.settings(node)
        sections["bbs"].pop("min_free_disk_mb")  # a setting that it does not know
        write_settings(node, sections)
    site.init_stores()
    made = Mixed(Site(new_terminal(home), site.cluster, site.nodes), Processes(site), release)
    made.processes = Processes(made.site)
    made.processes.releases = dict.fromkeys(MEMBERS, release)
    try:
        made.processes.start(*MEMBERS)
        yield made
    finally:
        made.processes.end()


async def test_an_upgrade_from_the_first_release(mixed: Mixed) -> None:
    await mixed.write()
    for id_ in NEW:
        assert mixed.processes.stop(id_) == 0
        del mixed.processes.releases[id_]
        mixed.processes.start(id_)
        await mixed.write()
    await mixed.check(*MEMBERS)

    for leader in (OLD, *NEW):
        await mixed.let_lead(leader)
        await mixed.write()
        follower = NEW[0] if leader != NEW[0] else OLD
        mixed.processes.kill(follower)
        await mixed.write()
        mixed.processes.start(follower)
        await mixed.write()
        await mixed.check(*MEMBERS)
    assert [await mixed.cluster_format(id_) for id_ in NEW] == [1, 1]
    assert [mixed.refusals(id_) for id_ in MEMBERS] == [[], [], []]

    assert mixed.processes.stop(OLD) == 0
    node = mixed.site.nodes[OLD]
    shutil.copytree(node.data, node.folder / "kept")
    del mixed.processes.releases[OLD]
    mixed.processes.start(OLD)
    async with asyncio.timeout(20):
        while {await mixed.cluster_format(id_) for id_ in MEMBERS} != {2}:
            await asyncio.sleep(0.1)
    await mixed.write()
    await mixed.check(*MEMBERS)

    assert mixed.processes.stop(OLD) == 0
    shutil.rmtree(node.data)
    shutil.copytree(node.folder / "kept", node.data)
    mixed.processes.releases[OLD] = mixed.release
    mixed.processes.start(OLD)
    refusals = until("the refusal", lambda: mixed.refusals(NEW[0]))
    await mixed.write()
    await mixed.check(*NEW)
    assert mixed.refusals(NEW[0]) == refusals
    [line] = refusals
    assert "it reads formats up to 1, and the cluster has format 2" in line
    async with mixed.site.client(mixed.site.nodes[NEW[0]].address) as client:
        alarms = (await client.bbs_status()).alarms
    assert [alarm.partition(":")[0] for alarm in alarms] == [f"{OLD} is refused"]
