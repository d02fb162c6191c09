"""The processes that the supervisor is the parent of: their output, their end, their killing.

Knows nothing of containers: a child has a sink for what it writes and a callback for its end.
"""

import os
import selectors
import signal
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from diegod.cellruntime.exec.processes import ProcessTable, members, process_table
from diegod.cellruntime.exec.spawn import Program, fork

#: Takes what a child wrote: the stream's name and the bytes.
Sink = Callable[[str, bytes], None]

_CHUNK = 65536


@dataclass
class Child:
    pid: int
    sink: Sink
    on_end: Callable[[int], None]  # called once, with 0–255, after the last byte went to `sink`
    pipes: dict[int, str] = field(default_factory=dict)  # descriptor -> stream, until its end


def kill_members(table: ProcessTable, leader: int) -> list[int]:
    """Send KILL to a session leader and all that it brought into the world: those that lived."""
    living = members(table, leader)
    if living:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(leader, signal.SIGKILL)  # reaches those forked since the table was made
    for pid in living:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)
    return living


class Children:
    def __init__(self, selector: selectors.BaseSelector) -> None:
        self._selector = selector
        self._children: dict[int, Child] = {}

    def start(
        self,
        program: Program,
        sink: Sink,
        on_end: Callable[[int], None],
        streams: tuple[str, str] = ("stdout", "stderr"),
        before_run: Callable[[int], None] = lambda pid: None,
    ) -> int:
        """Run a program and give its pid; `before_run` learns it while nothing has run yet.

        Two streams of one name share one pipe, which keeps the order between them.
        """
        pipes, ends = _open_pipes(streams)
        try:
            pid = _begin(program, ends[streams[0]], ends[streams[1]], before_run)
        except BaseException:
            _close_all(pipes)
            raise
        finally:
            _close_all(ends.values())
        child = Child(pid, sink, on_end, pipes)
        self._children[pid] = child
        for pipe in pipes:
            self._selector.register(
                pipe, selectors.EVENT_READ, lambda _, p=pipe: self._read(child, p)
            )
        return pid

    def reap(self) -> None:
        """Take the end of every child that has one; what it leaves behind in its session dies."""
        table: ProcessTable = {}
        for pid, status in _ended(self._children):
            child = self._children.pop(pid, None)
            if child is not None:
                # Before the pid is given back and may be another's. One table does for all that
                # ended together, and none is made for an adopted orphan.
                table = table or process_table()
                kill_members(table, pid)
            taken = _exit_status(os.waitpid(pid, 0)[1]) if status is None else status
            if child is not None:
                self._drain(child)
                child.on_end(taken)

    def _read(self, child: Child, pipe: int) -> bool:
        """Take one chunk. False: there is nothing more to take now."""
        try:
            data = os.read(pipe, _CHUNK)
        except BlockingIOError:
            return False
        if data:
            child.sink(child.pipes[pipe], data)
            return True
        self._forget(child, pipe)
        return False

    def _drain(self, child: Child) -> None:
        """Take what was written before the end; a stranger that holds the pipe isn't waited for."""
        for pipe in list(child.pipes):
            while self._read(child, pipe):
                pass
            if pipe in child.pipes:
                self._forget(child, pipe)

    def _forget(self, child: Child, pipe: int) -> None:
        self._selector.unregister(pipe)
        os.close(pipe)
        del child.pipes[pipe]


def _open_pipes(streams: tuple[str, str]) -> tuple[dict[int, str], dict[str, int]]:
    """Our ends with their stream's name, and the child's end for each stream."""
    ours: dict[int, str] = {}
    theirs: dict[str, int] = {}
    for stream in dict.fromkeys(streams):
        reading, writing = os.pipe()
        os.set_blocking(reading, False)
        ours[reading] = stream
        theirs[stream] = writing
    return ours, theirs


def _close_all(descriptors: Iterable[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)


def _begin(program: Program, stdout: int, stderr: int, before_run: Callable[[int], None]) -> int:
    forked = fork(program, stdout, stderr)
    try:
        before_run(forked.pid)
    except BaseException:
        forked.abandon()
        raise
    forked.release()
    return forked.pid


def _ended(known: Mapping[int, Child]) -> Iterator[tuple[int, int | None]]:
    """Children that have ended, each with its status, or None where that is still to be taken.

    Where the system lets us look without taking (`waitid`), adopted orphans are seen as well; each
    must be taken before the next is asked for.
    """
    if not hasattr(os, "waitid"):  # macOS before Python 3.13
        for pid in list(known):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                yield pid, _exit_status(status)
        return
    with suppress(ChildProcessError):
        while seen := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            yield seen.si_pid, None


def _exit_status(status: int) -> int:
    """0–255; 128+n for signal n."""
    code = os.waitstatus_to_exitcode(status)
    return 128 - code if code < 0 else code
