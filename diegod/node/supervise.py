"""Child processes, one a role: started, waited for until ready, restarted with back-off, stopped.

One process a role means that a failed commit of a BBS member ends that member and nothing else.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from diegod.node import notify, parent
from diegod.node.notify import ReadySocket
from diegod.node.statuses import NOT_CURABLE, REPLACED, WRONG_USAGE

_log = structlog.get_logger("supervisor")

_BACKOFF_S = 0.5
_BACKOFF_S_MAX = 15.0
_FORGIVEN_AFTER_S = 30.0
_STOP_TIMEOUT_S = 10.0
#: A restart would find the same: the child's message says what a person must do.
_FINAL = (WRONG_USAGE, NOT_CURABLE)


@dataclass
class Child:
    """One role as a process."""

    name: str
    config: Path
    role: str
    log: Path | None  # None: where our own messages go
    run_dir: Path
    process: asyncio.subprocess.Process | None = None
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    let_go: asyncio.Event = field(default_factory=asyncio.Event)
    restarts: int = 0
    last_exit: int | None = None

    @property
    def pid(self) -> int:
        return self.process.pid if self.process and self.process.returncode is None else 0

    @property
    def held(self) -> bool:
        """Down on purpose, or about to be: not to be restarted."""
        return self.let_go.is_set()

    @property
    def argv(self) -> list[str]:
        module = [sys.executable, "-m", "diegod"]
        return [*module, f"--role={self.role}", "--config", str(self.config)]


class Supervisor:
    def __init__(self, children: Sequence[Child]) -> None:
        self.children = {child.name: child for child in children}
        self.on_change: Callable[[], None] = lambda: None
        self._keepers: dict[str, asyncio.Task[None]] = {}

    def start(self) -> None:
        for name in self.children:
            self.start_child(name)

    def start_child(self, name: str) -> None:
        child = self.children[name]
        child.let_go.clear()
        if name not in self._keepers or self._keepers[name].done():
            self._keepers[name] = asyncio.create_task(self._keep(child))

    async def wait_ready(self) -> None:
        """Until every child is ready, or one has ended for good."""
        ready = asyncio.create_task(self._all_ready())
        await asyncio.wait([ready, *self._keepers.values()], return_when=asyncio.FIRST_COMPLETED)
        ready.cancel()

    async def _all_ready(self) -> None:
        for child in self.children.values():
            await child.ready.wait()

    async def wait_ended(self) -> None:
        """Until no child is kept any more."""
        await asyncio.gather(*self._keepers.values())

    def ended_for_good(self) -> list[Child]:
        return [
            child
            for name, child in self.children.items()
            if not child.held and name in self._keepers and self._keepers[name].done()
        ]

    async def kill(self, name: str) -> None:
        """SIGKILL, and no restart until `start_child`. Returns when it is gone."""
        child = self.children[name]
        child.let_go.set()
        if child.process is not None and child.process.returncode is None:
            child.process.kill()
            await child.process.wait()
        await asyncio.gather(self._keepers[name], return_exceptions=True)

    def signal(self, name: str, number: signal.Signals) -> None:
        child = self.children[name]
        if child.process is not None and child.process.returncode is None:
            child.process.send_signal(number)

    async def stop(self) -> None:
        """BBS members last: the others have leases to give back, and do so in no time."""
        for child in self.children.values():
            child.let_go.set()
        await self._stop([child for child in self.children.values() if child.role != "bbs"])
        await self._stop([child for child in self.children.values() if child.role == "bbs"])

    async def _stop(self, children: Sequence[Child]) -> None:
        """All at once, with SIGTERM, then SIGKILL for those that take too long."""
        for child in children:
            self.signal(child.name, signal.SIGCONT)
            self.signal(child.name, signal.SIGTERM)
        keepers = [self._keepers[child.name] for child in children if child.name in self._keepers]
        if not keepers:
            return
        _, late = await asyncio.wait(keepers, timeout=_STOP_TIMEOUT_S)
        if late:
            for child in children:
                if child.process is not None and child.process.returncode is None:
                    child.process.kill()
            await asyncio.wait(late)

    async def _keep(self, child: Child) -> None:
        backoff_s = _BACKOFF_S
        while not child.held:
            began = asyncio.get_running_loop().time()
            child.last_exit = await self._run(child)
            self.on_change()
            if child.held or child.last_exit in _FINAL:
                return
            if child.last_exit == REPLACED:
                _log.info("child.begins_again", name=child.name)
                child.restarts += 1
                continue
            if asyncio.get_running_loop().time() - began > _FORGIVEN_AFTER_S:
                backoff_s = _BACKOFF_S
            _log.warning("child.ended", name=child.name, status=child.last_exit, again_s=backoff_s)
            try:
                await asyncio.wait_for(child.let_go.wait(), backoff_s)
            except TimeoutError:
                child.restarts += 1
            backoff_s = min(2 * backoff_s, _BACKOFF_S_MAX)

    async def _run(self, child: Child) -> int:
        """One life of a child: its exit status, negative for a signal."""
        child.ready.clear()
        socket = ReadySocket(child.run_dir / f"{child.name}.ready")
        environment = {
            **os.environ,
            notify.VARIABLE: str(socket.path),
            parent.VARIABLE: str(os.getpid()),
        }
        waiting = asyncio.create_task(self._announce(child, socket))
        try:
            child.process = await _spawned(child, environment)
            if child.held:  # killed or stopped while it was being born
                child.process.kill()
            self.on_change()
            return await child.process.wait()
        finally:
            waiting.cancel()
            socket.close()
            child.ready.clear()

    async def _announce(self, child: Child, socket: ReadySocket) -> None:
        await socket.wait()
        child.ready.set()
        self.on_change()


async def _spawned(child: Child, environment: dict[str, str]) -> asyncio.subprocess.Process:
    with ExitStack() as stack:
        # Not by the name /dev/stderr: where that is a socket, as under systemd, it can't be opened.
        log = stack.enter_context(child.log.open("ab")) if child.log else sys.stderr.fileno()
        return await asyncio.create_subprocess_exec(
            *child.argv,
            env=environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # a Ctrl-C is the supervisor's to answer
        )
