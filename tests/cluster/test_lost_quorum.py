"""docs/howto/lost-quorum.md, word for word: three members, two of them killed for ever."""

import asyncio
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from diegod.client import Client
from diegod.client.tasks import task_definition
from diegod.models.epochs import EPOCH_REVISIONS
from diegod.models.errors import DomainError
from diegod.node.statuses import REPLACED
from diegod.v1.record_pb2 import Task
from tests.cluster.roles import Processes, Site, new_site
from tests.cluster.terminal import Terminal, new_terminal
from tests.repo import tree

pytestmark = pytest.mark.timeout(240)
PAGE = tree.ROOT / "docs" / "howto" / "lost-quorum.md"
MEMBERS = ("bbs-1", "bbs-2", "bbs-3")
WRITES = 20
_BLOCK = re.compile(r"^```recovery\n(.*?)^```", re.MULTILINE | re.DOTALL)
_LINE = re.compile(r"(?P<host>[a-z0-9-]+)\$ (?P<command>.+)")


@dataclass(frozen=True)
class Line:
    host: str
    command: str


def lines_of_the_page() -> list[Line]:
    """Every command of the page, in order, with the host that it is typed on."""
    blocks = _BLOCK.findall(PAGE.read_text(encoding="utf-8"))
    typed = [line for block in blocks for line in block.splitlines()]
    matches = [_LINE.fullmatch(line) for line in typed]
    assert all(matches), typed
    return [Line(each["host"], each["command"]) for each in matches if each is not None]


class Hosts:
    """The machines of the page: an init system of three commands, and shells."""

    def __init__(self, site: Site, processes: Processes, user: Terminal) -> None:
        self._site = site
        self._processes = processes
        self._user = user
        self.running: set[str] = set()

    def start(self, *ids: str) -> None:
        self._processes.start(*ids)
        self.running.update(ids)

    def kill(self, *ids: str) -> None:
        self._processes.kill(*ids)
        self.running.difference_update(ids)

    def start_again(self) -> None:
        """Whoever has taken over the state of the others and ended, as Restart=always does."""
        for id_ in sorted(self.running):
            if self._processes.has_ended(id_):
                assert self._processes.ended(id_) == REPLACED
                self._processes.start(id_)

    def type(self, line: Line) -> str:
        """What a command says; one that fails ends the test."""
        if line.command.startswith("systemctl "):
            self._systemctl(line.host, shlex.split(line.command)[1:])
            return ""
        shell = self._user
        if line.host in self._site.nodes:
            node = self._site.nodes[line.host]
            shell = Terminal(self._user.home, {"DIEGOD_CONFIG": str(node.config)})
        return shell.shell(self._here(line)).succeeded().out

    def _here(self, line: Line) -> str:
        """The page's folder and names, as this test has them."""
        command = line.command
        if line.host in self._site.nodes:
            command = command.replace("/var/lib/diegod", str(self._site.nodes[line.host].data))
        for id_, node in self._site.nodes.items():
            command = command.replace(f"{id_}.example.com:8889", node.address)
        return command

    def _systemctl(self, host: str, words: list[str]) -> None:
        match words:
            case ["stop", "diegod"] | ["disable", "--now", "diegod"]:
                if host in self.running:
                    self._processes.stop(host)
                    self.running.discard(host)
            case ["start", "diegod"] | ["enable", "--now", "diegod"]:
                self.start(host)
            case _:
                raise AssertionError(f"no such systemctl here: {words}")


@pytest.fixture
def site(tmp_path: Path) -> Iterator[tuple[Site, Processes]]:
    site = new_site(new_terminal(tmp_path / "home"))
    for id_ in MEMBERS:
        site.add("bbs", id_)
    site.issue("user", "alice", site.folder / "alice")
    site.furnish()
    site.init_stores()
    processes = Processes(site)
    try:
        yield site, processes
    finally:
        processes.end()


async def written(client: Client, guid: str) -> Task:
    """A task for a cell that there isn't; written once it is acknowledged."""
    nowhere = task_definition(guid, rootfs="preloaded:nowhere", argv=["true"])
    async with asyncio.timeout(30):
        while True:
            try:
                return (await client.tasks.desire(nowhere)).task
            except DomainError:
                await asyncio.sleep(0.2)


async def three_voters(client: Client, hosts: Hosts) -> None:
    """Learners that have caught up vote by themselves."""
    async with asyncio.timeout(30):
        while True:
            hosts.start_again()
            try:
                members = list((await client.bbs_status()).members)
            except DomainError:
                members = []
            if [m.member_id for m in members if not m.learner] == list(MEMBERS):
                return
            await asyncio.sleep(0.2)


async def test_the_page(site: tuple[Site, Processes]) -> None:
    lost = MEMBERS[1:]
    page = lines_of_the_page()
    hosts = Hosts(*site, site[0].user())
    hosts.start(*MEMBERS)
    async with site[0].client() as client:
        before = {guid: await written(client, guid) for guid in (f"t{n}" for n in range(WRITES))}
    hosts.kill(*lost)

    joining = next(n for n, line in enumerate(page) if line.command.startswith("mv "))
    said = {line.command: hosts.type(line) for line in page[:joining]}
    assert "of epoch 2" in said["diegod bbs status"]
    assert re.search("^leader +bbs-1", said["diegod bbs status"], re.MULTILINE)
    async with site[0].client(site[0].nodes["bbs-1"].address) as client:
        after = {task.task_guid: task for task in await client.tasks.list()}
        assert set(after) == set(before)
        assert all(task.state == Task.COMPLETED for task in after.values())
        assert {task.failure_reason for task in after.values()} == {
            "quorum recovered, outcome unknown"
        }
        new = await written(client, "new")
        assert new.state == Task.PENDING
        assert new.provenance.revision > EPOCH_REVISIONS
        epoch = (await client.bbs_status()).epoch
    assert epoch == 2
    old = site[0].nodes["bbs-1"].data / "store.before-epoch-2"
    assert (old / "data.mdb").exists()

    for line in page[joining:]:
        hosts.type(line)
    async with site[0].client() as client:
        await three_voters(client, hosts)
        await written(client, "with-three")
    hosts.kill("bbs-1")  # and the two that joined have all of it, and go on
    others = [site[0].nodes[id_].address for id_ in lost]
    async with site[0].client(*others) as client:
        await written(client, "with-two")
        stored = {task.task_guid for task in await client.tasks.list()}
    assert stored == {*before, "new", "with-three", "with-two"}


async def test_an_old_member_is_not_let_in(site: tuple[Site, Processes]) -> None:
    """One that was thought to be lost comes back with its store of the old epoch: alone it decides
    nothing, and the recovered one does not need it."""
    hosts = Hosts(*site, site[0].user())
    hosts.start(*MEMBERS)
    async with site[0].client() as client:
        await written(client, "before")
    hosts.kill(*MEMBERS)
    hosts.type(Line("bbs-1", "diegod bbs recover"))
    hosts.start("bbs-1", "bbs-2")
    async with site[0].client(site[0].nodes["bbs-1"].address) as client:
        await written(client, "after")
    async with site[0].client(site[0].nodes["bbs-2"].address, timeout_s=3.0) as client:
        status = await client.bbs_status()
        assert (status.epoch, status.leader_id) == (1, "")
        nowhere = task_definition("old", rootfs="preloaded:nowhere", argv=["true"])
        with pytest.raises(DomainError):
            await client.tasks.desire(nowhere)
