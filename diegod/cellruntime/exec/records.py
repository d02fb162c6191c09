"""What is on disk about one container of the exec backend, written so that a crash can't halve it.

    <cell's folder>/containers/<handle>   a link to the container's folder: the list of all handles
    <container's folder>/exec/launch.json    what to run; made by `prepare`, and without it no start
    <container's folder>/exec/process.json   the process; written before its program may begin
    <container's folder>/exec/exit.json      how it ended
    <container's folder>/work/               where the program runs when no directory was asked for

Does not belong here: what any of it means for the life of a container (`backend`).
"""

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from diegod.cellruntime.exec.processes import boot_id, find, start_time

CONTAINERS = "containers"
WORK = "work"


@dataclass(frozen=True)
class UserIds:
    uid: int
    gid: int
    groups: Sequence[int]


@dataclass(frozen=True)
class Launch:
    """All that the supervisor needs to run programs of one container."""

    argv: Sequence[str]
    env: Mapping[str, str]
    cwd: str
    log: str
    user: UserIds | None  # None: the supervisor's own


@dataclass(frozen=True)
class ProcessRecord:
    """A process that can be known again."""

    pid: int
    started: str
    boot_id: str

    @classmethod
    def of(cls, pid: int) -> "ProcessRecord":
        return cls(pid, start_time(pid), boot_id())

    def runs(self) -> bool:
        """Whether this very process is still alive."""
        same_boot = bool(self.started) and self.boot_id == boot_id()
        return same_boot and start_time(self.pid) == self.started

    def is_somebody_else(self) -> bool:
        """Whether the pid now belongs to a process that has nothing to do with this one."""
        if self.boot_id != boot_id():
            return True
        now = find(self.pid)
        return now is not None and now.started != self.started


class ContainerFiles:
    """The records of one container. Each getter gives None where there is no record."""

    def __init__(self, container: Path) -> None:
        self.container = container
        self._folder = container / "exec"

    @property
    def launch(self) -> Launch | None:
        record = _read(self._folder / "launch.json")
        if record is None:
            return None
        user = record.pop("user")
        return Launch(user=UserIds(**user) if user else None, **record)

    @property
    def process(self) -> ProcessRecord | None:
        record = _read(self._folder / "process.json")
        return None if record is None else ProcessRecord(**record)

    @property
    def exit_status(self) -> int | None:
        record = _read(self._folder / "exit.json")
        return None if record is None else int(record["status"])

    def write_launch(self, launch: Launch) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write(self._folder / "launch.json", asdict(launch))

    def write_process(self, process: ProcessRecord) -> None:
        _write(self._folder / "process.json", asdict(process))

    def write_exit(self, status: int) -> None:
        _write(self._folder / "exit.json", {"status": status})

    def forget_process(self) -> None:
        """Of a program that could not be run: nothing of it has ever been."""
        (self._folder / "process.json").unlink(missing_ok=True)

    def forbid_start(self) -> None:
        (self._folder / "launch.json").unlink(missing_ok=True)

    def remove(self) -> None:
        """Everything but the log, which is the cell's."""
        shutil.rmtree(self.container / WORK, ignore_errors=True)
        shutil.rmtree(self._folder, ignore_errors=True)


def container_files(cell: Path, handle: str) -> ContainerFiles:
    return ContainerFiles(cell / CONTAINERS / handle)


def handles(cell: Path) -> list[str]:
    """Every container that has left anything, in order of name."""
    try:
        return sorted(os.listdir(cell / CONTAINERS))
    except FileNotFoundError:
        return []


def _read(path: Path) -> dict[str, Any] | None:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    record: dict[str, Any] = json.loads(content)
    return record


def _write(path: Path, record: Mapping[str, Any]) -> None:
    """Aside, to the disk, and then in one step to its place."""
    aside = path.with_suffix(".new")
    with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(record, file)
        file.flush()
        os.fsync(file.fileno())
    aside.rename(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
