"""Processes as /proc shows them. A pid is believed only together with its start time."""

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.demo.report import NotSeen

_PROC = Path("/proc")
_PAUSE_S = 0.01


@dataclass(frozen=True)
class Process:
    pid: int
    started: int  # clock ticks after the boot

    @property
    def alive(self) -> bool:
        return started(self.pid) == self.started

    @property
    def command(self) -> str:
        return _read(self.pid, "cmdline").replace("\0", " ").strip()

    @property
    def cgroups(self) -> str:
        return _read(self.pid, "cgroup")

    def namespace(self, kind: str) -> str:
        """As `net:[4026532281]`; "" once it is gone."""
        with suppress(OSError):
            return os.readlink(_PROC / str(self.pid) / "ns" / kind)
        return ""

    def signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            descriptor = os.pidfd_open(self.pid)
            try:
                if self.alive:  # only now the descriptor is known to be this very process
                    signal.pidfd_send_signal(descriptor, number)
            finally:
                os.close(descriptor)

    def kill(self) -> None:
        self.signal(signal.SIGKILL)

    async def gone(self, timeout_s: float) -> bool:
        """Whether it has ended within that time."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while self.alive:
                    await asyncio.sleep(_PAUSE_S)
        return not self.alive


def this(pid: int) -> Process:
    """The process that has this pid now."""
    when = started(pid)
    if when is None:
        raise NotSeen(f"there is no process {pid}")
    return Process(pid, when)


def started(pid: int) -> int | None:
    """None: there is no such process, or it has ended and only waits to be reaped."""
    _, _, rest = _read(pid, "stat").rpartition(")")
    fields = rest.split()
    return int(fields[19]) if fields and fields[0] not in ("Z", "X") else None


def everyone() -> Iterator[Process]:
    """All processes but this one."""
    for folder in _PROC.glob("[0-9]*"):
        pid = int(folder.name)
        when = started(pid)
        if when is not None and pid != os.getpid():
            yield Process(pid, when)


def about(folder: Path) -> list[Process]:
    """Processes that name a folder, or something in it, in their command."""
    return [one for one in everyone() if names(one.command, folder)]


def names(command: str, folder: Path) -> bool:
    return f"{folder}/" in command or f"{folder} " in f"{command} "


def variables(process: Process) -> dict[str, str]:
    """Its environment, as it was started; empty where that may not be seen."""
    pairs = (pair.partition("=") for pair in _read(process.pid, "environ").split("\0"))
    return {name: value for name, _, value in pairs}


def _read(pid: int, file: str) -> str:
    with suppress(OSError):
        return (_PROC / str(pid) / file).read_bytes().decode(errors="replace")
    return ""
