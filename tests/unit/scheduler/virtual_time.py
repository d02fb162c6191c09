"""An event loop whose time jumps to the next timer: an hour of waiting takes no time at all."""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any


class _JumpingSelector(selectors.SelectSelector):
    """Where a loop would sleep, its clock moves instead."""

    jump: Callable[[float], None]

    def select(self, timeout: float | None = None) -> Any:
        if timeout is None:
            raise AssertionError("every task waits, and no timer would ever wake one")
        self.jump(max(timeout, 0.0))
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._now = 0.0
        selector = _JumpingSelector()
        selector.jump = self._jump
        super().__init__(selector)

    def time(self) -> float:
        return self._now

    def _jump(self, seconds: float) -> None:
        self._now += seconds


class LoopClock:
    """The clocks of a machine that may be suspended for a while."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.suspended_s = 0.0

    def wall(self) -> float:
        return 1_700_000_000.0 + self.boottime()

    def monotonic(self) -> float:
        return self._loop.time()

    def boottime(self) -> float:
        return self._loop.time() + self.suspended_s


def run(scenario: Coroutine[Any, Any, None], loop: VirtualLoop) -> None:
    """To its end; whatever it left running is cancelled."""
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(scenario)
