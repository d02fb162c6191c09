"""Processes as the kernel shows them. A pid alone is never believed: numbers are used again."""

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")


def boot_id() -> str:
    """Another one after each start of the machine."""
    return (_PROC / "sys/kernel/random/boot_id").read_text().strip()


@dataclass(frozen=True)
class Process:
    """One process of this boot: its number, and when it was started (clock ticks after boot)."""

    pid: int
    started: int

    def alive(self) -> bool:
        return start_time(self.pid) == self.started

    def name(self) -> str:
        stat = _stat(self.pid)
        return stat[0] if stat else ""

    def signal(self, number: int) -> None:
        """Send a signal; nothing happens when the process is gone."""
        with suppress(ProcessLookupError):
            descriptor = os.pidfd_open(self.pid)
            try:
                if self.alive():  # only now the descriptor is known to be this very process
                    signal.pidfd_send_signal(descriptor, number)
            finally:
                os.close(descriptor)

    async def gone(self) -> None:
        """Return once it has ended."""
        try:
            descriptor = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return
        try:
            if self.alive():
                await readable(descriptor)
        finally:
            os.close(descriptor)


def find(pid: int) -> Process | None:
    started = start_time(pid)
    return None if started is None else Process(pid, started)


def start_time(pid: int) -> int | None:
    """None: there is no such process, or it has ended and only waits to be reaped."""
    stat = _stat(pid)
    if stat is None or stat[1][0] in ("Z", "X"):
        return None
    return int(stat[1][19])


def _stat(pid: int) -> tuple[str, list[str]] | None:
    """The name, and the fields that follow it (which may hold anything, hence the last bracket)."""
    try:
        text = (_PROC / str(pid) / "stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    name, _, rest = text.rpartition(")")
    return name.partition("(")[2], rest.split()


def at_work_on(folder: Path) -> list[Process]:
    """Processes that stand in a folder, or have exactly its path among their arguments.

    One that has only just been executed may show no arguments yet, but stands where it stands.
    """
    found = []
    for pid in _pids():
        process = find(pid)
        if process is not None and _is_at_work_on(folder, pid):
            found.append(process)
    return found


def _is_at_work_on(folder: Path, pid: int) -> bool:
    with suppress(FileNotFoundError, ProcessLookupError):  # gone meanwhile
        if _folder_of(pid) == str(folder):
            return True
        arguments = (_PROC / str(pid) / "cmdline").read_bytes().split(b"\0")
        return os.fsencode(folder) in arguments
    return False


def _folder_of(pid: int) -> str:
    """Where a process stands; "" for one with more rights than ours, which none of ours has."""
    try:
        return os.readlink(_PROC / str(pid) / "cwd")
    except PermissionError:
        return ""


def descendants(root: int) -> list[Process]:
    """Every process below `root`, children before grandchildren; without `root`."""
    children: dict[int, list[int]] = {}
    for pid in _pids():
        stat = _stat(pid)
        if stat is not None:
            children.setdefault(int(stat[1][1]), []).append(pid)
    found, queue = [], list(children.get(root, ()))
    while queue:
        pid = queue.pop(0)
        found.append(pid)
        queue += children.get(pid, ())
    return [process for pid in found if (process := find(pid)) is not None]


def _pids() -> Iterator[int]:
    return (int(entry) for entry in os.listdir(_PROC) if entry.isdigit())


async def readable(descriptor: int) -> None:
    """Wait until a descriptor is readable; for a pidfd that is the end of its process."""
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_reader(descriptor, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(descriptor)
