"""How long a brain holds its loop: a real brain, 250,000 rows, and the rules of the BBS behind it.

A case is brought about by commands to the board, and the brain does all that it does about it: it
takes up what the watch brings, converges, makes commands, holds auctions. Nobody runs what it
places. A witness takes turns with it on the loop: the time between two of its turns is how long
everybody was held up. What the board worked in between is taken off, since a real one is another
process. Does not belong here: how long a pass takes (`convergence`).
"""

import asyncio
import gc
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field

from diegod.internal.v1 import command_pb2 as c
from diegod.raftbbs.core.decision import Changed
from diegod.scheduler.brain import Brain
from diegod.scheduler.core.filters import BUILTIN
from diegod.scheduler.strategies.spread import Spread
from diegod.v1 import record_pb2 as r
from diegod.v1.definition_pb2 import LrpDefinition, UpdatePolicy
from diegod.v1.event_pb2 import WatchReply, WatchRequest
from diegod.world import RandomIds, SystemClock
from tests.bench.convergence import NEEDS, NOW, a_cell, an_instance, an_lrp, cell_name
from tests.bench.report import row
from tests.unit.scheduler.board import Board, BoardBbs, People

_CELLS, _USUAL, _PROCESSES = 1_000, 25, 10_000
_REPLY_CHANGES = 2_000  # a reply of the watch is a megabyte at most
_QUIET_S, _LONGEST_S = 0.7, 9.0
_BIG = "process-99999"


class IndexedBoard(Board):
    """Finds the instances of a process without looking at all rows."""

    def __init__(self) -> None:
        self._of: dict[str, dict[str, r.ActualLrp]] = {}
        self.worked_s = 0.0
        super().__init__(now=NOW)

    def put(self, kind: str, guid: str, each: r.ActualLrp | r.DesiredLrp | r.Cell) -> None:
        self.rows[kind, guid] = each
        if isinstance(each, r.ActualLrp):
            self._of.setdefault(each.process_guid, {})[guid] = each
        self.revision = max(self.revision, each.provenance.revision)

    def instances(self, process_guid: str) -> Sequence[r.ActualLrp]:
        return sorted(self._of.get(process_guid, {}).values(), key=lambda each: each.index)

    def instances_at(self, process_guid: str, index: int) -> Sequence[r.ActualLrp]:
        return [each for each in self._of.get(process_guid, {}).values() if each.index == index]

    def has_instances(self, process_guid: str) -> bool:
        return bool(self._of.get(process_guid))

    def _record(self, decision: Changed, command: c.Command) -> None:
        super()._record(decision, command)
        for change in decision.changes:
            if isinstance(each := change.row, r.ActualLrp):
                siblings = self._of.setdefault(each.process_guid, {})
                if change.verb == r.Change.REMOVED:
                    siblings.pop(each.instance_guid, None)
                else:
                    siblings[each.instance_guid] = each


class BeyondBbs(BoardBbs):
    """The board's own work does not count: it takes note of how long it was."""

    board: IndexedBoard

    def __init__(self, board: IndexedBoard) -> None:
        super().__init__(board, lag_s=0.001)

    async def submit(self, commands: Sequence[c.Command]) -> Sequence[c.Outcome]:
        await asyncio.sleep(self.lag_s)
        began = time.thread_time()
        outcomes = [self.board.submit(_sent(each), self.name) for each in commands]
        self.board.worked_s += time.thread_time() - began
        await asyncio.sleep(self.lag_s)
        return outcomes

    async def watch(self, request: WatchRequest) -> AsyncIterator[WatchReply]:
        for rows in _portions(list(self.board.rows.values())):
            yield self._counted(lambda rows=rows: WatchReply(rows=[_as_created(x) for x in rows]))
            await asyncio.sleep(0)
        at = len(self.board.history)
        yield WatchReply(rows_end=True, revision=self.board.revision)
        while True:
            await asyncio.sleep(0.002)
            new, at = self.board.history[at:], len(self.board.history)
            for part in _portions(new):
                yield self._counted(
                    lambda part=part: WatchReply(changes=part, revision=part[-1].revision)
                )
                await asyncio.sleep(0)

    def _counted(self, made: Callable[[], WatchReply]) -> WatchReply:
        began = time.thread_time()
        reply = made()
        self.board.worked_s += time.thread_time() - began
        return reply


def _sent(command: c.Command) -> c.Command:
    return c.Command.FromString(command.SerializeToString())


def _as_created(each: r.ActualLrp | r.DesiredLrp | r.Cell) -> r.Change:
    change = r.Change(verb=r.Change.CREATED, revision=each.provenance.revision)
    kind = {r.ActualLrp: "actual_lrp", r.DesiredLrp: "desired_lrp", r.Cell: "cell"}[type(each)]
    getattr(change, kind).CopyFrom(each)
    change.at.seconds = int(NOW)
    return change


def _portions(items: Sequence[r.Change]) -> Iterator[Sequence[r.Change]]:
    return (items[at : at + _REPLY_CHANGES] for at in range(0, len(items), _REPLY_CHANGES))


@dataclass
class Witness:
    """How long the loop was held each time, without the board's share."""

    board: IndexedBoard
    held: list[float] = field(default_factory=list)
    busy_at: float = 0.0  # when it last took anybody a millisecond

    async def watch(self) -> None:
        last, worked = time.thread_time(), self.board.worked_s
        while True:
            await asyncio.sleep(0)
            now = time.thread_time()
            held = now - last - (self.board.worked_s - worked)
            if held > 0.0005:
                self.held.append(held)
                self.busy_at = time.perf_counter()
            last, worked = now, self.board.worked_s

    async def until_quiet(self) -> None:
        until = time.perf_counter() + _LONGEST_S
        self.busy_at = time.perf_counter()
        while self.busy_at > time.perf_counter() - _QUIET_S and time.perf_counter() < until:
            await asyncio.sleep(0.05)


class _Case:
    """The rows that were there before, and what happens then."""

    def __init__(self, title: str, before: list[object], act: Callable[[People], None]) -> None:
        self.title, self.before, self.act = title, before, act


async def run() -> Iterator[str]:
    board = IndexedBoard()
    number = 0
    for each in range(_CELLS):
        board.put("cell", cell_name(each), a_cell(each))
    for process in range(_PROCESSES):
        lrp = an_lrp(process, _USUAL, is_updated=False)
        board.put("desired_lrp", lrp.process_guid, lrp)
        for index in range(_USUAL):
            instance = _runs(process, index, number)
            board.put("actual_lrp", instance.instance_guid, instance)
            number += 1
    gc.collect()
    gc.freeze()  # the board is not the brain's
    brain = Brain(
        BeyondBbs(board), SystemClock(), RandomIds(), "brain-1", {"spread": Spread()}, BUILTIN, "spread"
    )
    witness = Witness(board)
    tasks = [asyncio.create_task(brain.run()), asyncio.create_task(witness.watch())]
    lines: list[str] = []

    async def measured(title: str) -> None:
        await witness.until_quiet()
        longest = sorted(witness.held)[-5:]
        total = sum(each for each in witness.held if each > 0.001)
        lines.append(
            f"{title:<58} " + " ".join(f"{each * 1e3:6.1f}" for each in reversed(longest))
            + f" ms   in all {total:5.2f} s"
        )
        print(lines[-1], flush=True)
        witness.held.clear()

    await measured("it begins")
    people = People(board)
    for n in range(3):
        people.lose(cell_name(n))
        await measured(f"a cell with 250 instances of 250 LRPs is lost")
    for count in (1_000, 10_000):
        guid = f"big-{count}"
        for flight in (10, count):
            pass
        lrp = an_lrp(0, count, is_updated=False); lrp.process_guid = guid
        lrp.ClearField("provenance"); lrp.update.max_in_flight = 10
        began = time.thread_time()
        board.do("user/a", desire_lrp=c.DesireLrp(desired_lrp=lrp, definition=b"1"))
        board.worked_s += time.thread_time() - began
        await measured(f"an LRP of {count} is desired")
        began = time.thread_time()
        people_obey(people, guid)
        board.worked_s += time.thread_time() - began
        await measured(f"an LRP of {count}: all are running")
        began = time.thread_time()
        lrp.update.max_in_flight = count
        board.do("user/a", desire_lrp=c.DesireLrp(desired_lrp=lrp, definition=b"2"))
        board.worked_s += time.thread_time() - began
        await measured(f"an LRP of {count}: all at once are updated")
        began = time.thread_time()
        people_obey(people, guid)
        board.worked_s += time.thread_time() - began
        await measured(f"an LRP of {count}: all new ones are running")
        began = time.thread_time()
        people.control(guid, "STOP")
        board.worked_s += time.thread_time() - began
        await measured(f"an LRP of {count} is stopped")
    board.do("user/a", desire_lrp=c.DesireLrp(desired_lrp=r.DesiredLrp(process_guid="glob", domain="default", instances=1, mode=LrpDefinition.GLOBAL, needs=NEEDS), definition=b"1"))
    await measured("GLOBAL desired")
    people_obey(people, "glob")
    await measured("GLOBAL runs")
    people.lose(cell_name(7))
    await measured(f"a cell with 250 instances of 250 LRPs is lost, and GLOBAL")
    brain.stop()
    await tasks[0]
    tasks[1].cancel()
    return iter(lines)


def people_obey(people: People, guid: str) -> None:
    for each in people.board.instances(guid):
        if each.state == r.ActualLrp.UNCLAIMED and each.placed_cell_id:
            people.claim(each)
            people.run(each)


def _runs(process: int, index: int, number: int) -> r.ActualLrp:
    each = an_instance(process, index, number)
    each.state, each.cell_id, each.routable = r.ActualLrp.RUNNING, cell_name(number % _CELLS), True
    each.crash_count = 0
    each.since.seconds = int(NOW) - 3600
    return each
