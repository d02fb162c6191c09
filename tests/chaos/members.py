"""Members as processes: started in their namespaces, ended, stopped, and kept running.

A member that ends by itself is started again: at once after it took over a copy of the state, and
otherwise as a complaint, unless a fault has taken hold of it and answers for what happens to it.
"""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from diegod.node import notify, parent
from diegod.node.notify import ReadySocket
from diegod.node.statuses import NOT_CURABLE, REPLACED, WRONG_USAGE
from diegod.raftbbs import failpoints
from tests.chaos.network import Network
from tests.chaos.places import RUN_VARIABLE
from tests.cluster.roles import Node
from tests.leaks import RUN_VARIABLE as TEST_RUN_VARIABLE

READY_S = 60.0
_OURS = ("DIEGOD_", "XDG_")
_AGAIN_S = 0.5
#: Another start would find the same.
_FINAL = (WRONG_USAGE, NOT_CURABLE)


class ChaosError(Exception):
    """The run can't go on: one line for a person."""


class Member:
    """A role as a process: a member of the BBS, or (in `tests.storm`) a brain or a cell."""

    def __init__(
        self, node: Node, network: Network, run: str, complain: Callable[[str], None]
    ) -> None:
        self.id = node.id
        self.log = node.log
        self.held = False
        """A fault answers for it: it is not started again."""
        self.failpoint = ""
        self.replaced = 0
        self.status: int | None = None
        self._node = node
        self._network = network
        self._run = run
        self._complain = complain
        self._process: asyncio.subprocess.Process | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._ready = asyncio.Event()
        self._ended = asyncio.Event()
        self._over = False

    @property
    def pid(self) -> int:
        """0 while there is no process."""
        process = self._process
        return process.pid if process is not None and process.returncode is None else 0

    async def start(self, failpoint: str = "") -> None:
        """Returns when the process is there; it is ready later."""
        if self.pid:
            return
        self.failpoint = failpoint
        self.status = None
        self._ready.clear()
        self._ended.clear()
        socket = ReadySocket(self._node.folder / "ready")
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self._network.command_in(self.id, *self._command()),
                cwd=self._node.folder,
                env=self._environment(socket.path),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._keeper = asyncio.create_task(self._keep(self._process, socket))

    async def ready(self) -> None:
        """Raises ChaosError if it takes too long, or can't be."""
        try:
            async with asyncio.timeout(READY_S):
                await self._ready.wait()
        except TimeoutError:
            waited = f"{self.id} is not ready after {READY_S:g} s"
            raise ChaosError(f"{waited}\n{self._last_words}") from None
        if self.status in _FINAL:
            raise ChaosError(f"{self.id} can't be started\n{self._last_words}")

    @property
    def _last_words(self) -> str:
        return self.said_since(0)[-2000:]

    async def ended(self, within_s: float) -> bool:
        """Whether it has ended by then, of whatever cause; `status` says how."""
        try:
            async with asyncio.timeout(within_s):
                await self._ended.wait()
        except TimeoutError:
            return False
        return True

    async def kill(self) -> int:
        """SIGKILL; the pid of what is gone. The caller holds the member."""
        if not (pid := self.pid):
            return 0
        self.signal(signal.SIGKILL)
        await self._ended.wait()
        return pid

    def signal(self, number: signal.Signals) -> None:
        if self._process is not None and self.pid:
            self._process.send_signal(number)

    async def end(self) -> None:
        """For good."""
        self.held = self._over = True
        await self.kill()
        if self._keeper is not None:
            await self._keeper

    def said_since(self, position: int) -> str:
        """What it has logged since its log had this size."""
        with self.log.open("rb") as log:
            log.seek(position)
            return log.read().decode(errors="replace")

    def log_bytes(self) -> int:
        return self.log.stat().st_size if self.log.exists() else 0

    def _command(self) -> list[str]:
        role = f"--role={self._node.role}"
        return [sys.executable, "-m", "diegod", role, "--config", str(self._node.config)]

    def _environment(self, ready: Path) -> dict[str, str]:
        kept = {
            name: value
            for name, value in os.environ.items()
            if name == TEST_RUN_VARIABLE or not name.startswith(_OURS)
        }
        armed = {failpoints.VARIABLE: self.failpoint} if self.failpoint else {}
        return {
            **kept,
            **armed,
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),  # the code of this run
            RUN_VARIABLE: self._run,
            notify.VARIABLE: str(ready),
            parent.VARIABLE: str(os.getpid()),
        }

    async def _keep(self, process: asyncio.subprocess.Process, socket: ReadySocket) -> None:
        """The life of one process, and what comes after it."""
        waiting = asyncio.create_task(self._await_ready(socket))
        began = time.monotonic()
        status = await process.wait()
        waiting.cancel()
        socket.close()
        self.status = status
        self._ended.set()
        if status in _FINAL:
            self._ready.set()  # nobody is to wait any longer
        if self._over or status in _FINAL:
            return
        if status == REPLACED:
            self.replaced += 1
            await self.start()
        elif not self.held:
            lived_s = time.monotonic() - began
            self._complain(f"{self.id} ended by itself after {lived_s:.1f} s, status {status}")
            await asyncio.sleep(_AGAIN_S)
            if not self.held:
                await self.start()

    async def _await_ready(self, socket: ReadySocket) -> None:
        await socket.wait()
        self._ready.set()


def state_of(pid: int) -> str:
    """The state letter of a process: R, S, D, T, Z; "" where there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0]
    except FileNotFoundError:
        return ""
