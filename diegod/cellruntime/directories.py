"""The folders of containers on disk, and the logs that outlive their containers.

    DATA/containers/HANDLE/container.log     while the container is here
    DATA/logs/HANDLE.log                     afterwards, for a day and within a total size
    DATA/stories/HANDLE.log                  what the cell did with it; goes when its log goes

A log is kept by a second name for the same file before its container is destroyed, so a reader
that follows it, and a program that writes its last line, notice nothing.
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from diegod.cellruntime.ports import RunBlocking
from diegod.contracts.log_format import LOG_FILE

KEEP_S = 24 * 3600.0
TOTAL_BYTES_MAX = 2 * 1024**3
#: Of one story. Beyond it nothing is added: a reader who resumes counts what it has read.
STORY_BYTES_MAX = 64 * 1024
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
        self._stories = data / "stories"
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

    async def tell(self, handle: str, lines: bytes) -> None:
        await self._run_blocking(lambda: self._tell(handle, lines))

    async def prune(self, wall_s: float) -> None:
        await self._run_blocking(lambda: self._prune(wall_s))

    def log_path(self, handle: str) -> Path | None:
        """Where the output of this container is; None where there is none (yet, or any more)."""
        for path in (self._containers / handle / LOG_FILE, self._kept(handle)):
            if path.exists():
                return path
        return None

    def story_path(self, handle: str) -> Path | None:
        """Where it is told what the cell did with this container."""
        path = self._story(handle)
        return path if path.exists() else None

    def logged_handles(self, prefix: str) -> list[str]:
        """Containers with output or a story, here or gone, whose handle begins with this."""
        here = [path.parent.name for path in self._containers.glob(f"{prefix}*/{LOG_FILE}")]
        kept = [
            path.name.removesuffix(_SUFFIX)
            for folder in (self._logs, self._stories)
            for path in folder.glob(f"{prefix}*{_SUFFIX}")
        ]
        return sorted({*here, *kept})

    def _kept(self, handle: str) -> Path:
        return self._logs / f"{handle}{_SUFFIX}"

    def _story(self, handle: str) -> Path:
        return self._stories / f"{handle}{_SUFFIX}"

    def _tell(self, handle: str, lines: bytes) -> None:
        self._stories.mkdir(parents=True, exist_ok=True, mode=0o700)
        with self._story(handle).open("ab") as file:
            if file.tell() + len(lines) <= STORY_BYTES_MAX:
                file.write(lines)

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
        """Oldest first: beyond the age, then beyond the total size. A log takes its story along."""
        total_bytes = 0
        for last_write, handle in sorted(self._kept_handles(), reverse=True):
            paths = [path for path in (self._kept(handle), self._story(handle)) if path.exists()]
            total_bytes += sum(path.stat().st_size for path in paths)
            if wall_s - last_write > self._keep_s or total_bytes > self._total_bytes_max:
                for path in paths:
                    path.unlink(missing_ok=True)

    def _kept_handles(self) -> Iterator[tuple[float, str]]:
        """Of containers that are gone: when its log, or where there is none its story, was written.

        A log goes by its own age: what the cell had to say of the end comes a moment later.
        """
        logs = {path.name: path.stat().st_mtime for path in self._logs.glob(f"*{_SUFFIX}")}
        for path in self._stories.glob(f"*{_SUFFIX}"):
            is_here = (self._containers / path.name.removesuffix(_SUFFIX)).exists()
            if path.name not in logs and not is_here:
                logs[path.name] = path.stat().st_mtime
        for name, last_write in logs.items():
            yield last_write, name.removesuffix(_SUFFIX)
