"""The folders of containers on disk, and the logs that outlive their containers.

    DATA/containers/HANDLE/container.log     while the container is here
    DATA/logs/HANDLE.log                     afterwards, for a day and within a total size

A log is kept by a second name for the same file before its container is destroyed, so a reader
that follows it, and a program that writes its last line, notice nothing.
"""

import os
import shutil
from pathlib import Path

from diegod.cellruntime.ports import RunBlocking
from diegod.contracts.log_format import LOG_FILE

KEEP_S = 24 * 3600.0
TOTAL_BYTES_MAX = 2 * 1024**3
_SUFFIX = ".log"


class FileDirectories:
    """Implements `ports.Directories` under one folder of the cell's data."""

    def __init__(
        self,
        data: Path,
        run_blocking: RunBlocking,
        *,
        keep_s: float = KEEP_S,
        total_bytes_max: int = TOTAL_BYTES_MAX,
    ) -> None:
        self._containers = data / "containers"
        self._logs = data / "logs"
        self._run_blocking = run_blocking
        self._keep_s = keep_s
        self._total_bytes_max = total_bytes_max

    async def make(self, handle: str) -> Path:
        folder = self._containers / handle
        await self._run_blocking(lambda: folder.mkdir(parents=True, exist_ok=True, mode=0o700))
        return folder

    async def keep_log(self, handle: str) -> None:
        await self._run_blocking(lambda: self._keep_log(handle))

    async def discard(self, handle: str) -> None:
        await self._run_blocking(lambda: self._discard(handle))

    async def prune(self, wall_s: float) -> None:
        await self._run_blocking(lambda: self._prune(wall_s))

    def log_path(self, handle: str) -> Path | None:
        """Where the output of this container is; None where there is none (yet, or any more)."""
        for path in (self._containers / handle / LOG_FILE, self._kept(handle)):
            if path.exists():
                return path
        return None

    def logged_handles(self, prefix: str) -> list[str]:
        """Containers with output, here or gone, whose handle begins with this."""
        here = [path.parent.name for path in self._containers.glob(f"{prefix}*/{LOG_FILE}")]
        kept = [path.name.removesuffix(_SUFFIX) for path in self._logs.glob(f"{prefix}*{_SUFFIX}")]
        return sorted({*here, *kept})

    def _kept(self, handle: str) -> Path:
        return self._logs / f"{handle}{_SUFFIX}"

    def _keep_log(self, handle: str) -> None:
        log = self._containers / handle / LOG_FILE
        self._logs.mkdir(parents=True, exist_ok=True, mode=0o700)
        if log.exists() and not self._kept(handle).exists():
            os.link(log, self._kept(handle))

    def _discard(self, handle: str) -> None:
        folder = self._containers / handle
        if folder.exists():
            self._keep_log(handle)
            shutil.rmtree(folder)

    def _prune(self, wall_s: float) -> None:
        """Oldest first: beyond the age, then beyond the total size."""
        newest_first = sorted(
            ((path.stat(), path) for path in self._logs.glob(f"*{_SUFFIX}")),
            key=lambda entry: (-entry[0].st_mtime, entry[1].name),
        )
        total_bytes = 0
        for stat, path in newest_first:
            total_bytes += stat.st_size
            if wall_s - stat.st_mtime > self._keep_s or total_bytes > self._total_bytes_max:
                path.unlink(missing_ok=True)
