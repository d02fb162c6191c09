"""Output to the last byte, an end for each child, and nobody left behind in its session."""

import os
import selectors
import signal
import time
from collections.abc import Callable, Iterator

import pytest

from diegod.cellruntime.exec.children import Children, kill_members
from diegod.cellruntime.exec.processes import find, members, process_table
from diegod.cellruntime.exec.spawn import CannotRunError, Program


def shell(script: str) -> Program:
    return Program(["/bin/sh", "-c", script], {"PATH": "/usr/bin:/bin"}, "/", None)


class Nursery:
    """Children on a selector that is turned by hand."""

    def __init__(self) -> None:
        self.selector = selectors.DefaultSelector()
        self.children = Children(self.selector)
        self.output: list[tuple[str, bytes]] = []
        self.ends: list[int] = []

    def start(self, script: str, streams: tuple[str, str] = ("stdout", "stderr")) -> int:
        return self.children.start(
            shell(script), lambda *said: self.output.append(said), self.ends.append, streams
        )

    def said(self, stream: str) -> bytes:
        return b"".join(data for name, data in self.output if name == stream)

    def until(self, condition: Callable[[], object]) -> None:
        give_up = time.monotonic() + 10
        while not condition():
            assert time.monotonic() < give_up
            for key, events in self.selector.select(0.01):
                key.data(events)
            self.children.reap()


@pytest.fixture
def nursery() -> Iterator[Nursery]:
    nursery = Nursery()
    yield nursery
    assert dict(nursery.selector.get_map()) == {}, "every pipe was closed"
    nursery.selector.close()


def test_output_before_the_end_is_complete(nursery: Nursery) -> None:
    nursery.start("seq 5000; echo over >&2; exit 3")
    nursery.until(lambda: nursery.ends)
    assert nursery.ends == [3]
    assert nursery.said("stdout") == b"".join(b"%d\n" % n for n in range(1, 5001))
    assert nursery.said("stderr") == b"over\n"


def test_one_pipe_keeps_the_order_of_two_streams(nursery: Nursery) -> None:
    nursery.start("for n in 1 2 3; do echo out$n; echo err$n >&2; done", ("both", "both"))
    nursery.until(lambda: nursery.ends)
    assert nursery.said("both") == b"out1\nerr1\nout2\nerr2\nout3\nerr3\n"


def test_death_by_signal(nursery: Nursery) -> None:
    pid = nursery.start("sleep 60")
    os.kill(pid, signal.SIGTERM)
    nursery.until(lambda: nursery.ends)
    assert nursery.ends == [128 + signal.SIGTERM]


def test_what_a_program_leaves_in_its_session_dies_with_it(nursery: Nursery) -> None:
    nursery.start("sleep 60 & echo $!; exit 0")
    nursery.until(lambda: nursery.ends)
    left = int(nursery.said("stdout"))
    nursery.until(lambda: (process := find(left)) is None or process.zombie)


def test_a_closed_output_is_not_an_end(nursery: Nursery) -> None:
    pid = nursery.start("exec >&- 2>&-; sleep 0.3; exit 4")
    nursery.until(lambda: not nursery.selector.get_map())
    assert nursery.ends == []
    assert find(pid) is not None
    nursery.until(lambda: nursery.ends)
    assert nursery.ends == [4]


def test_what_cannot_run_leaves_nothing(nursery: Nursery) -> None:
    seen: list[int] = []
    with pytest.raises(CannotRunError):
        nursery.children.start(
            Program(["/no/such"], {}, "/", None), print, print, before_run=seen.append
        )
    assert find(seen[0]) is None


def test_what_cannot_be_recorded_never_runs(nursery: Nursery) -> None:
    seen: list[int] = []

    def disk_is_full(pid: int) -> None:
        seen.append(pid)
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        nursery.children.start(shell("echo ran"), print, print, before_run=disk_is_full)
    assert find(seen[0]) is None


def test_kill_reaches_children_that_left_the_session(nursery: Nursery) -> None:
    pid = nursery.start("setsid sleep 60 & echo started; wait")
    nursery.until(lambda: b"started" in nursery.said("stdout"))
    nursery.until(lambda: len(kill_members(process_table(), pid)) < 1)
    nursery.until(lambda: nursery.ends)
    assert nursery.ends == [128 + signal.SIGKILL]
    assert members(process_table(), pid) == []
