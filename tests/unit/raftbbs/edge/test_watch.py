"""Watch: rows, then every change, without a gap, also where member and feed are not in step."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from diegod.internal.v1.command_pb2 import (
    Command,
    ControlSchedule,
    DesireSchedule,
    DesireTask,
    PlaceTask,
    UpsertDomain,
    WithdrawTask,
)
from diegod.models.errors import DomainError, Reason
from diegod.raftbbs.edge import watch as watches
from diegod.raftbbs.edge.tasks import TaskService
from diegod.raftbbs.edge.watch import EventService
from diegod.raftbbs.feed import Interest
from diegod.security.identity import Principal
from diegod.v1.event_pb2 import WatchReply, WatchRequest
from diegod.v1.record_pb2 import Change, Domain, Task, TaskSchedule
from diegod.v1.task_pb2 import CancelTaskRequest, ControlScheduleRequest, DesireTaskRequest
from tests.unit.raftbbs.bbs import ANN, BRAIN, C1, C2, Bbs, a_task, refusal_of_stream, running

BULK_BYTES = 4 << 20


class Watch:
    """One watch, read by the test."""

    def __init__(self, replies: AsyncIterator[WatchReply]) -> None:
        self._replies = replies
        self.revision = 0

    async def next(self) -> WatchReply:
        async with asyncio.timeout(5):
            reply = await anext(self._replies)
        self.revision = reply.revision or self.revision
        return reply

    async def until(self, revision: int) -> list[Change]:
        """The changes up to this revision."""
        found: list[Change] = []
        while self.revision < revision:
            found += (await self.next()).changes
        return found

    async def rows(self) -> list[Change]:
        found: list[Change] = []
        while True:
            reply = await self.next()
            found += reply.rows
            if reply.rows_end:
                return found

    async def ended(self) -> DomainError:
        while True:
            try:
                await self.next()
            except DomainError as error:
                return error


@asynccontextmanager
async def watching(bbs: Bbs, caller: Principal = ANN, **request: object) -> AsyncIterator[Watch]:
    replies = EventService(bbs.access).watch(WatchRequest(**request), caller)  # type: ignore[arg-type]
    try:
        yield Watch(replies)
    finally:
        await replies.aclose()  # type: ignore[attr-defined]


async def _desire(bbs: Bbs, guid: str, **fields: object) -> Task:
    request = DesireTaskRequest(definition=a_task(guid, **fields))
    return (await TaskService(bbs.access).desire(request, ANN)).task


async def _domain(bbs: Bbs, name: str) -> int:
    return (await bbs.done(ANN, upsert_domain=UpsertDomain(domain=name))).revision


async def _place(bbs: Bbs, task: Task, cell_id: str = "c1") -> Task:
    place = PlaceTask(
        task_guid=task.task_guid,
        row_revision=task.provenance.revision,
        cell_id=cell_id,
        cell_incarnation=1,
    )
    return (await bbs.done(BRAIN, place_task=place)).task


async def test_it_begins_with_the_rows_and_goes_on_with_what_changes(tmp_path: Path) -> None:
    async with running(tmp_path / "m1") as bbs:
        await _desire(bbs, "t1")
        await bbs.with_cell(C1)
        async with watching(bbs) as watch:
            rows = await watch.rows()
            assert {row.WhichOneof("row") for row in rows} == {"task", "cell"}
            assert all(row.verb == Change.CREATED and row.HasField("at") for row in rows)
            assert watch.revision == 2
            await _desire(bbs, "t2")
            (change,) = await watch.until(3)
            assert change.task.task_guid == "t2"
            assert change.by == "user/ann"
        assert len(bbs.member.feed) == 0


async def test_it_resumes_after_the_revision_it_has_seen(tmp_path: Path) -> None:
    async with running(tmp_path / "m1") as bbs:
        for number in range(5):
            await _domain(bbs, f"d{number}")
        async with watching(bbs, from_revision=2) as watch:
            changes = await watch.until(5)
            assert [change.revision for change in changes] == [3, 4, 5]


async def test_what_is_no_longer_kept_can_only_be_listed_again(tmp_path: Path) -> None:
    async with running(tmp_path / "m1", history_changes=3) as bbs:
        for number in range(6):
            await _domain(bbs, f"d{number}")
        service = EventService(bbs.access)
        gone = service.watch(WatchRequest(from_revision=2), ANN)
        assert await refusal_of_stream(gone) is Reason.COMPACTED
        async with watching(bbs, from_revision=3) as watch:
            assert [change.revision for change in await watch.until(6)] == [4, 5, 6]
        assert len(bbs.member.feed) == 0


async def test_without_rows_it_begins_now(tmp_path: Path) -> None:
    async with running(tmp_path / "m1") as bbs:
        await _domain(bbs, "before")
        async with watching(bbs, changes_only=True) as watch:
            assert await watch.rows() == []
            await _domain(bbs, "after")
            assert [change.domain.domain for change in await watch.until(2)] == ["after"]


async def test_filters_hold_for_rows_for_history_and_for_what_comes(tmp_path: Path) -> None:
    async with running(tmp_path / "m1") as bbs:
        await _desire(bbs, "t1", domain="shop")
        await _desire(bbs, "t2")
        for request in ({"guid": "t1"}, {"domain": "shop", "kinds": ["task"]}):
            async with watching(bbs, **request) as watch:
                assert [row.task.task_guid for row in await watch.rows()] == ["t1"]
            async with watching(bbs, from_revision=1, **request) as watch:
                assert await watch.until(2) == []


async def test_a_kind_that_is_none_is_refused(tmp_path: Path) -> None:
    async with running(tmp_path / "m1") as bbs:
        replies = EventService(bbs.access).watch(WatchRequest(kinds=["pod"]), ANN)
        assert await refusal_of_stream(replies) is Reason.INVALID_REQUEST


async def test_silence_is_a_mark_that_claims_no_more_than_was_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watches, "PROGRESS_S", 0.02)
    async with running(tmp_path / "m1") as bbs:
        await _desire(bbs, "t1")
        async with watching(bbs, guid="t1") as watch:
            await watch.rows()
            revision = await _domain(bbs, "of no concern")
            reply = await watch.next()
            while reply.revision < revision:
                reply = await watch.next()
            assert not reply.changes
            await TaskService(bbs.access).cancel(CancelTaskRequest(task_guid="t1"), ANN)
            (change,) = await watch.until(revision + 1)
            assert change.revision == revision + 1


async def test_what_is_on_disk_and_not_told_yet_comes_once(tmp_path: Path) -> None:
    """The tick's thread has committed; the event loop has not heard of it."""
    async with running(tmp_path / "m1") as bbs:
        for number in range(3):
            await _domain(bbs, f"d{number}")
        bbs.member.feed.revision = 1  # as it is before the results of two ticks are delivered
        with bbs.access.state() as state:
            late = list(state.changes_after(1))
        async with watching(bbs, from_revision=1) as watch:
            assert [change.revision for change in await watch.until(3)] == [2, 3]
            for change in late:
                bbs.member.feed.publish(change.revision, [change])
            revision = await _domain(bbs, "new")
            assert [change.revision for change in await watch.until(revision)] == [4]


async def test_a_member_behind_the_token_waits_and_repeats_nothing(tmp_path: Path) -> None:
    """The token lies within an entry, as the revision of a row that somebody was answered does."""
    async with running(tmp_path / "m1") as bbs, watching(bbs, from_revision=5) as watch:
        assert (await watch.next()).revision == 5
        changes = [
            Change(revision=revision, verb=Change.CREATED, domain=Domain(domain="d"))
            for revision in range(1, 8)
        ]
        bbs.member.feed.publish(4, changes[:4])
        bbs.member.feed.publish(7, changes[4:])
        assert [change.revision for change in await watch.until(7)] == [6, 7]


async def test_writes_while_rows_are_being_sent_are_told_afterwards(tmp_path: Path) -> None:
    async with running(tmp_path / "m1") as bbs:
        tasks = [
            Task(task_guid=f"t{n}", domain="d", placement_error="x" * 900) for n in range(3000)
        ]
        desires = [Command(by=str(ANN), desire_task=DesireTask(task=task)) for task in tasks]
        for first in range(0, 3000, 300):
            await bbs.member.submit(desires[first : first + 300])
        async with watching(bbs, kinds=["task"]) as watch:
            first = await watch.next()
            assert 0 < len(first.rows) < 3000
            assert first.ByteSize() < 2 * watches._REPLY_BYTES
            late = (await _desire(bbs, "late")).provenance.revision
            rows = [*first.rows, *await watch.rows()]
            assert len(rows) == 3000
            assert watch.revision == 3000
            assert [change.task.task_guid for change in await watch.until(late)] == ["late"]


async def test_a_cell_may_watch_only_itself(tmp_path: Path) -> None:
    async with running(tmp_path / "m1") as bbs:
        service = EventService(bbs.access)
        for request in (WatchRequest(), WatchRequest(cell_id="c2"), WatchRequest(guid="t1")):
            assert await refusal_of_stream(service.watch(request, C1)) is Reason.PERMISSION_DENIED


async def test_a_cell_sees_its_own_rows_with_definitions_and_no_others(tmp_path: Path) -> None:
    async with running(tmp_path / "m1") as bbs:
        await bbs.with_brain()
        await bbs.with_cell(C1)
        await bbs.with_cell(C2)
        mine = await _place(bbs, await _desire(bbs, "mine", annotation="secret"))
        await _place(bbs, await _desire(bbs, "others"), "c2")
        await _desire(bbs, "nobodys")
        async with watching(bbs, C1, cell_id="c1", kinds=["task", "actual_lrp"]) as watch:
            (row,) = await watch.rows()
            assert row.task.task_guid == "mine"
            assert row.task.definition.annotation == "secret"
            withdraw = WithdrawTask(task_guid="mine", row_revision=mine.provenance.revision)
            left = await bbs.done(BRAIN, withdraw_task=withdraw)
            (change,) = await watch.until(left.revision)
            assert change.left_cell_id == "c1"
            assert not change.task.placed_cell_id
            assert not change.task.HasField("definition")
            again = await _place(bbs, left.task)
            (change,) = await watch.until(again.provenance.revision)
            assert change.task.definition.annotation == "secret"
        async with watching(bbs, ANN, guid="mine") as watch:
            (row,) = await watch.rows()
            assert not row.task.HasField("definition")


@pytest.mark.parametrize(
    ("interest", "expected"),
    [
        ({"cell_id": "c1"}, ["here"]),
        ({"cell_id": "c2"}, ["c1"]),
        ({"domain": "d"}, ["c1", "here", "is c1"]),
        ({"domain": "c1"}, ["elsewhere"]),
        ({"guid": "c1"}, ["c1"]),
        ({"guid": "her"}, []),
        ({"cell_id": "c1", "domain": "c1"}, []),
        ({}, ["c1", "elsewhere", "here", "is c1"]),
    ],
)
async def test_rows_that_only_have_the_word_in_them_are_not_meant(
    tmp_path: Path, interest: dict[str, Any], expected: list[str]
) -> None:
    """Rows are looked through by their bytes before they are read."""
    async with running(tmp_path / "m1") as bbs:
        await bbs.with_brain()
        await bbs.with_cell(C1)
        await bbs.with_cell(C2)
        for guid, domain in (("here", "d"), ("c1", "d"), ("is c1", "d"), ("elsewhere", "c1")):
            row = Task(task_guid=guid, domain=domain, placement_error="not on c1, not on c2")
            await bbs.done(ANN, desire_task=DesireTask(task=row))
        for guid, cell_id in (("here", "c1"), ("c1", "c2")):
            with bbs.access.state() as state:
                task = state.task(guid)
            assert task is not None
            await _place(bbs, task, cell_id)
        async with watching(bbs, kinds=["task"], **interest) as watch:
            assert sorted(row.task.task_guid for row in await watch.rows()) == expected


async def test_rows_that_are_not_meant_give_way_as_those_that_are(tmp_path: Path) -> None:
    """A cell's watch of a large store must not stand in the way of the log's heartbeats."""
    async with running(tmp_path / "m1") as bbs:
        for n in range(40):
            task = Task(task_guid=f"t{n}", domain="d")
            await bbs.done(ANN, desire_task=DesireTask(task=task))
        with bbs.access.state() as state:
            interest = Interest(frozenset({"task"}), "", "c1", "")
            looked_at = list(watches._rows(state, interest, state.counters()))
        assert looked_at == [None] * 40


async def test_no_reply_is_too_large_for_a_connection(tmp_path: Path) -> None:
    """A cell with many large definitions could else never watch again."""
    async with running(tmp_path / "m1") as bbs:
        await bbs.with_brain()
        await bbs.with_cell(C1)
        large = {"A": "x" * 100_000}
        tasks = [
            await _desire(bbs, f"t{number}", environment_variables=large) for number in range(60)
        ]
        async with watching(bbs, C1, cell_id="c1") as live:
            await live.rows()
            with bbs.access.state() as state:
                lock = state.lock("brain")
            assert lock is not None
            commands = [
                Command(
                    by=str(BRAIN),
                    lock_name="brain",
                    lock_token=lock.token,
                    place_task=PlaceTask(
                        task_guid=task.task_guid,
                        row_revision=task.provenance.revision,
                        cell_id="c1",
                        cell_incarnation=1,
                    ),
                )
                for task in tasks
            ]
            end = (await bbs.member.submit(commands))[-1].revision
            replies = [await live.next()]
            while replies[-1].revision < end:
                replies.append(await live.next())
            async with watching(bbs, C1, cell_id="c1", kinds=["task"]) as anew:
                replies.append(await anew.next())
                while not replies[-1].rows_end:
                    replies.append(await anew.next())
        assert max(reply.ByteSize() for reply in replies) < BULK_BYTES
        told = [reply for reply in replies if reply.changes]
        assert [reply.revision for reply in told] == [r.changes[-1].revision for r in told]
        assert told[-1].revision == end
        assert sum(len(reply.changes) for reply in replies) == 60
        assert sum(len(reply.rows) for reply in replies) == 60


async def test_who_is_cut_off_in_the_middle_of_the_past_hears_nothing_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every reply with changes is a place to resume from; seed 14 of the simulation found it."""
    monkeypatch.setattr(watches, "_REPLY_BYTES", 1)
    async with running(tmp_path / "m1") as bbs:
        last = [(await _desire(bbs, f"t{n}")).provenance.revision for n in range(4)][-1]
        heard, position = [], 1
        while position < last:
            async with watching(bbs, from_revision=position) as watch:
                reply = await watch.next()
            heard += [change.revision for change in reply.changes]
            position = reply.revision
        assert heard == [2, 3, 4]


async def test_a_revision_is_never_told_in_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watches, "_REPLY_BYTES", 1)
    async with running(tmp_path / "m1") as bbs, watching(bbs, changes_only=True) as watch:
        await watch.next()
        domains = [Domain(domain=name) for name in "abc"]
        bbs.member.feed.publish(
            2,
            [
                Change(revision=1, verb=Change.CREATED, domain=domains[0]),
                Change(revision=1, verb=Change.CREATED, domain=domains[1]),
                Change(revision=2, verb=Change.CREATED, domain=domains[2]),
            ],
        )
        replies = [await watch.next(), await watch.next()]
        assert [(len(reply.changes), reply.revision) for reply in replies] == [(2, 1), (1, 2)]


async def test_a_member_that_ends_its_watches_says_why(tmp_path: Path) -> None:
    async with running(tmp_path / "m1") as bbs:
        async with watching(bbs, changes_only=True) as watch:
            await watch.rows()
            waiting = asyncio.create_task(watch.ended())
            await asyncio.sleep(0)
            bbs.member.feed.end_all(DomainError(Reason.UNAVAILABLE, "no leader"))
            assert (await waiting).message == "no leader"
        assert len(bbs.member.feed) == 0


async def test_a_schedule_is_watched_by_its_name_and_its_domain(tmp_path: Path) -> None:
    async with running(tmp_path / "m1") as bbs:
        for name, domain in (("nightly", "shop"), ("weekly", "other")):
            row = TaskSchedule(name=name, domain=domain, cron="@daily")
            await bbs.done(ANN, desire_schedule=DesireSchedule(schedule=row))
        async with watching(bbs, kinds=["task_schedule"], domain="shop") as watch:
            [row] = await watch.rows()
            assert row.task_schedule.name == "nightly"
        async with watching(bbs, guid="weekly") as watch:
            [row] = await watch.rows()
            assert row.task_schedule.name == "weekly"
            pause = ControlSchedule(name="weekly", verb=ControlScheduleRequest.PAUSE)
            revision = (await bbs.done(ANN, control_schedule=pause)).revision
            (change,) = await watch.until(revision)
            assert change.task_schedule.paused
