"""How much the brain takes on at a time: as much as leaves the loop to others soon enough."""

import asyncio
from typing import TypeVar

from diegod.scheduler.core.breaks import Steps
from diegod.world import Clock

T = TypeVar("T")

#: How long the loop is held in one go: less than half of what others must be able to wait, since
#: a step that has begun is finished first.
HELD_S = 0.008
_ROWS_MIN, _ROWS_MAX = 50, 5_000


class Pace:
    """Rows a slice, by how long the slices before took."""

    def __init__(self, slice_s: float = HELD_S) -> None:
        self._slice_s = slice_s  # what is aimed at
        self._rows = 500

    def rows(self) -> int:
        return self._rows

    def took(self, elapsed_s: float) -> None:
        """Slower at once, faster by and by: a slice that is too long holds everybody up."""
        if elapsed_s > self._slice_s:
            self._rows = max(_ROWS_MIN, int(self._rows * self._slice_s / elapsed_s))
        elif elapsed_s < self._slice_s / 2:
            self._rows = min(_ROWS_MAX, self._rows + self._rows // 4)


class Breaks:
    """Does work in steps, and lets others have the loop whenever it has held it for long enough."""

    def __init__(self, clock: Clock, held_s: float = HELD_S) -> None:
        self._clock = clock
        self._held_s = held_s
        self.worked_s = 0.0  # for the work before, without its breaks

    async def over(self, steps: Steps[T]) -> T:
        self.worked_s, began = 0.0, self._clock.monotonic()
        while True:
            try:
                next(steps)
            except StopIteration as end:
                self.worked_s += self._clock.monotonic() - began
                result: T = end.value
                return result
            if (held_s := self._clock.monotonic() - began) >= self._held_s:
                self.worked_s += held_s
                await asyncio.sleep(0)
                began = self._clock.monotonic()
