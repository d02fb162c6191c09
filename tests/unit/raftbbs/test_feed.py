"""The feed: who is told what, in which order, and what becomes of the slow."""

import pytest

from diegod.models.errors import DomainError
from diegod.raftbbs import feed as feeds
from diegod.raftbbs.feed import Feed, Interest
from diegod.v1.record_pb2 import ActualLrp, Cell, Change, Task


def _task(guid: str, cell_id: str = "", left: str = "", domain: str = "default") -> Change:
    task = Task(task_guid=guid, cell_id=cell_id, domain=domain)
    return Change(verb=Change.CHANGED, task=task, left_cell_id=left)


async def test_the_changes_of_one_entry_come_together_and_in_order() -> None:
    feed = Feed()
    watcher = feed.subscribe(Interest())
    feed.publish(3, [_task("a"), _task("b"), _task("a")])
    entry = await watcher.next(1.0)
    assert entry is not None
    assert [change.task.task_guid for change in entry.changes] == ["a", "b", "a"]
    assert entry.revision == 3


async def test_a_watcher_hears_only_what_it_asked_for() -> None:
    feed = Feed()
    watcher = feed.subscribe(Interest(kinds=frozenset({"task"}), domain="shop", guid="a"))
    feed.publish(1, [_task("a"), _task("b", domain="shop"), _task("a", domain="shop")])
    feed.publish(2, [Change(verb=Change.CREATED, cell=Cell(cell_id="c1"))])
    entry = await watcher.next(1.0)
    assert entry is not None
    assert [change.task.domain for change in entry.changes] == ["shop"]
    assert await watcher.next(0.01) is None


async def test_a_cell_hears_once_more_of_what_leaves_it() -> None:
    feed = Feed()
    watcher = feed.subscribe(Interest(cell_id="c1"))
    feed.publish(1, [_task("a", cell_id="c1")])
    feed.publish(2, [_task("a", left="c1")])
    feed.publish(3, [_task("a", cell_id="c2")])
    revisions = []
    while (entry := await watcher.next(0.01)) is not None:
        revisions.append(entry.revision)
    assert revisions == [1, 2]


async def test_a_process_guid_finds_its_instances() -> None:
    feed = Feed()
    watcher = feed.subscribe(Interest(guid="web"))
    actual = ActualLrp(process_guid="web", instance_guid="i1")
    feed.publish(1, [Change(verb=Change.CREATED, actual_lrp=actual)])
    assert await watcher.next(1.0) is not None


async def test_a_slow_watcher_is_dropped_and_slows_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeds, "_QUEUED_ENTRIES_MAX", 2)
    feed = Feed()
    slow, quick = feed.subscribe(Interest()), feed.subscribe(Interest())
    for revision in range(1, 5):
        feed.publish(revision, [_task("a")])
        assert await quick.next(1.0) is not None
    assert len(feed) == 1
    with pytest.raises(DomainError, match="too slow"):
        await slow.next(1.0)


async def test_a_guid_that_nobody_watches_any_more_takes_no_memory() -> None:
    feed = Feed()
    watchers = [feed.subscribe(Interest(guid=f"t{number}")) for number in range(100)]
    watchers += [feed.subscribe(Interest(cell_id="c1")), feed.subscribe(Interest())]
    for watcher in watchers:
        feed.unsubscribe(watcher)
        feed.unsubscribe(watcher)
    assert len(feed) == 0
    assert not feed._channels


async def test_a_change_is_told_once_also_where_two_of_its_names_are_one() -> None:
    feed = Feed()
    watcher = feed.subscribe(Interest(guid="i5"))
    row = ActualLrp(process_guid="i5", instance_guid="i5")
    feed.publish(5, [Change(verb=Change.CREATED, actual_lrp=row)])
    entry = await watcher.next(1.0)
    assert entry is not None
    assert len(entry.changes) == 1
