"""Roles as processes, killed in the midst of work: nothing acknowledged is lost, nothing twice."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from diegod.client import Client
from diegod.client.tasks import task_definition
from diegod.models.errors import DomainError
from diegod.v1.event_pb2 import WatchRequest
from diegod.v1.record_pb2 import ActualLrp, Task
from diegod.v1.task_pb2 import ListTasksReply, ListTasksRequest
from tests.cluster.roles import Processes, Site, new_site
from tests.cluster.terminal import Terminal, new_terminal
from tests.cluster.waiting import is_alive, until, whole_lines

MEMBERS = ("bbs-1", "bbs-2", "bbs-3")
BRAINS = ("brain-1", "brain-2")
CELL = "cell-1"
WRITERS = 4
TAKE_OVER_S = 14.0  # the lease of 10 s, and two seconds for whoever stands by, on a busy machine


@dataclass(frozen=True)
class Ring:
    """Three members, two brains and a cell, all running between the tests."""

    site: Site
    processes: Processes
    user: Terminal

    def client(self) -> Client:
        return self.site.client()


@pytest.fixture(scope="module")
def ring(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ring]:
    site = new_site(new_terminal(tmp_path_factory.mktemp("roles") / "home"))
    for id_ in (*MEMBERS, *BRAINS, CELL):
        site.add(id_.partition("-")[0], id_)
    site.issue("user", "alice", site.folder / "alice")
    site.furnish()
    site.init_stores()
    processes = Processes(site)
    try:
        processes.start(*MEMBERS)
        processes.start(*BRAINS, CELL)
        yield Ring(site, processes, site.user())
    finally:
        processes.end()


@dataclass
class Writing:
    """Records that were acknowledged while something else went on."""

    acknowledged: dict[str, int] = field(default_factory=dict)  # guid -> revision
    stopped: asyncio.Event = field(default_factory=asyncio.Event)

    async def write(self, client: Client, name: str) -> None:
        number = 0
        while not self.stopped.is_set():
            number += 1
            guid = f"{name}-{number}"
            # Work for a cell that there isn't: it stays where it was written.
            nowhere = task_definition(guid, rootfs="preloaded:nowhere", argv=["true"])
            with suppress(DomainError):  # not acknowledged, so nobody relies on it
                reply = await client.tasks.desire(nowhere)
                self.acknowledged[guid] = reply.task.provenance.revision

    async def more(self, count: int = 50) -> None:
        """Returns when so many more have been acknowledged."""
        enough = len(self.acknowledged) + count
        async with asyncio.timeout(30):
            while len(self.acknowledged) < enough:
                await asyncio.sleep(0.02)


@asynccontextmanager
async def writing(ring: Ring, name: str) -> AsyncIterator[Writing]:
    """Several writers in one go; when it ends, all of them have."""
    log = Writing()
    async with ring.client() as client, asyncio.TaskGroup() as group:
        for writer in range(WRITERS):
            group.create_task(log.write(client, f"{name}-{writer}"))
        try:
            yield log
        finally:
            log.stopped.set()


async def stored(client: Client) -> set[str]:
    return {task.task_guid for task in await client.tasks.list()}


async def leader(client: Client) -> str:
    async with asyncio.timeout(15):
        while not (known := (await client.bbs_status()).leader_id):
            await asyncio.sleep(0.1)
    return known


async def lock_owner(client: Client) -> str:
    """Which brain works at this moment; "" for none."""
    async for reply in client.watch(WatchRequest(kinds=["lock"])):
        for row in reply.rows:
            return row.lock.owner
        if reply.rows_end:
            return ""
    return ""


async def test_nothing_acknowledged_is_lost_with_a_leader(ring: Ring) -> None:
    async with ring.client() as client:
        lost = await leader(client)
        async with writing(ring, "leader") as log:
            await log.more()
            ring.processes.kill(lost)
            await log.more()  # by the two others
            await asyncio.to_thread(ring.processes.start, lost)
            await log.more()
        assert set(log.acknowledged) <= await stored(client)
    assert len(set(log.acknowledged.values())) == len(log.acknowledged), "a revision came twice"


async def test_nothing_acknowledged_is_lost_with_all_members_at_once(ring: Ring) -> None:
    async with writing(ring, "all") as log:
        await log.more()
        ring.processes.kill(*MEMBERS)
        await asyncio.to_thread(ring.processes.start, *MEMBERS)
        await log.more()
    async with ring.client() as client:
        assert set(log.acknowledged) <= await stored(client)


async def test_members_hold_the_same(ring: Ring) -> None:
    """Each by itself, once it has applied what the leader has."""
    async with ring.client() as client:
        task = await client.tasks.run(rootfs="preloaded:busybox", argv=["true"])
    seen = [await own_rows(ring, member, task.provenance.revision) for member in MEMBERS]
    assert len(seen[0]) > 100
    assert seen[0] == seen[1] == seen[2]


async def own_rows(ring: Ring, member: str, revision: int) -> list[bytes]:
    """The tasks of one member's own store, at this revision or a later one."""
    async with ring.site.client(ring.site.nodes[member].address) as client, asyncio.timeout(10):
        while (await client.bbs_status()).revision < revision:
            await asyncio.sleep(0.05)
        replies = client.connection.cluster.stream(
            "diegod.v1.TaskService/List", ListTasksRequest(stale=True)
        )
        pages: list[ListTasksReply] = [reply async for reply in replies]
    return [task.SerializeToString(deterministic=True) for page in pages for task in page.tasks]


async def test_a_second_brain_takes_over(ring: Ring) -> None:
    async with ring.client() as client:
        owner = await lock_owner(client)
        assert owner in [f"brain/{brain}" for brain in BRAINS]
        first = owner.removeprefix("brain/")
        [second] = [brain for brain in BRAINS if brain != first]
        ring.processes.kill(first)
        async with asyncio.timeout(TAKE_OVER_S):
            task = await client.tasks.run(rootfs="preloaded:busybox", argv=["true"])
        assert (task.exit_status_known, task.exit_status) == (True, 0)
        assert await lock_owner(client) == f"brain/{second}"
        await asyncio.to_thread(ring.processes.start, first)
        task = await client.tasks.run(rootfs="preloaded:busybox", argv=["true"])
        assert task.exit_status == 0
        assert await lock_owner(client) == f"brain/{second}", "one that comes back takes nothing"


@dataclass(frozen=True)
class Work:
    """Two instances that go on, a task that ends when it is told to; each start writes a line."""

    folder: Path

    @property
    def starts(self) -> Path:
        return self.folder / "starts"

    @property
    def guid(self) -> str:
        """Of its task; the guid of the test before is kept for a day."""
        return self.folder.name.replace("_", "-")[:60]

    @property
    def told(self) -> Path:
        return self.folder / "told"

    @property
    def instance(self) -> str:
        return f"echo $$ >> {self.starts}; exec sleep 600"

    @property
    def task(self) -> str:
        return (
            f"echo $$ >> {self.folder}/task; while [ ! -e {self.told} ]; do sleep 0.05; done; "
            "echo told; exit 5"
        )

    def pids(self) -> list[int]:
        return [int(line) for line in whole_lines(self.starts)]

    def task_pids(self) -> list[int]:
        return [int(line) for line in whole_lines(self.folder / "task")]


@pytest.fixture
def work(ring: Ring, tmp_path: Path) -> Iterator[Work]:
    """Running; removed afterwards."""
    made = Work(tmp_path)
    ring.user.run("lrp", "run", "keeps", "-n", "2", "sh", "-c", made.instance).succeeded()
    ring.user.run("task", "run", "--detach", "--guid", made.guid, "sh", "-c", made.task).succeeded()
    until("the task's start", made.task_pids)
    yield made
    ring.user.run("lrp", "rm", "-y", "keeps")
    ring.user.run("task", "cancel", made.guid)
    until("the end of the instances", lambda: not any(is_alive(pid) for pid in made.pids()))
    ring.user.run("task", "rm", made.guid)


async def instances(ring: Ring) -> list[ActualLrp]:
    async with ring.client() as client:
        rows = await client.lrps.instances(process_guid="keeps")
    return sorted(rows, key=lambda row: row.index)


async def test_a_cell_that_was_killed_finds_its_containers_again(ring: Ring, work: Work) -> None:
    pids, before = work.pids(), await instances(ring)
    ring.processes.kill(CELL)
    [task_pid] = work.task_pids()
    work.told.touch()
    until("the end of the task's program", lambda: not is_alive(task_pid))
    await asyncio.to_thread(ring.processes.start, CELL)
    async with ring.client() as client, asyncio.timeout(15):
        task = await client.tasks.wait(work.guid)
        output = await client.logs(task).text()
    assert (task.state, task.outcome_unknown) == (Task.COMPLETED, False)
    assert (task.exit_status_known, task.exit_status, output) == (True, 5, "told\n")
    assert work.pids() == pids
    assert all(is_alive(pid) for pid in pids)
    assert work.task_pids() == [task_pid]
    assert [(row.instance_guid, row.crash_count, row.state) for row in await instances(ring)] == [
        (row.instance_guid, 0, ActualLrp.RUNNING) for row in before
    ]


async def test_an_instance_that_ended_meanwhile_is_started_again(ring: Ring, work: Work) -> None:
    pids = work.pids()
    ring.processes.kill(CELL)
    ring.user.shell(f"kill -9 {pids[0]}").succeeded()
    await asyncio.to_thread(ring.processes.start, CELL)
    until("a third start", lambda: len(work.pids()) == 3)
    assert work.pids()[:2] == pids
    assert is_alive(pids[1])
    assert is_alive(work.pids()[2])
    assert max(row.crash_count for row in await instances(ring)) == 1


async def test_the_whole_cluster_at_once(ring: Ring, work: Work) -> None:
    """Every process of ours is killed while records are written; the work itself goes on."""
    pids = work.pids()
    async with writing(ring, "whole") as log:
        await log.more()
        ring.processes.kill(*MEMBERS, *BRAINS, CELL)
        await asyncio.to_thread(ring.processes.start, *MEMBERS)
        await asyncio.to_thread(ring.processes.start, *BRAINS, CELL)
        await log.more()
    work.told.touch()
    async with ring.client() as client, asyncio.timeout(20):
        assert set(log.acknowledged) <= await stored(client)
        assert (await client.tasks.wait(work.guid)).exit_status == 5
    assert work.pids() == pids
    assert all(is_alive(pid) for pid in pids)


def test_a_role_that_is_asked_to_end_does_so_quietly(ring: Ring) -> None:
    for id_ in (BRAINS[0], CELL, MEMBERS[0]):
        assert ring.processes.stop(id_) == 0, id_
        assert "Traceback" not in ring.site.nodes[id_].log.read_text()
        ring.processes.start(id_)
