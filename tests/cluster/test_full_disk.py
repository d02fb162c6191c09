"""A member whose disk is full while it runs: it ends, says why, and has lost nothing."""

import asyncio
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from diegod.client import Client
from diegod.client.tasks import task_definition
from diegod.models.errors import DomainError
from tests.cluster.roles import Node, Processes, Site, new_site, write_settings
from tests.cluster.situations import fill
from tests.cluster.terminal import Terminal

FATAL = 70
MEMBER = "bbs-1"

pytestmark = pytest.mark.root


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small file system of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "diegod", str(folder)], check=True)
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture
def site(terminal: Terminal, disk: Path) -> Iterator[tuple[Site, Processes]]:
    made = new_site(terminal)
    member = made.add("bbs", MEMBER)
    made.issue("user", "alice", made.folder / "alice")
    sections = made.settings(member)
    sections["node"]["data_dir"] = str(disk / "data")
    sections["bbs"]["min_free_disk_mb"] = 0
    write_settings(member, sections)
    made.init_stores()
    processes = Processes(made)
    yield made, processes
    processes.end()


async def write(client: Client, guid: str) -> None:
    nowhere = task_definition(guid, rootfs="preloaded:nowhere", argv=["true"])
    nowhere.annotation = "x" * 8_000
    await client.tasks.desire(nowhere)


async def write_until_refused(client: Client) -> set[str]:
    """What was acknowledged before."""
    acknowledged: set[str] = set()
    async with asyncio.timeout(30):
        while True:
            guid = f"task-{len(acknowledged)}"
            try:
                await write(client, guid)
            except DomainError:
                return acknowledged
            acknowledged.add(guid)


async def test_it_ends_and_comes_back_with_everything(
    site: tuple[Site, Processes], disk: Path
) -> None:
    made, processes = site
    processes.start(MEMBER)
    async with made.client(timeout_s=2.0) as client:
        await write(client, "first")
        fill(disk)
        acknowledged = await write_until_refused(client)
        assert await asyncio.to_thread(processes.ended, MEMBER) == FATAL
        assert said(made.nodes[MEMBER]).startswith(
            "diegod: the store or the log failed, this member ends ("
        )
        assert "No space left on device" in said(made.nodes[MEMBER])
        (disk / "filler").unlink()
        await asyncio.to_thread(processes.start, MEMBER)
        stored = {task.task_guid for task in await client.tasks.list()}
        assert stored >= acknowledged | {"first"}
        await write(client, "last")


async def test_with_little_left_new_work_is_refused_and_room_can_be_made(
    site: tuple[Site, Processes], disk: Path
) -> None:
    made, processes = site
    member = made.nodes[MEMBER]
    processes.start(MEMBER)
    async with made.client(timeout_s=2.0) as client:
        await write(client, "first")
        await write(client, "second")
        assert await asyncio.to_thread(processes.stop, MEMBER) == 0
        sections = made.settings(member)
        sections["node"]["data_dir"] = str(disk / "data")
        sections["bbs"]["min_free_disk_mb"] = 3  # its whole disk has two
        write_settings(member, sections)
        await asyncio.to_thread(processes.start, MEMBER)
        with pytest.raises(DomainError, match="new work needs 3 MB: make room") as refused:
            await write(client, "third")
        assert refused.value.applied == "no"
        assert (await client.status()).bbs.alarms
        await client.tasks.cancel("first")
        await client.tasks.delete("first")
        assert {task.task_guid for task in await client.tasks.list()} == {"second"}


def said(member: Node) -> str:
    """Its last words for people."""
    lines = [line for line in member.log.read_text().splitlines() if line.startswith("diegod:")]
    return lines[-1] if lines else ""
