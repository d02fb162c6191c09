"""Replies of a watch become events, and a broken one goes on where it broke off."""

import asyncio
from collections.abc import AsyncIterator, Sequence

from diegod.cellruntime.core import events as e
from diegod.cellruntime.watching import Watcher
from diegod.internal.v1.command_pb2 import Command, Outcome
from diegod.internal.v1.ring_pb2 import RenewReply, RenewRequest
from diegod.models.errors import DomainError, Reason
from diegod.v1.event_pb2 import WatchReply, WatchRequest
from diegod.v1.record_pb2 import Change, Task
from diegod.world.ids import SeededIds
from tests.unit.scheduler.virtual_time import VirtualLoop, run

Script = Sequence[WatchReply | DomainError]


class ScriptedBbs:
    """Each watch plays the next script; after the last one it is silent."""

    def __init__(self, *scripts: Script) -> None:
        self._scripts = list(scripts)
        self.asked_from: list[int] = []

    async def watch(self, request: WatchRequest) -> AsyncIterator[WatchReply]:
        self.asked_from.append(request.from_revision)
        if not self._scripts:
            await asyncio.get_running_loop().create_future()
        for step in self._scripts.pop(0):
            if isinstance(step, DomainError):
                raise step
            yield step

    async def submit(self, commands: Sequence[Command]) -> Sequence[Outcome]:
        raise AssertionError("a watcher changes nothing")

    async def renew(self, request: RenewRequest) -> RenewReply:
        raise AssertionError("a watcher has no lease")


def row(guid: str, revision: int, verb: "Change.Verb.ValueType" = Change.CREATED) -> Change:
    return Change(verb=verb, revision=revision, task=Task(task_guid=guid))


def watch(*scripts: Script) -> tuple[list[e.Event], list[int]]:
    events: list[e.Event] = []
    bbs = ScriptedBbs(*scripts)

    async def scenario() -> None:
        watcher = Watcher("cell-1", bbs, SeededIds(1), events.append)
        watching = asyncio.create_task(watcher.keep_watching())
        await asyncio.sleep(60)
        watching.cancel()

    run(scenario(), VirtualLoop())
    return events, bbs.asked_from


def names(events: list[e.Event]) -> list[str]:
    def name(event: e.Event) -> str:
        match event:
            case e.RowsListed():
                return f"listed {[task.task_guid for task in event.tasks]} at {event.revision}"
            case e.TaskChanged():
                return f"{event.task.task_guid}@{event.revision}{' gone' * event.removed}"
            case e.WatchedTo():
                return f"to {event.revision}"
            case _:
                return type(event).__name__

    return [name(event) for event in events]


LIST = (
    WatchReply(rows=[row("a", 3)]),
    WatchReply(rows=[row("b", 4)], rows_end=True, revision=5),
)


def test_a_list_is_one_event_and_changes_follow() -> None:
    events, _ = watch(
        (
            *LIST,
            WatchReply(changes=[row("a", 6), row("b", 6, Change.REMOVED)], revision=6),
            WatchReply(revision=9),
        )
    )
    assert names(events) == ["listed ['a', 'b'] at 5", "to 5", "a@6", "b@6 gone", "to 6", "to 9"]


def test_it_goes_on_where_it_broke_off() -> None:
    broken = DomainError(Reason.UNAVAILABLE, "the member went away")
    events, asked_from = watch(
        (*LIST, broken), (WatchReply(changes=[row("a", 7)], revision=7), broken)
    )
    assert asked_from == [0, 5, 7]
    assert names(events) == ["listed ['a', 'b'] at 5", "to 5", "a@7", "to 7"]


def test_half_a_list_is_none() -> None:
    events, asked_from = watch((LIST[0], DomainError(Reason.UNAVAILABLE, "gone")), LIST)
    assert asked_from[:2] == [0, 0]
    assert names(events)[0] == "listed ['a', 'b'] at 5"


def test_what_was_compacted_is_listed_again() -> None:
    compacted = DomainError(Reason.COMPACTED, "too old")
    again = WatchReply(rows=[row("c", 8)], rows_end=True, revision=8)
    events, asked_from = watch(LIST, (compacted,), (again,))
    assert asked_from[:3] == [0, 5, 0]
    assert names(events)[-2:] == ["listed ['c'] at 8", "to 8"]


def test_a_list_older_than_what_was_seen_is_not_believed() -> None:
    compacted = DomainError(Reason.COMPACTED, "too old")
    behind = WatchReply(rows_end=True, revision=2)
    caught_up = WatchReply(rows_end=True, revision=6)
    events, _ = watch(LIST, (compacted,), (behind,), (caught_up,))
    assert names(events) == ["listed ['a', 'b'] at 5", "to 5", "listed [] at 6", "to 6"]
