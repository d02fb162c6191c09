"""Reads that take long: they hold up neither the tick, nor the event loop, nor one another."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from diegod.internal.v1.command_pb2 import Command, DesireTask, UpsertDomain
from diegod.models.errors import DomainError, Reason
from diegod.raftbbs.edge import access
from diegod.raftbbs.edge.access import unhurried
from diegod.raftbbs.edge.cells import CellService
from diegod.raftbbs.edge.tasks import TaskService
from diegod.raftbbs.edge.watch import EventService
from diegod.v1 import cell_pb2, task_pb2
from diegod.v1.event_pb2 import WatchRequest
from diegod.v1.record_pb2 import Task
from tests.unit.raftbbs.bbs import ANN, C1, Bbs, collected, refused, running


async def _tasks(bbs: Bbs, count: int) -> None:
    commands = [
        Command(by=str(ANN), desire_task=DesireTask(task=Task(task_guid=f"t{n}", domain="d")))
        for n in range(count)
    ]
    await bbs.member.submit(commands)


class Turns:
    """Counts how often others got a turn."""

    def __init__(self) -> None:
        self.count = 0

    async def __aenter__(self) -> "Turns":
        self._task = asyncio.create_task(self._keep_counting())
        await asyncio.sleep(0)
        return self

    async def __aexit__(self, *error: object) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _keep_counting(self) -> None:
        while True:
            self.count += 1
            await asyncio.sleep(0)


async def test_many_rows_leave_others_their_turn() -> None:
    async with Turns() as turns:
        rows = [row async for row in unhurried(iter(range(5000)))]
    assert rows == list(range(5000))
    assert turns.count >= 10


async def test_a_search_that_finds_nothing_does_not_stop_the_heartbeats(tmp_path: Path) -> None:
    async with running(tmp_path / "m1") as bbs:
        await _tasks(bbs, 3000)
        for replies in (
            TaskService(bbs.access).list(task_pb2.ListTasksRequest(domain="none", stale=True), ANN),
            CellService(bbs.access).list(cell_pb2.ListCellsRequest(stale=True), ANN),
        ):
            async with Turns() as turns:
                await collected(replies)
            assert turns.count >= 5


async def test_readers_who_stopped_reading_take_no_reader_from_the_tick(tmp_path: Path) -> None:
    """LMDB has room for 126; a tick that finds none ends the member."""
    async with running(tmp_path / "m1") as bbs:
        await bbs.with_cell(C1)
        await _tasks(bbs, 10)
        request = task_pb2.ListTasksRequest(stale=True, page_size=1)
        listings: list[AsyncIterator[task_pb2.ListTasksReply]] = [
            TaskService(bbs.access).list(request, ANN) for _ in range(200)
        ]
        stalled = [asyncio.ensure_future(anext(listing)) for listing in listings]
        try:
            await asyncio.wait(stalled, timeout=1)
            assert sum(each.done() for each in stalled) == access.MOMENTS_MAX
            with bbs.access.state() as state:
                assert state.task("t1") is not None
            await bbs.done(ANN, upsert_domain=UpsertDomain(domain="d"))
            for listing in listings[: access.MOMENTS_MAX]:
                await listing.aclose()  # type: ignore[attr-defined]
            await asyncio.wait(stalled[: 2 * access.MOMENTS_MAX], timeout=5)
            assert sum(each.done() for each in stalled) >= 2 * access.MOMENTS_MAX
        finally:
            for each in stalled:
                each.cancel()
            await asyncio.gather(*stalled, return_exceptions=True)
            for listing in listings:
                await listing.aclose()  # type: ignore[attr-defined]


async def test_a_read_is_linearizable_unless_it_is_asked_to_be_stale(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a member can't prove that it is up to date, only who wants it stale gets an answer."""
    async with running(tmp_path / "m1") as bbs:
        await _tasks(bbs, 2)
        no_leader = DomainError(Reason.UNAVAILABLE, "no leader")

        async def barrier() -> None:
            raise no_leader

        monkeypatch.setattr(bbs.member, "barrier", barrier)
        tasks, cells = TaskService(bbs.access), CellService(bbs.access)
        for fresh in (
            tasks.get(task_pb2.GetTaskRequest(task_guid="t1"), ANN),
            collected(tasks.list(task_pb2.ListTasksRequest(), ANN)),
            collected(cells.list(cell_pb2.ListCellsRequest(), ANN)),
            cells.get(cell_pb2.GetCellRequest(cell_id="c1"), ANN),
            collected(EventService(bbs.access).watch(WatchRequest(), ANN)),
        ):
            assert await refused(fresh) is no_leader
        stale = await tasks.get(task_pb2.GetTaskRequest(task_guid="t1", stale=True), ANN)
        assert stale.task.task_guid == "t1"
        assert await collected(tasks.list(task_pb2.ListTasksRequest(stale=True), ANN))
