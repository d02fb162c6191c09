"""Where a member can be made to die: at a step of persistence, the N-th time it gets there.

For tests of whole processes. `DIEGOD_FAILPOINT=NAME:N` in the environment of a member makes it
SIGKILL itself, as if the machine had lost power there, but for what the kernel holds. Without the
variable nothing is armed, and a step costs one look at a variable.

    before_commit       all of a tick is decided, nothing of it is on disk
    after_commit        it is on disk, nothing of it has been let out
    after_release       its answers and frames have been handed to their connections
    mid_snapshot_copy   the copy of the state is written, and nobody knows of it
    mid_install         a copy that has come is ready to become the store
    after_rename        it has become the store, and the folder may not be flushed

A death is announced on stderr, so that whoever armed it can tell it from any other.
"""

import os
import signal
from collections.abc import Mapping

VARIABLE = "DIEGOD_FAILPOINT"
STEPS = (
    "before_commit",
    "after_commit",
    "after_release",
    "mid_snapshot_copy",
    "mid_install",
    "after_rename",
)


class Failpoint:
    """One step, and how many more times it may be passed."""

    def __init__(self, step: str, passes: int) -> None:
        self.step = step
        self.left = passes

    def passed(self, step: str) -> None:
        if step != self.step:
            return
        self.left -= 1
        if self.left == 0:
            os.write(2, f"diegod: failpoint {step}: this process ends here.\n".encode())
            os.kill(os.getpid(), signal.SIGKILL)


_armed: Failpoint | None = None


def arm(environment: Mapping[str, str]) -> None:
    """Arm what the environment asks for. Raises ValueError, for a person, if there is no such."""
    global _armed
    _armed = parsed(environment.get(VARIABLE, ""))


def parsed(text: str) -> Failpoint | None:
    """What a value of the variable means; None where it is empty."""
    if not text:
        return None
    step, _, count = text.partition(":")
    if step not in STEPS or not count.isascii() or not count.isdigit() or not int(count):
        known = ", ".join(STEPS)
        raise ValueError(f'{VARIABLE} is "{text}"; NAME:N is meant, NAME one of {known}')
    return Failpoint(step, int(count))


def passes(step: str) -> None:
    """The process gets to this step; it may be its last."""
    if _armed is not None:
        _armed.passed(step)
