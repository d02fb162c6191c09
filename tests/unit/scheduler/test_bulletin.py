"""The brain's view stays as it is while somebody works on it, and never shows half a change."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from diegod.internal.v1.command_pb2 import Command, Outcome
from diegod.internal.v1.ring_pb2 import RenewReply, RenewRequest
from diegod.scheduler.bulletin import Bulletin
from diegod.v1.event_pb2 import WatchReply, WatchRequest
from diegod.v1.record_pb2 import ActualLrp, Change
from diegod.world import SystemClock
from tests.unit.scheduler.core.rows import a_change, an_instance


class Feed:
    """A BBS that only tells what the test says."""

    def __init__(self) -> None:
        self.replies: asyncio.Queue[WatchReply] = asyncio.Queue()

    async def watch(self, request: WatchRequest) -> AsyncIterator[WatchReply]:
        while True:
            yield await self.replies.get()

    async def submit(self, commands: Sequence[Command]) -> Sequence[Outcome]:
        raise AssertionError("a bulletin is only read")

    async def renew(self, request: RenewRequest) -> RenewReply:
        raise AssertionError("a bulletin is only read")


async def turns(count: int = 50) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


class Following:
    """A bulletin that has seen its beginning: no rows, at revision 5."""

    async def __aenter__(self) -> "Following":
        self.feed = Feed()
        self.settled = 0
        self.bulletin = Bulletin(self.feed, SystemClock(), self._settle)
        self.bulletin.open()
        self._task = asyncio.create_task(self.bulletin.follow())
        await self.feed.replies.put(WatchReply(rows_end=True, revision=5))
        await self.bulletin.until_seen(5)
        return self

    def _settle(self) -> None:
        self.settled += 1

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def tell(self, *changes: Change) -> None:
        last = changes[-1].revision
        await self.feed.replies.put(WatchReply(changes=changes, revision=last))
        await turns()


def made(number: int, revision: int) -> Change:
    row = an_instance("web", number, ActualLrp.UNCLAIMED, instance_guid=f"i{number}")
    return a_change(row, revision, Change.CREATED)


def test_while_it_is_held_nothing_changes_and_afterwards_all_does() -> None:
    async def scenario() -> None:
        async with Following() as at:
            with at.bulletin.held():
                await at.tell(made(0, 6), made(1, 7))
                assert at.bulletin.snapshot.instances == {}
                assert at.bulletin.snapshot.revision == 5
                assert at.bulletin.take_touched() == []
            await turns()
            assert list(at.bulletin.snapshot.instances) == ["i0", "i1"]
            assert at.bulletin.snapshot.revision == 7
            assert [key.guid for key in at.bulletin.take_touched()] == ["web"]

    asyncio.run(scenario())


def test_a_new_beginning_waits_for_its_end_as_well() -> None:
    async def scenario() -> None:
        async with Following() as at:
            at.bulletin.is_complete = False
            with at.bulletin.held():
                reply = WatchReply(rows=[made(0, 6)], rows_end=True, revision=6)
                await at.feed.replies.put(reply)
                await turns()
                assert at.bulletin.snapshot.revision == 5
            await turns()
            assert at.bulletin.snapshot.revision == 6

    asyncio.run(scenario())


def test_work_that_fails_does_not_hold_it_for_ever() -> None:
    async def scenario() -> None:
        async with Following() as at:
            with pytest.raises(ValueError, match="halfway"), at.bulletin.held():
                raise ValueError("halfway")
            await at.tell(made(0, 6))
            assert at.bulletin.snapshot.revision == 6

    asyncio.run(scenario())


def test_a_large_reply_is_taken_up_in_parts_and_no_revision_in_halves() -> None:
    """Others have the loop in between, and see what was at one revision."""

    async def scenario() -> None:
        async with Following() as at:
            changes = [made(number, 6 + number // 30) for number in range(1500)]
            seen: list[tuple[int, int]] = []

            async def look() -> None:
                while True:
                    snapshot = at.bulletin.snapshot
                    seen.append((snapshot.revision, len(snapshot.instances)))
                    await asyncio.sleep(0)

            looking = asyncio.create_task(look())
            await at.tell(*changes)
            looking.cancel()
            states = list(dict.fromkeys(seen))
            assert states[0] == (5, 0)
            assert states[-1] == (55, 1500)
            assert len(states) > 4
            for revision, count in states:
                assert count == 30 * (revision - 5)

    asyncio.run(scenario())


def test_every_so_many_rows_the_process_is_told_that_they_stay() -> None:
    async def scenario() -> None:
        async with Following() as at:
            await at.tell(*(made(number, 6 + number) for number in range(4_000)))
            assert at.settled == 0
            await at.tell(*(made(number, 6 + number) for number in range(4_000, 8_000)))
            assert at.settled == 1

    asyncio.run(scenario())
