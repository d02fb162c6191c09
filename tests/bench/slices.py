"""How long a brain holds its loop: a real brain, 250,000 rows, and the rules of the BBS behind it.

A case is brought about by commands to the board, and the brain does all that it does about it: it
takes up what the watch brings, converges, makes commands, holds auctions. Nobody runs what it
places. A witness takes turns with it on the loop: the CPU time between two of its turns is how
long everybody was held up, whoever else is on the machine. What the board worked in between is
taken off, since a real one is another process. Does not belong here: how long a pass takes
(`convergence`).
"""

import asyncio
import gc
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field

from diegod.internal.v1 import command_pb2 as c
from diegod.node.brain import set_rows_aside
from diegod.raftbbs.core.decision import Changed
from diegod.scheduler.brain import Brain
from diegod.scheduler.core.filters import BUILTIN
from diegod.scheduler.strategies.spread import Spread
from diegod.v1 import record_pb2 as r
from diegod.v1.definition_pb2 import LrpDefinition, UpdatePolicy
from diegod.v1.event_pb2 import WatchReply, WatchRequest
from diegod.world import RandomIds, SystemClock
from tests.bench.convergence import NEEDS, NOW, a_cell, an_instance, an_lrp, cell_name
from tests.unit.scheduler.board import Board, BoardBbs, People

_CELLS, _USUAL, _PROCESSES = 1_000, 25, 10_000
_REPLY_CHANGES = 2_000  # a reply of the watch is a megabyte at most
_QUIET_S, _LONGEST_S = 0.6, 4.0
_LOST, _SHOWN = 5, 5


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


class Scene:
    """The brain and its board, and what was measured of them."""

    def __init__(self, board: IndexedBoard) -> None:
        self.board, self.people, self.witness = board, People(board), Witness(board)
        self.lines: list[str] = []

    async def measured(self, title: str, *acts: Callable[[], object]) -> None:
        """All of what these bring about, until the brain has nothing more to do."""
        held: list[float] = []
        for act in acts or (lambda: None,):
            began = time.thread_time()
            act()
            gc.collect()
            gc.freeze()  # what the board has made is not the brain's to walk
            self.board.worked_s += time.thread_time() - began
            await self.witness.until_quiet()
            held += self.witness.held
            self.witness.held.clear()
        longest = " ".join(f"{each * 1e3:6.1f}" for each in sorted(held)[: -_SHOWN - 1 : -1])
        self.lines.append(f"{title:<50} {longest} ms   of {sum(held):5.2f} s")

    def desire(self, guid: str, count: int, definition: bytes, **fields: object) -> None:
        lrp = r.DesiredLrp(
            process_guid=guid, domain="default", instances=count, needs=NEEDS, **fields
        )
        self.board.do("user/bench", desire_lrp=c.DesireLrp(desired_lrp=lrp, definition=definition))

    def start(self, guid: str) -> None:
        """Cells take up and run what was placed on them."""
        for each in self.board.instances(guid):
            if each.state == r.ActualLrp.UNCLAIMED and each.placed_cell_id:
                self.people.claim(each)
                self.people.run(each)


async def run() -> Iterator[str]:
    scene = Scene(_a_board())
    gc.collect()
    gc.freeze()
    bbs, strategies = BeyondBbs(scene.board), {"spread": Spread()}
    brain = Brain(
        bbs,
        SystemClock(),
        RandomIds(),
        "brain-1",
        strategies,
        BUILTIN,
        "spread",
        on_settled=set_rows_aside,
    )
    tasks = [asyncio.create_task(brain.run()), asyncio.create_task(scene.witness.watch())]
    await scene.measured("the brain begins")
    lost = [lambda number=number: scene.people.lose(cell_name(number)) for number in range(_LOST)]
    await scene.measured(f"a cell with 250 of 250 LRPs is lost, {_LOST} times", *lost)
    for count in (1_000, 10_000):
        await _grown_and_updated(scene, f"an LRP of {count}", f"big-{count}", count)
    await _everywhere(scene)
    brain.stop()
    await tasks[0]
    tasks[1].cancel()
    return iter([f"{'the longest holds of the loop, CPU':<50}", *scene.lines])


async def _grown_and_updated(scene: Scene, title: str, guid: str, count: int) -> None:
    at_once = UpdatePolicy(max_in_flight=count, min_healthy_ms=0)
    await scene.measured(
        f"{title}: desired", lambda: scene.desire(guid, count, b"1", update=at_once)
    )
    await scene.measured(f"{title}: all run", lambda: scene.start(guid))
    await scene.measured(
        f"{title}: all updated at once", lambda: scene.desire(guid, count, b"2", update=at_once)
    )
    await scene.measured(f"{title}: all new ones run", lambda: scene.start(guid))
    await scene.measured(
        f"{title}: one is changed", *[lambda: _unroutable(scene, guid) for _ in range(3)]
    )
    await scene.measured(f"{title}: stopped", lambda: scene.people.control(guid, "STOP"))


async def _everywhere(scene: Scene) -> None:
    mode = LrpDefinition.GLOBAL
    await scene.measured("a GLOBAL LRP: desired", lambda: scene.desire("all", 1, b"1", mode=mode))
    await scene.measured("a GLOBAL LRP: all run", lambda: scene.start("all"))
    lose = lambda: scene.people.lose(cell_name(_LOST))  # noqa: E731
    await scene.measured("a cell with 250 of 250 LRPs and it is lost", lose)


def _unroutable(scene: Scene, guid: str) -> None:
    row = next(each for each in scene.board.instances(guid) if each.routable)
    scene.people.run_again(row, routable=False)


def _a_board() -> IndexedBoard:
    """Every cell has 250 instances, each of another LRP."""
    board, number = IndexedBoard(), 0
    for each in range(_CELLS):
        board.put("cell", cell_name(each), a_cell(each))
    for process in range(_PROCESSES):
        lrp = an_lrp(process, _USUAL, is_updated=False)
        board.put("desired_lrp", lrp.process_guid, lrp)
        for index in range(_USUAL):
            instance = _runs(process, index, number)
            board.put("actual_lrp", instance.instance_guid, instance)
            number += 1
    return board


def _runs(process: int, index: int, number: int) -> r.ActualLrp:
    each = an_instance(process, index, number)
    each.state, each.crash_count, each.routable = r.ActualLrp.RUNNING, 0, True
    each.cell_id, each.since.seconds = cell_name(number % _CELLS), int(NOW) - 3600
    return each
