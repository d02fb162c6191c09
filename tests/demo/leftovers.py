"""One demo at a time, and what a demo that was killed has left.

A demo leaves a lock, a record of its supervisor, and the cluster's folder, whose settings name the
cells. So the next one can end what still runs and sweep the rest.
"""

import asyncio
import fcntl
import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.demo import processes
from tests.demo.cluster import dev, of_demo
from tests.demo.places import Places, environment
from tests.demo.processes import Process

_STOP_S = 40.0
_GONE_S = 10.0


class DemoError(Exception):
    """Why the demo can't be shown at all: one line for a person."""


@contextmanager
def only_one(places: Places) -> Iterator[None]:
    """Keep every other demo of this clone away."""
    places.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with places.lock.open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise DemoError(f"a demo of this clone runs already (pid {lock.read()})") from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


async def remove(places: Places) -> list[str]:
    """End and remove all that an earlier demo, or this one, has left; returns what that was."""
    if not places.cluster.exists():
        return []
    ended = await _end(places)
    await _sweep(places)
    places.record.unlink(missing_ok=True)
    return [one.command for one in ended]


async def _end(places: Places) -> list[Process]:
    """First the supervisor, which ends the others if it can; then whoever is left."""
    ended = []
    if (supervisor := _recorded(places)) is not None:
        supervisor.signal(signal.SIGTERM)
        await supervisor.gone(_STOP_S)
        ended.append(supervisor)
    roles = [one for one in processes.about(places.cluster) if _is_role(one, places.cluster)]
    for role in roles:
        role.kill()
    for role in roles:
        if not await role.gone(_GONE_S):
            raise DemoError(f"pid {role.pid} can't be ended: {role.command}")
    return [*ended, *roles]


def _recorded(places: Places) -> Process | None:
    """The supervisor of the record, if that process is still there and still is one of ours."""
    try:
        said = json.loads(places.record.read_text())
        process = Process(int(said["pid"]), int(said["started"]))
    except (FileNotFoundError, ValueError, TypeError, KeyError):
        return None
    is_ours = process.alive and processes.names(process.command, places.cluster)
    return process if is_ours else None


def _is_role(process: Process, cluster: Path) -> bool:
    """A supervisor or a part; conmon and containers are removed by the sweep."""
    return " -m diegod" in process.command and processes.names(process.command, cluster)


async def _sweep(places: Places) -> None:
    """Containers, networks and the folder itself, by the product's own verb."""
    process = await asyncio.create_subprocess_exec(
        *dev("rm"),
        *of_demo(places),
        env=environment(places),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,  # not to be stopped halfway by a Ctrl-C
    )
    _, said = await process.communicate()
    if process.returncode != 0:
        lines = said.decode(errors="replace").strip().splitlines() or ["it said nothing"]
        why = lines[-1].removeprefix("diegod: ")
        raise DemoError(f"what an earlier demo left can't be removed: {why}")
