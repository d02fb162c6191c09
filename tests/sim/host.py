"""A simulated machine and the processes on it: what can be killed, stopped, and started again.

A machine has clocks and may be lost as a whole. A process is all callbacks of one context; killing
it leaves what it had on disk, and nothing of it ever runs on (`loop.VirtualLoop`).
"""

import asyncio
import weakref
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any

from tests.sim.loop import PROCESS, Turn, VirtualLoop

#: What people call the time when the simulation begins.
EPOCH_S = 1_700_000_000.0


class Killed(BaseException):
    """The process dies at this point of its own code; nothing of it runs on."""


class Machine:
    """A name in the network and the clocks of one computer. Also a `world.Clock`."""

    def __init__(
        self,
        name: str,
        loop: VirtualLoop,
        monotonic_offset_s: float,
        rate: float = 1.0,
        wall_error_s: float = 0.0,
    ) -> None:
        self.name = name
        self.rate = rate
        self.wall_error_s = wall_error_s
        self._loop = loop
        self._monotonic_offset_s = monotonic_offset_s

    def wall(self) -> float:
        return EPOCH_S + self._loop.time() + self.wall_error_s

    def monotonic(self) -> float:
        return self._monotonic_offset_s + self.rate * self._loop.time()

    def loop_time_at(self, monotonic_s: float) -> float:
        """When this machine's clock will show that, by the simulation's own time."""
        return (monotonic_s - self._monotonic_offset_s) / self.rate

    def boottime(self) -> float:
        return self.monotonic()

    def loop_time(self) -> float:
        """The simulation's own time: seconds since its beginning."""
        return self._loop.time()


class Process:
    """One life of a program on a machine."""

    def __init__(
        self,
        name: str,
        machine: Machine,
        loop: VirtualLoop,
        on_end: Callable[["Process", BaseException | None], None],
    ) -> None:
        self.name = name
        self.machine = machine
        self.is_dead = False
        self.is_paused = False
        self.turns_left = 0
        self._last_turn: Callable[[], None] = self.kill
        self.held: list[Turn] = []
        self.tasks: weakref.WeakSet[asyncio.Task[Any]] = weakref.WeakSet()
        self._corpses: list[asyncio.Task[Any]] = []
        self._loop = loop
        self._on_end = on_end
        self._context = Context()
        self._context.run(PROCESS.set, self)

    def run(self, function: Callable[[], Any]) -> Any:
        """Run a function as this process."""
        return self._context.copy().run(function)

    def spawn(self, work: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
        return self._loop.create_task(work, context=self._context.copy())

    def main(self, work: Coroutine[Any, Any, Any]) -> None:
        """What this process is for: it should not end by itself."""
        task = self.spawn(work)
        task.add_done_callback(self._ended, context=Context())

    def _ended(self, task: "asyncio.Task[Any]") -> None:
        error = None if task.cancelled() else task.exception()
        if not self.is_dead:
            self._on_end(self, error)

    def kill(self) -> None:
        """At once and for ever. Its coroutines are kept, so that not even their `finally` runs."""
        self.is_dead = True
        self._corpses = self._corpses or list(self.tasks)
        self.held.clear()

    def die_after(self, turns: int, last_turn: Callable[[], None]) -> None:
        """Between two awaits of its own it is over: after so many more steps of its coroutines."""
        self.turns_left, self._last_turn = turns, last_turn

    def turn_ended(self) -> None:
        self.turns_left -= 1
        if self.turns_left == 0 and not self.is_dead:
            self._last_turn()

    def pause(self) -> None:
        self.is_paused = True

    def resume(self) -> None:
        self.is_paused = False
        held, self.held = self.held, []
        self._loop.release(held)

    def bury(self) -> None:
        """After the simulation: close what was left in the middle, without a word."""
        self.kill()
        for task in self._corpses:
            task._log_destroy_pending = False  # type: ignore[attr-defined]
            work = task.get_coro()
            for _ in range(10):
                try:
                    work.close()
                    break
                except (RuntimeError, ValueError):
                    continue  # its `finally` awaits something: on to the next await
                except BaseException:
                    break
