"""Running a tool and waiting for it on the event loop.

Not asyncio's subprocesses: with Python 3.11 they start one thread for every process. A pidfd in
the loop does the same for one system call, and needs nothing from the loop's child watcher.
"""

import asyncio
import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from diegod.contracts.backend import BackendError

from diegod_runc.procfs import readable

#: Tools get this and nothing of the agent's environment, which may hold secrets.
TOOL_ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
TOOL_TIMEOUT_S = 60.0


@dataclass(frozen=True)
class Finished:
    status: int
    output: str  # both streams


def spawn(
    argv: Sequence[str],
    *,
    stdin: int = subprocess.DEVNULL,
    output: int = subprocess.DEVNULL,
    environment: Mapping[str, str] = TOOL_ENVIRONMENT,
    directory: Path = Path("/"),
    pass_fds: Sequence[int] = (),
) -> "subprocess.Popen[bytes]":
    """Start a tool in a session of its own, so that nobody's Ctrl-C reaches it."""
    try:
        return subprocess.Popen(
            argv,
            stdin=stdin,
            stdout=output,
            stderr=output,
            env=dict(environment),
            cwd=directory,
            pass_fds=pass_fds,
            start_new_session=True,
        )
    except OSError as error:
        raise BackendError(f"{argv[0]} can't be run: {error.strerror}") from None


async def ended(child: "subprocess.Popen[bytes]") -> int:
    """The exit status of a child, once it has ended."""
    descriptor = os.pidfd_open(child.pid)  # a child keeps its number until it was waited for
    try:
        await readable(descriptor)
    finally:
        os.close(descriptor)
    return child.wait()


async def run(argv: Sequence[str], text: str = "") -> Finished:
    """Run a tool with `text` as its input. Only for tools that say little."""
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as said:
        given.write(text.encode())
        given.seek(0)
        child = spawn(argv, stdin=given.fileno(), output=said.fileno())
        try:
            async with asyncio.timeout(TOOL_TIMEOUT_S):
                status = await ended(child)
        except TimeoutError:
            child.kill()
            await ended(child)
            name = " ".join(argv[:2])
            raise BackendError(f"{name} did not answer for {TOOL_TIMEOUT_S:g} s") from None
        said.seek(0)
        return Finished(status, said.read(65536).decode(errors="replace"))
