"""An event loop on virtual time: when nothing is left to do, the next timer is due at once.

A callback belongs to the simulated process whose context it was made in (`host.Process`). What
belongs to a dead process is never run, not even a `finally`; what belongs to a paused one waits.
So a process can be killed and stopped at any await, as by SIGKILL and SIGSTOP, without its help.
"""

import asyncio
import heapq
import weakref
from collections import deque
from collections.abc import Coroutine, Generator
from contextvars import Context, ContextVar, copy_context
from typing import Any, Protocol


class Owner(Protocol):
    """Whose callbacks are run, held back, or dropped."""

    is_dead: bool
    is_paused: bool
    turns_left: int
    held: "list[Turn]"
    tasks: "weakref.WeakSet[asyncio.Task[Any]]"

    def turn_ended(self) -> None:
        """One of a counted number of turns was taken."""


#: The process that the running code belongs to; None: the simulation itself.
PROCESS: ContextVar[Owner | None] = ContextVar("PROCESS", default=None)

#: The context of what belongs to no process.
SIMULATION = Context()


class NothingLeftError(Exception):
    """No callback and no timer is left: the simulation waits for something that can't happen."""


class TimeStandsStillError(Exception):
    """Something is due again and again at one moment, so that time never goes on."""


#: More callbacks than this within one moment mean that there is no end to them.
_TURNS_A_MOMENT_MAX = 100_000


class Turn:
    """A callback that is to run: `asyncio.Handle` without what nobody here asks of it."""

    __slots__ = ("arguments", "callback", "context", "is_cancelled", "when_s")

    def __init__(self, when_s: float, callback: Any, arguments: Any, context: Context) -> None:
        self.when_s = when_s
        self.callback = callback
        self.arguments = arguments
        self.context = context
        self.is_cancelled = False

    def when(self) -> float:
        return self.when_s

    def cancel(self) -> None:
        self.is_cancelled = True
        self.callback = self.arguments = None  # they may hold what is to be freed

    def cancelled(self) -> bool:
        return self.is_cancelled


class VirtualLoop(asyncio.BaseEventLoop):
    """Runs on asyncio's own tasks, futures and timers; only time and ownership are ours."""

    def __init__(self) -> None:
        super().__init__()
        self._now = 0.0
        self.turns = 0
        self._turns_before = 0
        self._timers: list[tuple[float, int, Turn]] = []
        self._timer_number = 0
        self._now_ready: deque[Turn] = deque()

    def time(self) -> float:
        return self._now

    def call_soon(  # type: ignore[override]
        self, callback: Any, *args: Any, context: Context | None = None
    ) -> Turn:
        """As asyncio's, without its checks: half of a simulation is this."""
        turn = Turn(self._now, callback, args, copy_context() if context is None else context)
        self._now_ready.append(turn)
        return turn

    #: There is no other thread. asyncio itself asks this way for the end of dropped generators.
    call_soon_threadsafe = call_soon  # type: ignore[assignment]

    def call_at(  # type: ignore[override]
        self, when: float, callback: Any, *args: Any, context: Context | None = None
    ) -> Turn:
        """Timers of one moment are due in the order in which they were made."""
        turn = Turn(when, callback, args, copy_context() if context is None else context)
        self._timer_number += 1
        heapq.heappush(self._timers, (when, self._timer_number, turn))
        return turn

    def call_later(  # type: ignore[override]
        self, delay: float, callback: Any, *args: Any, context: Context | None = None
    ) -> Turn:
        return self.call_at(self._now + delay, callback, *args, context=context)

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

    def release(self, turns: list[Turn]) -> None:
        """Run these now, in this order: their process goes on."""
        self._now_ready.extend(turns)

    def abandon(self) -> None:
        """Forget all that was to be done, and do nothing that anybody still asks for."""

        def nothing(*args: object, **more: object) -> Turn:
            return Turn(0.0, None, (), Context())

        self.set_exception_handler(lambda loop, context: None)
        for name in ("call_soon", "call_soon_threadsafe", "call_at", "call_later"):
            setattr(self, name, nothing)
        self._now_ready.clear()
        self._timers.clear()

    def _run_once(self) -> None:
        """All that is ready, then what is due next: asyncio's steps, with a clock that jumps and
        callbacks that have an owner."""
        ready, timers = self._now_ready, self._timers
        while not self._stopping:  # type: ignore[attr-defined]
            if ready:
                if self.turns - self._turns_before > _TURNS_A_MOMENT_MAX:
                    raise TimeStandsStillError(f"at {self._now:.6f} s")
                turn = ready.popleft()
            elif timers:
                when, _, turn = heapq.heappop(timers)
                if when > self._now and not turn.is_cancelled:
                    self._now, self._turns_before = when, self.turns
            else:
                raise NothingLeftError
            if not turn.is_cancelled:
                self._run_or_hold(turn)

    def _run_or_hold(self, turn: Turn) -> None:
        owner = turn.context.get(PROCESS)
        if owner is None or not (owner.is_dead or owner.is_paused):
            self.turns += 1
            try:
                turn.context.run(turn.callback, *turn.arguments)
            except (SystemExit, KeyboardInterrupt):
                raise
            except BaseException as error:
                message = f"{turn.callback} raised {error!r}"
                self.call_exception_handler({"message": message, "exception": error})
            if owner is not None and owner.turns_left:
                SIMULATION.run(owner.turn_ended)
        elif not owner.is_dead:
            owner.held.append(turn)

    def _process_events(self, event_list: object) -> None:
        """There is nothing outside that could happen."""

    def _write_to_self(self) -> None:
        """There is no other thread to wake us for."""
