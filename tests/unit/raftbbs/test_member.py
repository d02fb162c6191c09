"""A member on its event loop: who waits is answered, and nothing crosses a connection's end."""

import asyncio
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from diegod.internal.v1.command_pb2 import (
    Command,
    DeleteTask,
    DesireTask,
    Outcome,
    RegisterCell,
    UpsertDomain,
)
from diegod.internal.v1.raft_pb2 import RaftFrame
from diegod.models.errors import DomainError, Reason
from diegod.raftbbs.core.load_limits import LoadLimits
from diegod.raftbbs.feed import Interest
from diegod.raftbbs.member import Member
from diegod.raftbbs.raft.api import Leadership, Refusal, Role
from diegod.raftbbs.replica import AppliedEntry
from diegod.raftbbs.ticking import TickResult
from diegod.v1.record_pb2 import Cell, Change, Domain, Task
from tests.unit.raftbbs.bbs import ADDRESS, ANN, C1, parts, refused, running


def _leadership(role: Role = Role.LEADER, leader_id: str = "m1") -> Leadership:
    return Leadership(role, leader_id, 1, 1, 1, 1, 1, role is Role.LEADER, 1, 1)


class Hand:
    """A member that is ticked by the test's hand."""

    def __init__(self, folder: Path) -> None:
        self.parts = parts(folder)
        self.wakes = 0
        made = self.parts
        self.member = Member(made.birth, made.environment, made.tables, _leadership(), self._wake)
        self.sent: list[str] = []
        self.refusals: list[str] = []
        self.member.send = lambda peer, frame: self.sent.append(peer)
        self.member.refuse = lambda peer, reason: self.refusals.append(peer)

    def _wake(self) -> None:
        self.wakes += 1

    def deliver(self, **result: object) -> None:
        self.member.deliver(TickResult(_leadership(), **result))  # type: ignore[arg-type]


@pytest.fixture
def hand(tmp_path: Path) -> Iterator[Hand]:
    hand = Hand(tmp_path / "m1")
    yield hand
    hand.parts.environment.close()


def _command() -> Command:
    return Command(by=str(ANN), upsert_domain=UpsertDomain(domain="d"))


async def _begun(call: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
    task = asyncio.create_task(call)
    await asyncio.sleep(0)
    return task


async def test_a_write_is_answered_with_its_outcomes(tmp_path: Path) -> None:
    async with running(tmp_path / "m1") as bbs:
        outcome = await bbs.done(ANN, upsert_domain=UpsertDomain(domain="shop", ttl_s=5))
        assert outcome.domain.domain == "shop"
        assert bbs.member.counters().revision == 1


async def test_what_was_answered_is_seen_by_the_next_read(tmp_path: Path) -> None:
    async with running(tmp_path / "m1") as bbs:
        await bbs.done(ANN, upsert_domain=UpsertDomain(domain="shop"))
        await bbs.member.barrier()
        with bbs.access.state() as state:
            assert state.domain("shop") is not None


async def test_a_registered_cell_renews_its_lease(tmp_path: Path) -> None:
    async with running(tmp_path / "m1") as bbs:
        await bbs.done(C1, register_cell=RegisterCell(cell=Cell(cell_id="c1")))
        assert await bbs.member.renew(("cell", "c1"), 1)
        assert not await bbs.member.renew(("cell", "c1"), 2)


async def test_a_follower_says_who_leads(hand: Hand) -> None:
    hand.member.leadership = _leadership(Role.FOLLOWER, "m1")
    for call in (hand.member.submit([_command()]), hand.member.renew(("lock", "brain"), 1)):
        error = await refused(call)
        assert error.reason is Reason.NOT_LEADER
        assert error.leader_address == ADDRESS


async def test_without_a_leader_nothing_was_applied(hand: Hand) -> None:
    hand.member.leadership = _leadership(Role.FOLLOWER, "")
    assert (await refused(hand.member.submit([_command()]))).reason is Reason.UNAVAILABLE


async def test_a_renewal_that_the_log_refuses_also_says_who_leads(hand: Hand) -> None:
    waiting = await _begun(hand.member.renew(("lock", "brain"), 1))
    (renewal,) = hand.member.take().renewals
    hand.deliver(renewals=[(renewal.id, DomainError(Reason.NOT_LEADER, "no"))])
    assert (await refused(waiting)).leader_address == ADDRESS


async def test_answers_find_who_asked_in_any_order(hand: Hand) -> None:
    first = await _begun(hand.member.submit([_command()]))
    second = await _begun(hand.member.submit([_command()]))
    one, two = hand.member.take().submissions
    unknown = DomainError(Reason.UNKNOWN_OUTCOME, "who knows")
    hand.deliver(outcomes=[(two.id, [Outcome(revision=2)]), (one.id, unknown)])
    assert (await refused(first)).reason is Reason.UNKNOWN_OUTCOME
    assert await second == [Outcome(revision=2)]


async def test_an_answer_for_somebody_who_has_gone_is_dropped(hand: Hand) -> None:
    gone = await _begun(hand.member.submit([_command()]))
    (submission,) = hand.member.take().submissions
    gone.cancel()
    await asyncio.gather(gone, return_exceptions=True)
    hand.deliver(outcomes=[(submission.id, [Outcome(revision=1)])])
    assert gone.cancelled()
    assert hand.member.load.queued_writes == 0


async def test_reads_that_wait_together_are_one_read_of_the_log(hand: Hand) -> None:
    readers = [await _begun(hand.member.barrier()) for _ in range(3)]
    (number,) = hand.member.take().reads
    late = await _begun(hand.member.barrier())
    hand.deliver(reads=[(number, True)])
    await asyncio.gather(*readers)
    assert not late.done()  # it may have come after the moment that was proved
    (number,) = hand.member.take().reads
    hand.deliver(reads=[(number, False)])
    assert (await refused(late)).reason is Reason.UNAVAILABLE


async def test_more_writes_than_memory_should_hold_are_refused_at_once(
    hand: Hand,
) -> None:
    hand.member._limits = LoadLimits(queued_writes=2)
    waiting = [await _begun(hand.member.submit([_command()])) for _ in range(2)]
    third = await _begun(hand.member.submit([_command()]))
    assert third.done()
    assert (await refused(third)).reason is Reason.RESOURCE_EXHAUSTED
    submissions = hand.member.take().submissions
    hand.deliver(outcomes=[(each.id, [Outcome()]) for each in submissions])
    await asyncio.gather(*waiting)
    await _begun(hand.member.submit([_command()]))
    assert len(hand.member.take().submissions) == 1


async def test_a_member_short_of_disk_takes_no_new_work_but_lets_work_end(hand: Hand) -> None:
    hand.member._limits = LoadLimits(free_disk_bytes=100 << 20)
    hand.member.free_disk_bytes = 60 << 20
    desire = Command(desire_task=DesireTask(task=Task(task_guid="t1")))
    error = await refused(hand.member.submit([desire]))
    assert error.reason is Reason.RESOURCE_EXHAUSTED
    assert error.applied == "no"
    assert "60 MB of free disk, new work needs 100 MB" in error.message
    assert hand.member.alarms == ["m1 has 60 MB of free disk and takes no new work below 100 MB"]
    waiting = await _begun(hand.member.submit([Command(delete_task=DeleteTask(task_guid="t1"))]))
    assert len(hand.member.take().submissions) == 1
    waiting.cancel()


async def test_writes_that_were_answered_no_longer_count(hand: Hand) -> None:
    waiting = await _begun(hand.member.submit([_command()]))
    assert hand.member.load.queued_bytes == _command().ByteSize()
    submissions = hand.member.take().submissions
    hand.deliver(outcomes=[(each.id, [Outcome()]) for each in submissions])
    await waiting
    assert (hand.member.load.queued_bytes, hand.member.load.queued_writes) == (0, 0)


async def test_changes_are_told_before_their_writer_is_answered(hand: Hand) -> None:
    watcher = hand.member.feed.subscribe(Interest())
    waiting = await _begun(hand.member.submit([_command()]))
    (submission,) = hand.member.take().submissions
    change = Change(revision=1, verb=Change.CREATED, domain=Domain(domain="d"))
    outcome = Outcome(revision=1)
    hand.deliver(
        entries=[AppliedEntry([outcome], [change], 1, 0)], outcomes=[(submission.id, [outcome])]
    )
    assert watcher.entries.qsize() == 1
    assert hand.member.feed.revision == 1
    await waiting


async def test_everything_that_comes_in_wakes_the_driver_and_is_taken_once(hand: Hand) -> None:
    hand.member.connected("m2")
    hand.member.received("m2", RaftFrame())
    hand.member.disconnected("m2")
    assert hand.wakes == 3
    inbox = hand.member.take()
    assert [link.up for link in inbox.links] == [True, False]
    assert len(inbox.frames) == 1
    assert not hand.member.take()


async def test_frames_go_only_into_the_connections_that_the_tick_knew(hand: Hand) -> None:
    """What was meant for a connection that has ended must not be the first word on the next."""
    hand.member.connected("m2")
    hand.member.connected("m3")
    hand.member.take()
    frames = [("m2", RaftFrame()), ("m3", RaftFrame())]
    hand.deliver(frames=frames, links_seen=2)
    assert hand.sent == ["m2", "m3"]
    hand.member.disconnected("m2")
    hand.member.connected("m2")
    hand.deliver(frames=frames, refused=[Refusal("m2", "old")], links_seen=2)
    assert hand.sent == ["m2", "m3", "m3"]
    assert hand.refusals == []
    hand.member.take()
    hand.deliver(frames=frames, refused=[Refusal("m2", "new")], links_seen=4)
    assert hand.sent == ["m2", "m3", "m3", "m2", "m3"]
    assert hand.refusals == ["m2"]
