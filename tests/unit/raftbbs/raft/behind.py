"""A member that is far behind the beginning of the others' logs."""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from diegod.raftbbs.raft.api import Limits
from tests.unit.raftbbs.raft.lab import Lab

T = TypeVar("T")

SMALL = Limits(
    log_kept_entries=4, log_cut_entries=2, snapshot_chunk_bytes=8 << 10, snapshot_chunks=2
)
WRITTEN = [b"%d" % number for number in range(20)]


def leave_behind(table: Lab, who: str = "C") -> None:
    """A leads; one member is away while the others write and cut their logs."""
    table.elect("A", "BC")
    table.settle()
    table.isolate(who)
    rest = "".join(each for each in table.ids if each != who)
    for payload in WRITTEN:
        table.step("A", payload)
        table.settle(rest, rounds=1)
    table.settle(rest)
    assert table.leadership("A").log_first > table.leadership(who).log_last


class Later:
    """A `Background` that does nothing until it is told to."""

    def __init__(self) -> None:
        self.waiting: deque[tuple[Callable[[], Any], Future[Any]]] = deque()

    def __call__(self, work: Callable[[], T], /) -> "Future[T]":
        future: Future[T] = Future()
        self.waiting.append((work, future))
        return future

    def finish(self) -> None:
        while self.waiting:
            work, future = self.waiting.popleft()
            future.set_result(work())


def until_installed(table: Lab, who: str = "C", rounds: int = 60) -> None:
    """Let all go on until a member's next step replaces its store."""
    for _ in range(rounds):
        table.now += 0.1
        for each in table.ids:
            if each in table.members:
                table.freeze()
                table.step(each)
                table.pump_all()
        if (waiting := table[who]._fetching._preparing) and waiting[1].done():
            return
    raise AssertionError("no copy was ready to be installed")
