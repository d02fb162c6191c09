"""Clocks. The only reader of the `time` module.

`wall()` is what people call the time; it can jump. `monotonic()` never goes back and measures
durations. `boottime()` also runs while the machine is suspended: leases are counted on it.
"""

import time
from typing import Protocol


class Clock(Protocol):
    def wall(self) -> float:
        """Seconds since 1970, UTC."""

    def monotonic(self) -> float:
        """Seconds since some moment; for durations and deadlines."""

    def boottime(self) -> float:
        """Like `monotonic`, and it goes on while the machine is suspended."""


class SystemClock:
    """The clocks of this machine."""

    def wall(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    def boottime(self) -> float:
        if hasattr(time, "CLOCK_BOOTTIME"):
            return time.clock_gettime(time.CLOCK_BOOTTIME)
        return time.monotonic()
