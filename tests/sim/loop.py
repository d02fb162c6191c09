"""An event loop on virtual time: when nothing is left to do, the next timer is due at once.

A callback belongs to the simulated process whose context it was made in (`host.Process`). What
belongs to a dead process is never run, not even a `finally`; what belongs to a paused one waits.
So a process can be killed and stopped at any await, as by SIGKILL and SIGSTOP, without its help.
"""

import asyncio
import heapq
import weakref
from collections.abc import Coroutine, Generator
from contextvars import Context, ContextVar
from typing import Any, Protocol


class Owner(Protocol):
    """Whose callbacks are run, held back, or dropped."""

    is_dead: bool
    is_paused: bool
    held: list[asyncio.Handle]
    tasks: "weakref.WeakSet[asyncio.Task[Any]]"


#: The process that the running code belongs to; None: the simulation itself.
PROCESS: ContextVar[Owner | None] = ContextVar("PROCESS", default=None)


class NothingLeftError(Exception):
    """No callback and no timer is left: the simulation waits for something that can't happen."""


class TimeStandsStillError(Exception):
    """Something is due again and again at one moment, so that time never goes on."""


#: More callbacks than this within one moment mean that there is no end to them.
_TURNS_A_MOMENT_MAX = 100_000


class VirtualLoop(asyncio.BaseEventLoop):
    """Runs on asyncio's own tasks, futures and timers; only time and ownership are ours."""

    def __init__(self) -> None:
        super().__init__()
        self._now = 0.0
        self.turns = 0
        self._turns_before = 0
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._timer_number = 0

    def time(self) -> float:
        return self._now

    def call_soon(  # type: ignore[override]
        self, callback: Any, *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        """As asyncio's, without its checks: half of a simulation is this."""
        handle = asyncio.Handle(callback, args, self, context)
        self._ready.append(handle)  # type: ignore[attr-defined]
        return handle

    def call_at(  # type: ignore[override]
        self, when: float, callback: Any, *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Timers of one moment are due in the order in which they were made."""
        timer = asyncio.TimerHandle(when, callback, args, self, context)
        self._timer_number += 1
        heapq.heappush(self._timers, (when, self._timer_number, timer))
        return timer

    def create_task(
        self,
        coro: Generator[Any, None, Any] | Coroutine[Any, Any, Any],
        *,
        name: object = None,
        context: Context | None = None,
    ) -> "asyncio.Task[Any]":
        task: asyncio.Task[Any] = asyncio.Task(coro, loop=self, name=name, context=context)  # type: ignore[arg-type]
        owner = PROCESS.get() if context is None else context.get(PROCESS)
        if owner is not None:
            owner.tasks.add(task)
        return task

    def release(self, handles: list[asyncio.Handle]) -> None:
        """Run these now, in this order: their process goes on."""
        self._ready.extend(handles)  # type: ignore[attr-defined]

    def abandon(self) -> None:
        """Forget all that was to be done, and do nothing that anybody still asks for."""

        def nothing(*args: object, **more: object) -> asyncio.Handle:
            return asyncio.Handle(id, (None,), self)

        self.set_exception_handler(lambda loop, context: None)
        for name in ("call_soon", "call_soon_threadsafe", "call_at", "call_later"):
            setattr(self, name, nothing)
        self._ready.clear()  # type: ignore[attr-defined]
        self._timers.clear()

    def _run_once(self) -> None:
        """All that is ready, then what is due next: asyncio's steps, with a clock that jumps and
        callbacks that have an owner."""
        ready, timers = self._ready, self._timers  # type: ignore[attr-defined]
        while not self._stopping:  # type: ignore[attr-defined]
            if ready:
                if self.turns - self._turns_before > _TURNS_A_MOMENT_MAX:
                    raise TimeStandsStillError(f"at {self._now:.6f} s")
                handle = ready.popleft()
            elif timers:
                when, _, handle = heapq.heappop(timers)
                if when > self._now and not handle._cancelled:
                    self._now, self._turns_before = when, self.turns
            else:
                raise NothingLeftError
            if not handle._cancelled:
                self._run_or_hold(handle)

    def _run_or_hold(self, handle: asyncio.Handle) -> None:
        owner = handle._context.get(PROCESS)  # type: ignore[attr-defined]
        if owner is None or not (owner.is_dead or owner.is_paused):
            self.turns += 1
            handle._run()
        elif not owner.is_dead:
            owner.held.append(handle)

    def _process_events(self, event_list: object) -> None:
        """There is nothing outside that could happen."""

    def _write_to_self(self) -> None:
        """There is no other thread to wake us for."""
