"""What the supervisor of a cell's plain processes does with each request, and by itself.

Holds no state but its children: everything that must survive it is in the records (`records`),
which agents read for themselves. Does not belong here: how the process comes into the world
(`supervisor`), and the socket (`line_server`).
"""

import base64
import os
import selectors
import signal
import socket
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from diegod.cellruntime.exec.children import Children, kill_members
from diegod.cellruntime.exec.cri_log import CriLog
from diegod.cellruntime.exec.line_server import Client, LineServer, Reply, Request
from diegod.cellruntime.exec.processes import ProcessTable, process_table
from diegod.cellruntime.exec.records import (
    ContainerFiles,
    Launch,
    ProcessRecord,
    container_files,
    handles,
)
from diegod.cellruntime.exec.spawn import CannotRunError, Program
from diegod.world.clock import Clock

_KILL_EVERY_S = 0.02
_KILL_FOR_S = 10.0
_EXEC_OUTPUT_MAX = 64 * 1024


class RefusedError(Exception):
    """The request can't be done; the message goes to the agent."""


@dataclass
class Running:
    """A container whose program is our child and has not ended."""

    handle: str
    files: ContainerFiles
    log: CriLog
    waiting: list[Reply] = field(default_factory=list)
    pid: int = 0  # 0 only while it is being started


@dataclass
class Execution:
    """One `exec`: a process beside a container's program."""

    handle: str
    client: Client
    reply: Reply
    deadline: float
    output: bytearray = field(default_factory=bytearray)
    timed_out: bool = False
    pid: int = 0


@dataclass
class Ending:
    """A container that is being destroyed: killed again and again until nobody is left."""

    leaders: list[int]  # sessions whose members must be gone
    deadline: float
    waiting: list[Reply] = field(default_factory=list)


class Supervisor:
    def __init__(self, folder: Path, listener: socket.socket, clock: Clock, idle_s: float) -> None:
        self._folder = folder
        self._clock = clock
        self._idle_s = idle_s
        self._selector = selectors.DefaultSelector()
        self._server = LineServer(self._selector, listener, self._on_request, self._on_gone)
        self._children = Children(self._selector)
        self._running: dict[str, Running] = {}
        self._executions: list[Execution] = []
        self._endings: dict[str, Ending] = {}
        self._sweeping: list[Reply] = []
        self._idle_since: float | None = clock.monotonic()
        self._child_ended = False
        self._done = False
        self._requests: Mapping[str, Callable[[Client, Request, Reply], None]] = {
            "start": self._start,
            "wait": self._wait,
            "signal": self._signal,
            "exec": self._exec,
            "destroy": self._destroy,
            "sweep": self._sweep,
        }

    def serve(self) -> None:
        """Work until there is nothing to do any more."""
        self._watch_children()
        while not self._done:
            for key, events in self._selector.select(self._patience()):
                key.data(events)
            if self._child_ended:  # only now: it closes pipes that had an event in the same round
                self._child_ended = False
                self._children.reap()
            self._tick(self._clock.monotonic())

    # Requests. Each answers now, or keeps `reply` for later.

    def _on_request(self, client: Client, request: Request) -> None:
        reply = client.reply_to(request)
        try:
            self._requests[request["op"]](client, request, reply)
        except (RefusedError, CannotRunError, OSError) as refusal:
            reply(error=str(refusal))
        except Exception as error:  # our own mistake must not cost every container its parent
            traceback.print_exc()
            reply(error=f"{type(error).__name__}: {error}")

    def _start(self, client: Client, request: Request, reply: Reply) -> None:
        handle = request["handle"]
        files = container_files(self._folder, handle)
        launch = files.launch
        if launch is None or handle in self._endings:
            raise RefusedError(f"container {handle} is not there: prepare it first")
        if files.process is not None or handle in self._running:
            raise RefusedError(f"container {handle} has been started before: it never starts twice")
        running = Running(handle, files, CriLog(Path(launch.log), self._clock.wall))
        try:
            running.pid = self._children.start(
                _program(launch, launch.argv, {}),
                sink=lambda stream, data: _log(running, stream, data),
                on_end=lambda status: self._ended(running, status),
                before_run=lambda pid: _record(files, pid),
            )
        except BaseException as error:
            running.log.close()
            if isinstance(error, CannotRunError):
                files.forget_process()
            raise
        self._running[handle] = running
        reply()

    def _wait(self, client: Client, request: Request, reply: Reply) -> None:
        running = self._running.get(request["handle"])
        if running is None:
            reply(known=False)
        else:
            running.waiting.append(reply)

    def _signal(self, client: Client, request: Request, reply: Reply) -> None:
        """To the whole process group, as a terminal does: a shell passes nothing on."""
        process = container_files(self._folder, request["handle"]).process
        if process is not None and process.runs():
            with suppress(ProcessLookupError):
                os.killpg(process.pid, request["signal"])
        reply()

    def _exec(self, client: Client, request: Request, reply: Reply) -> None:
        handle = request["handle"]
        files = container_files(self._folder, handle)
        launch, process = files.launch, files.process
        if launch is None or process is None or not process.runs():
            raise RefusedError(f"container {handle} is not running")
        deadline = self._clock.monotonic() + request["timeout_s"]
        execution = Execution(handle, client, reply, deadline)
        execution.pid = self._children.start(
            _program(launch, request["argv"], request["env"]),
            sink=lambda _, data: _keep(execution, data),
            on_end=lambda status: self._execution_ended(execution, status),
            streams=("output", "output"),
        )
        self._executions.append(execution)

    def _destroy(self, client: Client, request: Request, reply: Reply) -> None:
        self._end(request["handle"]).waiting.append(reply)

    def _sweep(self, client: Client, request: Request, reply: Reply) -> None:
        for handle in handles(self._folder):
            self._end(handle)
        self._sweeping.append(reply)

    def _end(self, handle: str) -> Ending:
        """Begin to destroy a container. From here on it can't be started."""
        files = container_files(self._folder, handle)
        files.forbid_start()
        if handle in self._endings:
            return self._endings[handle]
        deadline = self._clock.monotonic() + _KILL_FOR_S
        leaders = [execution.pid for execution in self._executions if execution.handle == handle]
        process = files.process
        if handle in self._running:
            leaders.append(self._running[handle].pid)
        elif process is not None and not process.is_somebody_else():
            leaders.append(process.pid)
        ending = self._endings[handle] = Ending(leaders, deadline)
        return ending

    # What happens by itself.

    def _watch_children(self) -> None:
        """Have the selector wake up when a child ends."""
        reading, writing = os.pipe()
        for end in (reading, writing):
            os.set_blocking(end, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(writing)
        self._selector.register(reading, selectors.EVENT_READ, lambda _: self._on_child(reading))

    def _on_child(self, wakeups: int) -> None:
        os.read(wakeups, 4096)
        self._child_ended = True

    def _ended(self, running: Running, status: int) -> None:
        del self._running[running.handle]
        running.log.close()
        try:
            running.files.write_exit(status)
        except OSError:  # the status is lost then, which is what agents will find
            traceback.print_exc()
        for execution in self._executions:
            if execution.handle == running.handle:
                kill_members(process_table(), execution.pid)
        for reply in running.waiting:
            reply(known=True)

    def _execution_ended(self, execution: Execution, status: int) -> None:
        self._executions.remove(execution)
        output = base64.b64encode(execution.output).decode()
        execution.reply(status=status, output=output, timed_out=execution.timed_out)

    def _on_gone(self, client: Client) -> None:
        """Nobody will take the answer of what this agent was executing."""
        for execution in self._executions:
            if execution.client is client:
                kill_members(process_table(), execution.pid)

    def _tick(self, now: float) -> None:
        for execution in self._executions:
            if not execution.timed_out and now >= execution.deadline:
                execution.timed_out = True
                kill_members(process_table(), execution.pid)
        table = process_table() if self._endings else {}
        for handle in list(self._endings):
            self._kill_on(handle, table, now)
        if self._sweeping and not self._endings:
            for reply in self._sweeping:
                reply()
            self._done = True
        self._leave_if_idle(now)

    def _kill_on(self, handle: str, table: ProcessTable, now: float) -> None:
        ending = self._endings[handle]
        living = [pid for leader in ending.leaders for pid in kill_members(table, leader)]
        if living and now < ending.deadline:
            return
        if not living and handle in self._running:
            return  # its end is on the way, and its record comes first
        del self._endings[handle]
        why = {"error": f"container {handle}: can't kill processes {living}"} if living else {}
        for reply in ending.waiting:
            reply(**why)

    def _leave_if_idle(self, now: float) -> None:
        if self._running or self._server.clients or self._endings:
            self._idle_since = None
        elif self._idle_since is None:
            self._idle_since = now
        elif now >= self._idle_since + self._idle_s:
            self._done = True

    def _patience(self) -> float | None:
        """How long nothing will be due."""
        if self._endings:
            return _KILL_EVERY_S
        now = self._clock.monotonic()
        due = [one.deadline for one in self._executions if not one.timed_out]
        if self._idle_since is not None:
            due.append(self._idle_since + self._idle_s)
        return max(0.0, min(due) - now) if due else None


def _record(files: ContainerFiles, pid: int) -> None:
    try:
        files.write_process(ProcessRecord.of(pid))
    except OSError:
        files.forget_process()
        raise


def _program(launch: Launch, argv: Sequence[str], env: Mapping[str, str]) -> Program:
    return Program(argv, {**launch.env, **env}, launch.cwd, launch.user)


def _log(running: Running, stream: str, data: bytes) -> None:
    try:
        running.log.write(stream, data)
    except OSError as error:  # a full disk costs output, not the program
        print(f"{running.handle}: lost {len(data)} bytes of output: {error}", file=sys.stderr)


def _keep(execution: Execution, data: bytes) -> None:
    execution.output += data[: _EXEC_OUTPUT_MAX - len(execution.output)]
