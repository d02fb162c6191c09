"""A container backend without containers, for simulations: it does what a script says.

The host and its containers are one object (`FakeHost`), the backend another (`FakeBackend`): an
agent can be lost, and another one made over the same host. Everything happens by `asyncio.sleep`
and futures of the running loop, which may be one with a virtual clock: no threads, no processes, no
clock of its own, and the same order in every run. Nothing touches the disk, but the log of a script
that says something.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from diegod.cellruntime.exec.cri_log import CriLog
from diegod.contracts.backend import (
    BackendError,
    Capabilities,
    ContainerSpec,
    ContainerState,
    ContainerStatus,
    ExecResult,
    Exit,
    Owner,
    RootfsNotFound,
)
from diegod.contracts.log_format import LOG_FILE

TERM_STATUS = 128 + 15
KILL_STATUS = 128 + 9


@dataclass(frozen=True)
class Script:
    """How one container behaves. The default runs until it is told to end."""

    prepare_s: float = 0.0  # how long the verb takes
    start_s: float = 0.0
    runs_s: float | None = None  # how long the program runs; None: until a signal
    status: int = 0  # with which it then ends
    oom_killed: bool = False
    term_s: float = 0.0  # how long it takes to end after TERM
    term_status: int | None = TERM_STATUS  # None: it does not care about TERM
    refuse_prepare: str = ""  # the verb raises BackendError with this
    refuse_start: str = ""
    hangs: frozenset[str] = frozenset()  # verbs that never come back
    says: bytes = b""  # written to the log once it runs,
    says_again: bytes = b""  # and this every 0.1 s
    says_at_term: bytes = b""
    leaves: Mapping[str, bytes] = field(default_factory=dict)  # files of the program, by path
    answers: Callable[[Sequence[str]], ExecResult] = lambda argv: ExecResult(0, b"")  # to exec


ScriptFor = Callable[[ContainerSpec], Script]

SAYS_EVERY_S = 0.1


@dataclass
class _Container:
    spec: ContainerSpec
    script: Script
    state: ContainerState = ContainerState.PREPARED
    pid: int = 0
    exit: Exit | None = None
    starting: "asyncio.Future[None] | None" = None
    over: asyncio.Event = field(default_factory=asyncio.Event)  # set once it has ended
    log: CriLog | None = None

    def status(self) -> ContainerStatus:
        address = "127.0.0.1" if self.state is ContainerState.RUNNING else ""
        return ContainerStatus(self.spec.handle, self.state, self.pid, address, self.exit)

    def say(self, words: bytes) -> None:
        if words and self.log is None:
            self.log = CriLog(self.spec.directory / LOG_FILE, asyncio.get_running_loop().time)
        if words and self.log is not None:
            self.log.write("stdout", words)

    def end(self, state: ContainerState, exit: Exit | None) -> None:  # noqa: A002 (its name)
        if self.over.is_set():
            return
        self.state, self.pid, self.exit = state, 0, exit
        self.over.set()
        if self.log is not None:
            self.log.close()
            self.log = None


class FakeHost:
    """One machine: what runs on it, whoever the agent is. `starts` counts each handle's starts."""

    def __init__(
        self, script_for: ScriptFor = lambda spec: Script(), preloaded: Sequence[str] = ("busybox",)
    ) -> None:
        self.starts: Counter[str] = Counter()
        self.preloaded = tuple(preloaded)
        self._script_for = script_for
        self._containers: dict[tuple[Owner, str], _Container] = {}
        self._tasks: dict[asyncio.Task[None], None] = {}  # a set in order
        self._last_pid = 1000

    # What a test does to the host.

    def crash(self, handle: str, status: int = 1) -> None:
        """Let a running program end by itself, now."""
        for (_, name), container in self._containers.items():
            if name == handle and container.state is ContainerState.RUNNING:
                container.end(ContainerState.EXITED, Exit(status))

    def reboot(self) -> None:
        """All programs are gone, and nobody saw them end."""
        for container in self._containers.values():
            if container.state is ContainerState.RUNNING:
                container.end(ContainerState.LOST, None)

    def running(self, owner: Owner | None = None) -> list[str]:
        """The handles of all programs that run, of one owner or of all."""
        return [
            handle
            for (whose, handle), container in self._containers.items()
            if container.state is ContainerState.RUNNING and owner in (None, whose)
        ]

    async def close(self) -> None:
        """End everything, so that the loop can be closed."""
        self.reboot()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # What backends ask of it.

    def find(self, owner: Owner, handle: str) -> _Container | None:
        return self._containers.get((owner, handle))

    def handles(self, owner: Owner) -> list[str]:
        return sorted(handle for whose, handle in self._containers if whose == owner)

    def script(self, spec: ContainerSpec) -> Script:
        return self._script_for(spec)

    def add(self, spec: ContainerSpec) -> None:
        key = (spec.owner, spec.handle)
        self._containers.setdefault(key, _Container(spec, self.script(spec)))

    def start(self, container: _Container) -> "asyncio.Future[None]":
        """Begin to start; it goes on when the agent that asked is no more."""
        if container.starting is not None:
            handle = container.spec.handle
            raise BackendError(f"container {handle} has been started before: it never starts twice")
        container.starting = self._spawn(self._live(container))
        return container.starting

    def remove(self, owner: Owner, handle: str) -> None:
        container = self._containers.pop((owner, handle), None)
        if container is not None:
            container.end(ContainerState.EXITED, Exit(KILL_STATUS))

    def end_later(self, container: _Container, delay_s: float, status: int) -> None:
        self._spawn(self._end_later(container, delay_s, Exit(status)))

    async def _live(self, container: _Container) -> None:
        """Up to where the program runs; the rest of its life is a task of its own."""
        script = container.script
        await asyncio.sleep(script.start_s)
        if container.over.is_set():
            return  # destroyed while it was on its way
        if script.refuse_start:
            container.starting = None
            raise BackendError(script.refuse_start)
        self._last_pid += 1
        self.starts[container.spec.handle] += 1
        container.state, container.pid = ContainerState.RUNNING, self._last_pid
        container.say(script.says)
        if script.runs_s is not None:
            self.end_later(container, script.runs_s, script.status)
        if script.says_again:
            self._spawn(self._talk(container))

    async def _end_later(self, container: _Container, delay_s: float, exit: Exit) -> None:  # noqa: A002
        await asyncio.sleep(delay_s)
        oom_killed = container.script.oom_killed and exit.status == container.script.status
        container.end(ContainerState.EXITED, Exit(exit.status, oom_killed))

    async def _talk(self, container: _Container) -> None:
        while not container.over.is_set():
            await asyncio.sleep(SAYS_EVERY_S)
            if not container.over.is_set():
                container.say(container.script.says_again)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks[task] = None
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.pop(task, None)
        if not task.cancelled():
            task.exception()  # whoever waits for it gets it; nobody may be there any more


class FakeBackend:
    """Implements `ContainerBackend` over a FakeHost."""

    def __init__(self, owner: Owner, host: FakeHost) -> None:
        self._owner = owner
        self._host = host

    @classmethod
    def factory(
        cls, host: FakeHost
    ) -> Callable[[Owner, Path, Mapping[str, object]], "FakeBackend"]:
        """What a BackendPlugin wants."""
        return lambda owner, state_dir, settings: cls(owner, host)

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(
            isolation="fake: nothing runs", network_namespace=False, rootfs=False, limits=False
        )

    async def open(self) -> None:
        await asyncio.sleep(0)

    async def close(self) -> None:
        await asyncio.sleep(0)

    async def rootfs_providers(self) -> Sequence[str]:
        return [*(f"preloaded:{name}" for name in self._host.preloaded), "dir"]

    async def prepare(self, spec: ContainerSpec) -> None:
        script = self._host.script(spec)
        await _pass(script, "prepare", script.prepare_s)
        kind, _, name = spec.rootfs.partition(":")
        if kind == "preloaded" and name not in self._host.preloaded:
            raise RootfsNotFound(f"rootfs {spec.rootfs}: this host has none called {name}")
        if script.refuse_prepare:
            raise BackendError(script.refuse_prepare)
        self._host.add(spec)

    async def create(self, spec: ContainerSpec) -> None:
        await _pass(self._known(spec.handle).script, "create")

    async def start(self, handle: str) -> ContainerStatus:
        container = self._known(handle)
        await _pass(container.script, "start")
        await asyncio.shield(self._host.start(container))
        return container.status()

    async def inspect(self, handle: str) -> ContainerStatus | None:
        await asyncio.sleep(0)
        container = self._host.find(self._owner, handle)
        return None if container is None else container.status()

    async def wait(self, handle: str) -> ContainerStatus:
        container = self._host.find(self._owner, handle)
        if container is None:
            return ContainerStatus(handle, ContainerState.LOST)
        await container.over.wait()
        return container.status()

    async def signal(self, handle: str, signal: str) -> None:
        container = self._host.find(self._owner, handle)
        await asyncio.sleep(0)
        if container is None or container.state is not ContainerState.RUNNING:
            return
        if signal == "KILL":
            container.end(ContainerState.EXITED, Exit(KILL_STATUS))
            return
        script = container.script
        container.say(script.says_at_term)
        if script.term_status is not None:
            self._host.end_later(container, script.term_s, script.term_status)

    async def destroy(self, handle: str) -> None:
        container = self._host.find(self._owner, handle)
        if container is not None:
            await _pass(container.script, "destroy")
        self._host.remove(self._owner, handle)

    async def exec(
        self, handle: str, argv: Sequence[str], env: Mapping[str, str], timeout_s: float
    ) -> ExecResult:
        container = self._known(handle)
        if container.state is not ContainerState.RUNNING:
            raise BackendError(f"container {handle} is not running")
        async with asyncio.timeout(timeout_s):
            await _pass(container.script, "exec")
        return container.script.answers(argv)

    async def read_file(self, handle: str, path: str, bytes_max: int) -> bytes | None:
        container = self._known(handle)
        await _pass(container.script, "read_file")
        if container.state is ContainerState.PREPARED or path not in container.script.leaves:
            return None
        return container.script.leaves[path][:bytes_max]

    async def handles(self) -> Sequence[str]:
        return self._host.handles(self._owner)

    async def sweep(self) -> None:
        for handle in self._host.handles(self._owner):
            await self.destroy(handle)

    def _known(self, handle: str) -> _Container:
        container = self._host.find(self._owner, handle)
        if container is None:
            raise BackendError(f"container {handle} is not there: prepare it first")
        return container


async def _pass(script: Script, verb: str, delay_s: float = 0.0) -> None:
    """The time that a verb takes: at least one turn of the loop, at most for ever."""
    await asyncio.sleep(delay_s)
    if verb in script.hangs:
        await asyncio.get_running_loop().create_future()
