"""Who ticks a member: a thread of its own, or the event loop.

LMDB binds a write transaction to its thread, so exactly one thread ticks, for the life of the
process. When a tick fails, the process ends: nothing of it was released, and nothing is retried.
"""

import asyncio
import threading
from collections.abc import Callable

from diegod.raftbbs import failpoints
from diegod.raftbbs.member import Member
from diegod.raftbbs.ticking import Inbox, Ticking, TickResult
from diegod.world import Clock

#: No tick is further away than this, so that a clock that jumps can't stop the log.
_SLEEP_S_MAX = 0.5


class LoopDriver:
    """Ticks on the event loop: for simulation, where all is one thread and time is virtual."""

    def __init__(self, ticking: Ticking, clock: Clock) -> None:
        self._ticking = ticking
        self._clock = clock
        self._woken = asyncio.Event()

    def wake(self) -> None:
        self._woken.set()

    async def run(self, member: Member) -> None:
        while True:
            await self._due()
            self._woken.clear()
            result = self._ticking.tick(member.take(), self._clock.monotonic(), self._clock.wall())
            member.deliver(result)

    async def _due(self) -> None:
        left_s = self._ticking.next_deadline() - self._clock.monotonic()
        if left_s <= 0:
            await asyncio.sleep(0)
            return
        try:
            async with asyncio.timeout(min(left_s, _SLEEP_S_MAX)):
                await self._woken.wait()
        except TimeoutError:
            return


class ThreadDriver:
    """Ticks in a thread. Results come back on the event loop, in order."""

    def __init__(
        self, ticking: Ticking, clock: Clock, on_failure: Callable[[BaseException], None]
    ) -> None:
        self._ticking = ticking
        self._clock = clock
        self._on_failure = on_failure
        self._condition = threading.Condition()
        self._handed_over: Inbox | None = None
        self._stopping = False
        self._loop = asyncio.get_running_loop()
        self._woken = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._deliver: Callable[[TickResult], None] = lambda result: None

    def wake(self) -> None:
        self._woken.set()

    async def run(self, member: Member) -> None:
        """Hand over what has come in whenever the thread is free; it ticks by itself in between."""
        self._deliver = member.deliver
        thread = threading.Thread(target=self._tick_for_ever, name="tick", daemon=True)
        thread.start()
        try:
            while True:
                await self._woken.wait()
                await self._idle.wait()
                self._woken.clear()
                self._idle.clear()
                self._hand_over(member.take())
        finally:
            self._stop()
            # However long the last tick takes: nobody may close the store under it.
            await asyncio.to_thread(thread.join)

    def _hand_over(self, inbox: Inbox) -> None:
        with self._condition:
            self._handed_over = inbox
            self._condition.notify()

    def _stop(self) -> None:
        with self._condition:
            self._stopping = True
            self._condition.notify()

    def _tick_for_ever(self) -> None:
        try:
            while not self._stopping:
                inbox = self._next_inbox()
                result = self._ticking.tick(
                    inbox or Inbox(), self._clock.monotonic(), self._clock.wall()
                )
                # One call: each wakes the loop, and that costs more than what is done there.
                free = inbox is not None
                self._loop.call_soon_threadsafe(self._bring_back, result, free)
        except BaseException as error:
            self._on_failure(error)

    def _bring_back(self, result: TickResult, free: bool) -> None:
        """On the event loop. Half a delivery would be answers and changes lost for ever.

        `free`: the thread has done what it was handed, and takes more."""
        try:
            self._deliver(result)
            self._loop.call_soon(failpoints.passes, "after_release")  # once what it woke has sent
        except Exception as error:
            self._on_failure(error)
        if free:
            self._idle.set()

    def _next_inbox(self) -> Inbox | None:
        """What was handed over; None when time has come instead."""
        with self._condition:
            if self._handed_over is None and not self._stopping:
                left_s = self._ticking.next_deadline() - self._clock.monotonic()
                self._condition.wait(max(0.0, min(left_s, _SLEEP_S_MAX)))
            inbox, self._handed_over = self._handed_over, None
            return inbox
