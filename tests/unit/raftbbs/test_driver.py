"""Who ticks: results in order, ends that leave nobody behind, failures that nobody outlives."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from diegod.internal.v1.command_pb2 import Command, UpsertDomain
from diegod.raftbbs.driver import LoopDriver, ThreadDriver
from diegod.raftbbs.member import Member
from diegod.raftbbs.ticking import Inbox, TickResult
from diegod.world import SystemClock
from tests.unit.raftbbs.bbs import ANN, Parts, parts


class Running:
    def __init__(self, made: Parts, member: Member, task: "asyncio.Task[None]") -> None:
        self.parts, self.member, self.task = made, member, task
        self.failures: list[BaseException] = []


@asynccontextmanager
async def threaded(folder: Path) -> AsyncIterator[Running]:
    made = parts(folder)
    failures: list[BaseException] = []
    driver = ThreadDriver(made.ticking, SystemClock(), failures.append)
    member = Member(made.birth, made.environment, made.tables, made.log.leadership(), driver.wake)
    run = Running(made, member, asyncio.create_task(driver.run(member)))
    run.failures = failures
    try:
        yield run
    finally:
        run.task.cancel()
        await asyncio.gather(run.task, return_exceptions=True)
        made.environment.close()


async def _leads(member: Member) -> None:
    async with asyncio.timeout(5):
        while not member.leadership.noop_applied:
            await asyncio.sleep(0.001)


def _write(member: Member, name: str) -> "asyncio.Task[object]":
    command = Command(by=str(ANN), upsert_domain=UpsertDomain(domain=name))
    return asyncio.ensure_future(member.submit([command]))


async def test_writes_and_reads_from_many_at_once_are_all_answered(tmp_path: Path) -> None:
    async with threaded(tmp_path / "m1") as run:
        await _leads(run.member)
        async with asyncio.timeout(10):
            writes = [_write(run.member, f"d{number}") for number in range(200)]
            reads = [asyncio.ensure_future(run.member.barrier()) for _ in range(200)]
            await asyncio.gather(*writes, *reads)
        assert run.member.counters().revision == 200
        assert run.member.feed.revision == 200


async def test_a_read_on_the_loop_sees_a_whole_tick_or_nothing_of_it(tmp_path: Path) -> None:
    async with threaded(tmp_path / "m1") as run:
        await _leads(run.member)
        commands = [
            Command(by=str(ANN), upsert_domain=UpsertDomain(domain=f"d{n}")) for n in range(10)
        ]
        writing = asyncio.gather(*(run.member.submit(commands) for _ in range(20)))
        seen = {0}
        while not writing.done():
            seen.add(run.member.counters().revision % 10)
            await asyncio.sleep(0)
        await writing
        assert seen == {0}


async def test_the_end_waits_for_the_tick_that_is_under_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long it takes: the store is closed next."""
    async with threaded(tmp_path / "m1") as run:
        await _leads(run.member)
        begun, go_on = threading.Event(), threading.Event()
        tick = run.parts.ticking.tick
        ended = []

        def slow(inbox: Inbox, monotonic_s: float, wall_s: float) -> TickResult:
            begun.set()
            go_on.wait(20)
            result = tick(inbox, monotonic_s, wall_s)
            ended.append(True)
            return result

        monkeypatch.setattr(run.parts.ticking, "tick", slow)
        await asyncio.to_thread(begun.wait, 5)
        run.task.cancel()
        await asyncio.wait([run.task], timeout=5.5)
        assert not run.task.done()
        go_on.set()
        await asyncio.wait([run.task], timeout=5)
        assert run.task.cancelled()
        assert ended
        assert not any(each.name == "tick" for each in threading.enumerate())
        assert run.failures == []


async def test_a_tick_that_fails_is_told_and_is_the_last_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with threaded(tmp_path / "m1") as run:
        await _leads(run.member)
        broken = OSError("the disk is gone")

        def failing(inbox: Inbox, monotonic_s: float, wall_s: float) -> TickResult:
            raise broken

        monkeypatch.setattr(run.parts.ticking, "tick", failing)
        async with asyncio.timeout(5):
            while not run.failures:
                await asyncio.sleep(0.01)
        assert run.failures[0] is broken


async def test_half_a_delivery_is_a_failure_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else changes that are on disk would never be told, and nobody would know."""
    async with threaded(tmp_path / "m1") as run:
        await _leads(run.member)
        broken = RuntimeError("a watcher's fault")

        def failing(revision: int, changes: object) -> None:
            raise broken

        monkeypatch.setattr(run.member.feed, "publish", failing)
        writing = _write(run.member, "d")
        async with asyncio.timeout(5):
            while not run.failures:
                await asyncio.sleep(0.01)
        assert run.failures[0] is broken
        writing.cancel()


async def test_on_the_loop_a_failure_ends_the_driver(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = parts(tmp_path / "m1")
    driver = LoopDriver(made.ticking, SystemClock())
    member = Member(made.birth, made.environment, made.tables, made.log.leadership(), driver.wake)

    def failing(inbox: Inbox, monotonic_s: float, wall_s: float) -> TickResult:
        raise OSError("the disk is gone")

    monkeypatch.setattr(made.ticking, "tick", failing)
    try:
        with pytest.raises(OSError, match="gone"):
            await asyncio.wait_for(driver.run(member), 5)
    finally:
        made.environment.close()
