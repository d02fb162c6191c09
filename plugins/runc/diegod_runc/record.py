"""What the backend remembers of a container: one small file in its bundle, and an index.

The index, one symbolic link a handle, leads from a handle to the container's directory. Nothing
here is believed of the present: a pid counts only together with its start time and the boot id.
"""

import json
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from diegod.contracts.backend import BackendError

from diegod_runc.procfs import Process

_FILE = "container.json"
_HANDLE = re.compile(r"(?!\.+$)[A-Za-z0-9_.-]{1,128}")  # never `.` or `..`: it becomes a file name


def bundle_of(directory: Path) -> Path:
    """Where everything of ours in a container's directory lies, except its log."""
    return directory / "bundle"


@dataclass(frozen=True)
class Record:
    handle: str
    rootfs: str
    boot_id: str
    address: str
    ports: Mapping[str, int]  # host port (JSON has only text for keys) -> container port
    pid: int = 0  # 0: not created yet
    pid_started: int = 0
    conmon_pid: int = 0
    conmon_started: int = 0
    start_called: bool = False  # set before the program is run: from then on it may have run

    def process(self, boot_id: str) -> Process | None:
        """The container's first process; None when it can't be there any more."""
        return self._believed(boot_id, self.pid, self.pid_started)

    def conmon(self, boot_id: str) -> Process | None:
        return self._believed(boot_id, self.conmon_pid, self.conmon_started)

    def _believed(self, boot_id: str, pid: int, started: int) -> Process | None:
        if not pid or boot_id != self.boot_id:
            return None
        return Process(pid, started)

    def created(self, process: Process, conmon: Process | None) -> "Record":
        return replace(
            self,
            pid=process.pid,
            pid_started=process.started,
            conmon_pid=conmon.pid if conmon else 0,
            conmon_started=conmon.started if conmon else 0,
        )


class Records:
    def __init__(self, state_dir: Path) -> None:
        self._index = state_dir / "containers"

    def open(self) -> None:
        self._index.mkdir(parents=True, exist_ok=True)

    def register(self, handle: str, directory: Path) -> None:
        if not _HANDLE.fullmatch(handle):
            raise BackendError(f"{handle!r} can't be a container's handle")
        with suppress(FileExistsError):
            os.symlink(directory, self._index / handle)

    def directory(self, handle: str) -> Path | None:
        """Where a container's files are; None for a handle that is not registered."""
        if not _HANDLE.fullmatch(handle):
            return None
        try:
            return Path(os.readlink(self._index / handle))
        except FileNotFoundError:
            return None

    def handles(self) -> list[str]:
        try:
            return sorted(os.listdir(self._index))
        except FileNotFoundError:
            return []

    def forget(self, handle: str) -> None:
        (self._index / handle).unlink(missing_ok=True)

    def load(self, handle: str) -> Record | None:
        """None also when there is no record yet, or the machine died while it was written."""
        directory = self.directory(handle)
        if directory is None:
            return None
        try:
            return Record(**json.loads((bundle_of(directory) / _FILE).read_text()))
        except (FileNotFoundError, NotADirectoryError, ValueError, TypeError):
            return None

    def save(self, record: Record) -> None:
        directory = self.directory(record.handle)
        if directory is None:  # destroyed meanwhile
            return
        file = bundle_of(directory) / _FILE
        aside = file.with_suffix(".new")
        aside.write_text(json.dumps(asdict(record)))
        aside.rename(file)
