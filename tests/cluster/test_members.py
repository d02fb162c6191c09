"""Members come and go, one loses its disk, the leadership moves: a writer loses nothing."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from diegod.client import Client
from diegod.client.tasks import task_definition
from diegod.models.errors import DomainError
from tests.cluster.roles import Node, Processes, new_site, refused_start
from tests.cluster.terminal import PROGRAM, Done, new_terminal
from tests.cluster.waiting import until

REFUSED, NOT_CURABLE = 4, 78
VOTES_S = 30.0


class Cluster:
    """One member at first; two more nodes that may join. Commands as an operator types them."""

    def __init__(self, home: Path) -> None:
        self.site = new_site(new_terminal(home))
        for number in (1, 2, 3):
            self.site.add("bbs", f"bbs-{number}")
        self.site.issue("user", "alice", self.site.folder / "alice")
        self.site.furnish()
        self.processes = Processes(self.site)
        self.user = self.site.user()
        self.diegod("bbs", "init", config=self.node("bbs-1")).succeeded()
        self.processes.start("bbs-1")

    def node(self, id_: str) -> Node:
        return self.site.nodes[id_]

    def diegod(self, *words: str, config: Node | None = None) -> Done:
        at = ["--config", str(config.config)] if config is not None else []
        return self.user.run(*words, *at)

    def join(self, id_: str, *options: str, to: str = "bbs-1") -> Done:
        return self.diegod("bbs", "join", self.node(to).address, *options, config=self.node(id_))

    def start_refused(self, id_: str) -> Done:
        command = [str(PROGRAM), "--role=bbs", "--config", str(self.node(id_).config)]
        return refused_start(self.site.terminal, command)

    def members(self) -> dict[str, dict[str, Any]]:
        listed = self.diegod("bbs", "members", "-o", "json").succeeded().records
        return {member["member_id"]: member for member in listed}

    def until_votes(self, id_: str) -> None:
        def votes() -> bool:
            member = self.members().get(id_)
            return member is not None and not member["learner"]

        until(f"{id_} votes", votes, VOTES_S)

    def leader(self) -> str:
        def known() -> str:
            done = self.diegod("bbs", "status", "-o", "json")
            return str(done.record["leader_id"]) if done.status == 0 else ""

        return until("somebody leads", known)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    made = Cluster(tmp_path / "home")
    try:
        yield made
    finally:
        made.processes.end()


class Writer:
    """Writes one record after the other, and remembers which were acknowledged."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.acknowledged: set[str] = set()
        self.stopped = False

    async def run(self) -> None:
        number = 0
        while not self.stopped:
            number += 1
            # Work for a cell that there isn't: it stays where it was written.
            nowhere = task_definition(f"w-{number}", rootfs="preloaded:nowhere", argv=["true"])
            with suppress(DomainError):  # not acknowledged, so nobody relies on it
                await self.client.tasks.desire(nowhere)
                self.acknowledged.add(nowhere.task_guid)

    async def goes_on(self, count: int = 10) -> None:
        """Returns when so many more have been acknowledged."""
        enough = len(self.acknowledged) + count
        async with asyncio.timeout(30):
            while len(self.acknowledged) < enough:
                await asyncio.sleep(0.02)


@asynccontextmanager
async def writing(cluster: Cluster) -> AsyncIterator[Writer]:
    """Whatever was acknowledged in here must be there at the end."""
    async with cluster.site.client() as client, asyncio.TaskGroup() as group:
        writer = Writer(client)
        group.create_task(writer.run())
        try:
            await writer.goes_on()
            yield writer
            await writer.goes_on()
        finally:
            writer.stopped = True
        stored = {task.task_guid for task in await client.tasks.list()}
        assert writer.acknowledged <= stored


async def test_a_cluster_grows_loses_a_disk_and_shrinks(cluster: Cluster) -> None:
    async with writing(cluster) as writer:
        await asyncio.to_thread(_grow, cluster)
        await writer.goes_on()
        await asyncio.to_thread(_lose_and_replace_a_disk, cluster)
        await writer.goes_on()
        await asyncio.to_thread(_give_the_leadership_away, cluster)
        await writer.goes_on()
        await asyncio.to_thread(_remove_the_leader, cluster)
        await writer.goes_on()


def _grow(cluster: Cluster) -> None:
    for id_ in ("bbs-2", "bbs-3"):
        joined = cluster.join(id_).succeeded()
        assert f"the store of {id_} is made in {cluster.node(id_).data}" in joined.err
        assert cluster.members()[id_]["learner"]
        cluster.processes.start(id_)
        cluster.until_votes(id_)
    assert {id_: member["connected"] for id_, member in cluster.members().items()} == {
        "bbs-1": True,
        "bbs-2": True,
        "bbs-3": True,
    }
    assert f"is in use by pid {cluster.processes.pid('bbs-3')} " in cluster.join("bbs-3").err


def _lose_and_replace_a_disk(cluster: Cluster) -> None:
    cluster.processes.kill("bbs-2")
    still_there = cluster.join("bbs-2", "--replace")
    assert still_there.status == NOT_CURABLE
    assert "is not empty: whoever joins begins without a store" in still_there.err
    shutil.rmtree(cluster.node("bbs-2").data / "store")
    refused = cluster.start_refused("bbs-2")
    assert refused.status == NOT_CURABLE
    assert "`diegod bbs join ADDRESS`" in refused.err
    without = cluster.join("bbs-2")
    assert (without.status, without.out) == (1, "")
    assert without.err.startswith("diegod: bbs-2 is a voter, with another store. If that store is")
    cluster.join("bbs-2", "--replace", to="bbs-3").succeeded()
    assert cluster.members()["bbs-2"]["learner"]
    cluster.processes.start("bbs-2")
    cluster.until_votes("bbs-2")


def _give_the_leadership_away(cluster: Cluster) -> None:
    led = cluster.leader()
    done = cluster.diegod("bbs", "transfer", "bbs-2", "-o", "json").succeeded()
    assert done.record == {"leader_id": "bbs-2"}
    assert led != "bbs-2"
    assert cluster.leader() == "bbs-2"


def _remove_the_leader(cluster: Cluster) -> None:
    done = cluster.diegod("bbs", "remove", "bbs-2").succeeded()
    assert "bbs-2 led the others; " in done.err
    assert sorted(cluster.members()) == ["bbs-1", "bbs-3"]
    assert cluster.processes.ended("bbs-2") == NOT_CURABLE
    last_words = cluster.node("bbs-2").log.read_text().splitlines()[-1]
    assert last_words.startswith("diegod: bbs-2 with the store ")
    assert "is not a member of this cluster any more" in last_words


def test_what_would_leave_no_majority_is_refused(cluster: Cluster) -> None:
    alone = cluster.diegod("bbs", "remove", "bbs-1")
    assert alone.status == REFUSED
    assert "there is no other voter" in alone.err or "no other voter is connected" in alone.err
    cluster.join("bbs-2").succeeded()
    cluster.processes.start("bbs-2")
    cluster.until_votes("bbs-2")
    cluster.join("bbs-3").succeeded()
    cluster.processes.start("bbs-3")
    cluster.until_votes("bbs-3")
    if cluster.leader() == "bbs-3":
        cluster.diegod("bbs", "transfer", "bbs-1").succeeded()
    cluster.processes.kill("bbs-3")
    until("bbs-3 is gone", lambda: not cluster.members()["bbs-3"]["connected"])
    follower = next(id_ for id_ in ("bbs-1", "bbs-2") if id_ != cluster.leader())
    refused = cluster.diegod("bbs", "remove", follower)
    assert refused.status == REFUSED
    assert f"without {follower} nothing could be decided any more" in refused.err
    cluster.diegod("bbs", "remove", "bbs-3").succeeded()
    assert cluster.start_refused("bbs-3").status == NOT_CURABLE
    gone = cluster.diegod("bbs", "remove", "bbs-3")
    assert (gone.status, 'there is no member "bbs-3"' in gone.err) == (3, True)


def test_a_join_that_broke_off_is_mended_by_joining_again(cluster: Cluster) -> None:
    """The cluster knows of it; its store was never made, or not whole."""
    cluster.join("bbs-2").succeeded()
    store = cluster.node("bbs-2").data / "store"
    store.rename(store.with_name("store.joining"))
    assert cluster.start_refused("bbs-2").status == NOT_CURABLE
    cluster.join("bbs-2").succeeded()
    assert not store.with_name("store.joining").exists()
    cluster.processes.start("bbs-2")
    cluster.until_votes("bbs-2")
