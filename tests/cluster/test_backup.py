"""Backups of a running cluster, restored with its cells at work: nothing starts twice, what runs
goes on."""

import asyncio
import shutil
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from diegod.client import Client
from diegod.client.tasks import task_definition
from diegod.models.epochs import EPOCH_REVISIONS
from diegod.models.errors import DomainError
from diegod.v1.definition_pb2 import Action, LrpDefinition, RunAction
from diegod.v1.record_pb2 import ActualLrp, Cell, Task
from tests.cluster.dev import dev_cluster
from tests.cluster.roles import Processes, Site, new_site, write_settings
from tests.cluster.terminal import Terminal, new_terminal
from tests.cluster.waiting import is_alive, until, whole_lines

pytestmark = pytest.mark.timeout(240)
BBS, BRAIN, CELL = "bbs-1", "brain-1", "cell-1"
SETTLED_S = 40.0  # a lease, a brain that takes over, and a machine that is busy


@dataclass(frozen=True)
class Plant:
    """One member, a brain and a cell; nothing runs until a test says so."""

    site: Site
    processes: Processes
    user: Terminal

    @property
    def backup(self) -> Path:
        return self.user.home / "one.backup"

    def client(self) -> Client:
        return self.site.client()

    def run(self, *arguments: str) -> Any:
        return self.user.run(*arguments).succeeded()

    def save(self) -> None:
        self.run("bbs", "snapshot", "save", str(self.backup))

    def restore(self, *options: str) -> dict[str, Any]:
        """As after the loss of the member's disk, with everything else at work."""
        config = str(self.site.nodes[BBS].config)
        self.processes.stop(BBS)
        shutil.rmtree(self.site.nodes[BBS].data)
        restoring = ["bbs", "snapshot", "restore", str(self.backup), "--config", config, *options]
        record: dict[str, Any] = self.run(*restoring, "-o", "json").record
        self.processes.start(BBS)
        return record


@pytest.fixture
def plant(tmp_path: Path) -> Iterator[Plant]:
    site = new_site(new_terminal(tmp_path / "home"))
    for id_ in (BBS, BRAIN, CELL):
        site.add(id_.partition("-")[0], id_)
    site.issue("user", "alice", site.folder / "alice")
    site.furnish()
    site.init_stores()
    processes = Processes(site)
    try:
        processes.start(BBS)
        yield Plant(site, processes, site.user())
    finally:
        processes.end()


def appending(guid: str, file: Path, then: str = "") -> Any:
    script = f"echo started >> {file}; {then}"
    return task_definition(guid, rootfs="preloaded:busybox", argv=["sh", "-c", script])


async def ended(client: Client, guid: str) -> Task:
    async with asyncio.timeout(SETTLED_S):
        while True:
            try:
                task = await client.tasks.get(guid)
            except DomainError:
                task = Task()
            if task.state == Task.COMPLETED:
                return task
            await asyncio.sleep(0.1)


async def running(
    client: Client, process: str, count: int, guids: Collection[str] = ()
) -> dict[str, ActualLrp]:
    """The ordinary instances of a process by guid, once so many (and these) run, and no others
    are left, on a cell that is there."""
    async with asyncio.timeout(SETTLED_S):
        while True:
            try:
                rows = await client.lrps.instances(process_guid=process)
                cells = await client.cells.list()
            except DomainError:
                rows, cells = [], []
            up = [r for r in rows if r.state == ActualLrp.RUNNING and r.presence == r.ORDINARY]
            there = cells and all(each.cell.state == Cell.PRESENT for each in cells)
            found = {row.instance_guid: row for row in up}
            if len(up) == len(rows) == count and there and set(guids) <= set(found):
                return found
            await asyncio.sleep(0.1)


def web(guid: str, folder: Path, instances: int) -> LrpDefinition:
    """Each instance leaves its pid, so that a test can see that it is still the same."""
    script = f"echo $$ >> {folder}/{guid}.pids; exec sleep 600"
    run = RunAction(path="/bin/sh", args=["-c", script])
    return LrpDefinition(
        process_guid=guid,
        domain="default",
        rootfs="preloaded:busybox",
        instances=instances,
        action=Action(run=run),
        memory_mb=16,
        disk_mb=16,
    )


async def test_a_task_that_ran_after_the_backup_is_never_run_again(plant: Plant) -> None:
    """The promise of a backup taken before a task ran: its file has one line."""
    file = plant.user.home / "lines"
    async with plant.client() as client:
        await client.tasks.desire(appending("once", file))
        await client.tasks.desire(appending("goes-on", plant.user.home / "on", "sleep 600"))
    plant.save()  # PENDING: neither a brain nor a cell is there
    plant.processes.start(BRAIN, CELL)
    async with plant.client() as client:
        assert not (await ended(client, "once")).failed
        until("the other one runs", lambda: whole_lines(plant.user.home / "on"))
    assert whole_lines(file) == ["started"]

    reborn = plant.restore()
    assert (reborn["epoch"], reborn["failed_tasks"]) == (2, 2)
    async with plant.client() as client:
        task = await client.tasks.get("once")
        assert (task.state, task.failed, task.outcome_unknown) == (Task.COMPLETED, True, True)
        assert task.failure_reason == "cluster restored, outcome unknown"
        assert task.provenance.by == f"bbs/{BBS}"
        assert task.provenance.revision > EPOCH_REVISIONS
        # Work goes on: what is desired now is placed and run, under attempts of the new epoch.
        await client.tasks.desire(appending("after", plant.user.home / "after"))
        done = await ended(client, "after")
        assert not done.failed
        assert done.attempt > EPOCH_REVISIONS
        assert (await client.tasks.get("goes-on")).outcome_unknown
    assert whole_lines(file) == ["started"]
    assert whole_lines(plant.user.home / "on") == ["started"]


async def test_instances_keep_their_processes(plant: Plant) -> None:
    """What the backup knows, what took the place of that, and what it has never heard of."""
    home = plant.user.home
    plant.processes.start(BRAIN, CELL)
    async with plant.client() as client:
        await client.lrps.desire(web("known", home, 1))
        await client.lrps.desire(web("grown", home, 2))
        before = await running(client, "known", 1)
        kept = await running(client, "grown", 2)
        plant.save()
        # After the backup one instance dies, and is there again under another guid.
        first = int(whole_lines(home / "grown.pids")[0])
        plant.user.shell(f"kill -9 {first}").succeeded()
        until("it is started again", lambda: len(whole_lines(home / "grown.pids")) == 3)
        after = await running(client, "grown", 2)
        assert set(after) != set(kept), "the backup has another one than runs now"
        await client.lrps.desire(web("unknown", home, 1))
        stranger = await running(client, "unknown", 1)
    pids = {name: whole_lines(home / f"{name}.pids") for name in ("known", "grown", "unknown")}

    plant.restore()
    async with plant.client() as client:
        await running(client, "known", 1, before)
        adopted = await running(client, "grown", 2, after)
        assert all(row.provenance.revision > EPOCH_REVISIONS for row in adopted.values())
        # Nobody has desired it in this epoch; it is left alone until somebody does.
        await client.lrps.desire(web("unknown", home, 1))
        await running(client, "unknown", 1, stranger)
        # And a brain at work finds nothing to do about any of them.
        await client.tasks.desire(appending("after", home / "after"))
        await ended(client, "after")
    assert {name: whole_lines(home / f"{name}.pids") for name in pids} == pids
    alive = [int(pid) for each in pids.values() for pid in each if int(pid) != first]
    assert [pid for pid in alive if not is_alive(pid)] == []


async def test_a_backup_is_inspected_verified_and_never_overwritten(plant: Plant) -> None:
    async with plant.client() as client:
        for number in range(20):
            await client.tasks.desire(appending(f"t{number}", plant.user.home / "none"))
    plant.save()
    shown = plant.run("bbs", "snapshot", "inspect", str(plant.backup), "-o", "json").record
    assert (shown["cluster_name"], shown["member_id"], shown["epoch"]) == ("prod", BBS, 1)
    assert shown["counts"]["task"] == 20
    assert plant.backup.stat().st_mode & 0o777 == 0o600
    assert "20 of epoch 1" in plant.run("bbs", "snapshot", "inspect", str(plant.backup)).out
    assert "is whole" in plant.run("bbs", "snapshot", "verify", str(plant.backup)).err

    again = plant.user.run("bbs", "snapshot", "save", str(plant.backup))
    assert (again.status, again.out) == (2, "")
    assert "a backup is never overwritten" in again.err

    content = bytearray(plant.backup.read_bytes())
    content[len(content) // 2] ^= 1
    damaged = plant.user.home / "damaged.backup"
    damaged.write_bytes(content)
    refused = plant.user.run("bbs", "snapshot", "verify", str(damaged))
    assert refused.status == 1
    assert "is damaged" in refused.err
    assert "Traceback" not in refused.err
    config = ["--config", str(plant.site.nodes[BBS].config)]
    under_way = plant.user.run("bbs", "snapshot", "restore", str(plant.backup), *config)
    assert under_way.status != 0
    assert "is in use by pid" in under_way.err


async def test_backups_by_themselves(plant: Plant) -> None:
    """Kept by number, handed on; what fails stands among the alarms until it succeeds."""
    node, directory = plant.site.nodes[BBS], plant.user.home / "backups"
    shipped, closed = plant.user.home / "shipped", plant.user.home / "closed"
    ship = plant.user.home / "ship"
    ship.write_text(f'#!/bin/sh\n[ ! -e {closed} ] || exit 7\necho "$1" >> {shipped}\n')
    ship.chmod(0o700)
    sections = plant.site.settings(node)
    sections["bbs.backup"] = {
        "directory": str(directory),
        "every_h": 0.001,
        "keep": 2,
        "after": [str(ship), "{file}"],
    }
    write_settings(node, sections)
    plant.processes.stop(BBS)
    plant.processes.start(BBS)

    def listed() -> list[dict[str, Any]]:
        command = ["bbs", "snapshot", "ls", "--config", str(node.config), "-o", "json"]
        return plant.run(*command).records  # type: ignore[no-any-return]

    until("four were handed on", lambda: len(whole_lines(shipped)) >= 4, 60.0)
    kept = until("two are kept", lambda: listed() if len(listed()) == 2 else [], 20.0)
    assert all(row["verified"] and row["member_id"] == BBS for row in kept)
    assert not set(whole_lines(shipped)[:2]) & {row["file"] for row in kept}
    closed.touch()
    async with plant.client() as client:
        await alarms(client, "ended with status 7")
    assert "ALARM" in plant.run("bbs", "status").out


async def alarms(client: Client, said: str) -> None:
    async with asyncio.timeout(60):
        while not any(said in each for each in (await client.bbs_status()).alarms):
            await asyncio.sleep(0.2)


async def test_three_members_give_their_disks_back(tmp_path: Path) -> None:
    """One after the other, the leader last, under a supervisor that starts them again."""
    terminal = new_terminal(tmp_path / "home")
    with dev_cluster(terminal, "exec", "--members", "3", "--cells", "1") as dev:
        async with dev.client() as client:
            await _filled_and_emptied(client)
            leader = (await client.bbs_status()).leader_id
            kept = await client.tasks.desire(appending("kept", tmp_path / "none"))
            done = dev.run("bbs", "compact", "-o", "json", timeout_s=120).succeeded()
            assert f"{leader} led the others; " in done.err
            rows = done.records
            assert [row["member_id"] for row in rows][-1] == leader
            assert len(rows) == 3
            assert all(row["bytes_after"] < 0.7 * row["bytes_before"] for row in rows)
            assert (await client.bbs_status()).leader_id != leader
            assert (await client.tasks.get("kept")).attempt >= kept.task.attempt
            assert (await ended(client, "kept")).state == Task.COMPLETED
        again = dev.run("bbs", "compact", "-o", "json", timeout_s=120).succeeded().records
        assert all(row["bytes_after"] == row["bytes_before"] for row in again)


async def _filled_and_emptied(client: Client) -> None:
    """200 tasks of 100 kB each, for a cell that there is not."""
    env = {"PAYLOAD": "x" * 100_000}
    for number in range(200):
        await client.tasks.desire(
            task_definition(f"big-{number}", rootfs="preloaded:no", argv=["true"], env=env)
        )
    for number in range(200):
        await client.tasks.cancel(f"big-{number}")
        await client.tasks.delete(f"big-{number}")
