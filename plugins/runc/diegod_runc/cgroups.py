"""Control groups of both versions, by their files: who is in one, kill it, remove it, was it OOM.

Making groups and writing limits is runc's work. A path here is as runc's `cgroupsPath`:
`/diegod/SHORT/HANDLE`, under the root of version 2 or under each controller of version 1.
"""

import asyncio
import errno
import os
import signal
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from diegod.contracts.backend import BackendError

_ROOT = Path("/sys/fs/cgroup")
_REMOVE_TRIES_MAX = 500
_REMOVE_PAUSE_S = 0.01


@dataclass(frozen=True)
class Cgroups:
    version: int
    roots: tuple[Path, ...]  # one for version 2, one a controller for version 1
    swap_limit: bool  # whether this kernel counts swap

    @classmethod
    def detect(cls, root: Path = _ROOT) -> "Cgroups":
        """What this host has. The hybrid layout counts as version 1, as it does for runc."""
        if (root / "cgroup.controllers").exists():
            return cls(2, (root,), True)
        roots = tuple(sorted(one for one in _folders(root) if (one / "cgroup.procs").exists()))
        return cls(1, roots, (root / "memory/memory.memsw.limit_in_bytes").exists())

    def pids(self, path: str) -> list[int]:
        """Every process in the group and the groups below it."""
        found: dict[int, None] = {}
        for group in self._groups(path):
            with suppress(OSError):  # the group was removed meanwhile: nobody is in it
                found.update((int(pid), None) for pid in (group / "cgroup.procs").open())
        return list(found)

    def kill(self, path: str) -> list[int]:
        """Kill every process in the group; returns whom."""
        for group in self._groups(path):
            with suppress(OSError):  # kernels before 5.14, and version 1, have no such file
                (group / "cgroup.kill").write_text("1")
        pids = self.pids(path)
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return pids

    async def remove(self, path: str) -> None:
        """Remove the group and the groups below it, which must be empty of processes."""
        for group in reversed(self._groups(path)):
            await _remove(group)

    def remove_if_empty(self, path: str) -> None:
        """Remove a group that others may use, if nobody does."""
        for root in self.roots:
            with suppress(OSError):
                (root / path.lstrip("/")).rmdir()

    def children(self, path: str) -> list[str]:
        """Names of the groups directly below a path."""
        folders = (_folders(root / path.lstrip("/")) for root in self.roots)
        return sorted({one.name for group in folders for one in group})

    def oom_kills(self, path: str) -> int:
        """How many processes of the group the kernel has killed for want of memory."""
        file = "memory.events" if self.version == 2 else "memory.oom_control"
        kills = 0
        for root in self.roots:
            with suppress(FileNotFoundError):  # version 1: only the memory controller has it
                lines = (root / path.lstrip("/") / file).read_text().splitlines()
                kills += int(dict(line.split() for line in lines).get("oom_kill", 0))
        return kills

    def writable(self) -> bool:
        return bool(self.roots) and all(os.access(root, os.W_OK) for root in self.roots)

    def _groups(self, path: str) -> list[Path]:
        """The group in every hierarchy, and those below; parents first."""
        tops = [root / path.lstrip("/") for root in self.roots]
        return [Path(folder) for top in tops for folder, _, _ in os.walk(top)]


def _folders(path: Path) -> list[Path]:
    try:
        return [
            Path(entry.path) for entry in os.scandir(path) if entry.is_dir(follow_symlinks=False)
        ]
    except FileNotFoundError:
        return []


async def _remove(group: Path) -> None:
    """The kernel says EBUSY for some milliseconds after the last process has gone."""
    for _ in range(_REMOVE_TRIES_MAX):
        if _removed(group):
            return
        await asyncio.sleep(_REMOVE_PAUSE_S)
    raise BackendError(f"cgroup {group} can't be removed: the kernel says that it is in use")


def _removed(group: Path) -> bool:
    try:
        group.rmdir()
    except FileNotFoundError:
        return True
    except OSError as error:
        if error.errno == errno.EBUSY:
            return False
        raise BackendError(f"cgroup {group} can't be removed: {error.strerror}") from None
    return True
