"""Running another process in a container: its output within bounds, its end in time."""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from diegod.contracts.backend import BackendError, ExecResult

from diegod_runc import bundle, processes, procfs
from diegod_runc.runc import Runc, last_error

OUTPUT_MAX = 64 * 1024
_BURIAL_S = 2.0


async def execute(
    runc: Runc,
    handle: str,
    folder: Path,
    argv: Sequence[str],
    env: Mapping[str, str],
    timeout_s: float,
) -> ExecResult:
    """Run it as the container's program runs: same user, rights, folder. `folder` is its bundle."""
    own = Path(tempfile.mkdtemp(prefix="exec-", dir=folder))
    try:
        main = json.loads((folder / "config.json").read_text())["process"]
        described = own / "process.json"
        described.write_text(json.dumps(bundle.exec_process(main, argv, env)))
        return await _run(runc, handle, described, own / "runc.log", timeout_s)
    finally:
        shutil.rmtree(own, ignore_errors=True)  # destroy may have been faster


async def _run(runc: Runc, handle: str, described: Path, log: Path, timeout_s: float) -> ExecResult:
    reading, writing = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    os.set_blocking(writing, True)
    try:
        child = runc.spawn_exec(handle, described, log, writing)
        os.close(writing)
        status, output = await _finished(child, reading, timeout_s)
    finally:
        os.close(reading)
    refusal = last_error(log)
    if status != 0 and refusal:
        raise BackendError(refusal)
    return ExecResult(status, output)


async def _finished(
    child: "subprocess.Popen[bytes]", reading: int, timeout_s: float
) -> tuple[int, bytes]:
    output = bytearray()
    loop = asyncio.get_running_loop()
    loop.add_reader(reading, _take, reading, output)
    try:
        async with asyncio.timeout(timeout_s):
            status = await processes.ended(child)
        while _take(reading, output):  # what was written just before the end
            continue
        return status, bytes(output)
    except BaseException:  # also when the caller gives up: nothing may go on unseen
        await _kill(child)
        raise
    finally:
        loop.remove_reader(reading)


def _take(reading: int, output: bytearray) -> bool:
    """Take what there is, keep what has room. False: nothing there now, or ever."""
    try:
        part = os.read(reading, OUTPUT_MAX)
    except BlockingIOError:
        return False
    if not part:
        asyncio.get_running_loop().remove_reader(reading)  # the end: it would be readable for ever
    output += part[: OUTPUT_MAX - len(output)]
    return bool(part)


async def _kill(child: "subprocess.Popen[bytes]") -> None:
    """Kill what `runc exec` runs, which is its child, and see it end.

    All are stopped before the first is killed: a child of a dead parent would be out of sight.
    runc itself is left a moment to bury its child: an unburied one would hold up the container's
    own end, until the host's init finds time for it.
    """
    stopped: dict[int, procfs.Process] = {}
    while new := [one for one in procfs.descendants(child.pid) if one.pid not in stopped]:
        for process in new:
            process.signal(signal.SIGSTOP)
            stopped[process.pid] = process
    for process in stopped.values():
        process.signal(signal.SIGKILL)
    if not stopped:  # it has not come to run anything
        child.kill()
    with suppress(TimeoutError):
        async with asyncio.timeout(_BURIAL_S):
            await processes.ended(child)
            return
    child.kill()
    await processes.ended(child)
