"""Ending every process of a container, for certain, also of one that was only half made."""

import asyncio
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from diegod.contracts.backend import BackendError

from diegod_runc import procfs
from diegod_runc.cgroups import Cgroups
from diegod_runc.procfs import Process

_LAST_WORDS_S = 2.0  # for conmon to write out the output and the status
_KILL_TRIES_MAX = 1000
_KILL_PAUSE_S = 0.01


async def end_known(program: Process | None, conmon: Process | None) -> None:
    """Kill the program, let conmon write down how it ended, and see both gone."""
    if program is not None:
        program.signal(signal.SIGKILL)
        await program.gone()
    if conmon is None:
        return
    with suppress(TimeoutError):
        async with asyncio.timeout(_LAST_WORDS_S):
            await conmon.gone()
    conmon.signal(signal.SIGKILL)
    await conmon.gone()


async def end_makers(bundle: Path) -> None:
    """Kill conmon and runc where an agent died while they were making the container.

    Both stand in the bundle and name it. Whoever was forked while we looked is found in the next
    round, so it takes two quiet ones.
    """
    for _ in range(2):
        await _until_nobody(lambda: _kill(procfs.at_work_on(bundle)), f"makers of {bundle}")
        await asyncio.sleep(_KILL_PAUSE_S)


async def end_cgroup(cgroups: Cgroups, path: str) -> None:
    """Kill all that is in the container's cgroup, whoever it is, and remove the cgroup."""
    await _until_nobody(lambda: cgroups.kill(path), f"processes of {path}")
    await cgroups.remove(path)


def _kill(found: Sequence[Process]) -> Sequence[Process]:
    for process in found:
        process.signal(signal.SIGKILL)
    return found


async def _until_nobody(kill: Callable[[], Sequence[object]], whom: str) -> None:
    for _ in range(_KILL_TRIES_MAX):
        if not kill():
            return
        await asyncio.sleep(_KILL_PAUSE_S)
    raise BackendError(f"{whom} can't be killed; they are left as they are")
