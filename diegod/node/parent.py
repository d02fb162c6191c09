"""A supervised role does not outlive its supervisor: it ends as if it had been asked to.

A cell's containers go on, and the next start of the cell finds them again.
"""

import asyncio
import ctypes
import os
import signal
import sys

VARIABLE = "DIEGOD_SUPERVISOR_PID"
_PR_SET_PDEATHSIG = 1
_POLL_S = 1.0


def follow() -> "asyncio.Task[None] | None":
    """Called on the event loop of a role. None: nobody supervises this process."""
    parent = int(os.environ.pop(VARIABLE, "0"))
    if not parent:
        return None
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    return asyncio.create_task(_watch(parent))


async def _watch(parent: int) -> None:
    """For systems without a death signal, and for a parent that died before it was set."""
    while os.getppid() == parent:  # noqa: ASYNC110 - nobody sends an event when a parent dies
        await asyncio.sleep(_POLL_S)
    os.kill(os.getpid(), signal.SIGTERM)
