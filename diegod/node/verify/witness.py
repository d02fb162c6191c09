"""Who counts the starts: a file that the tasks write into, or the logs that conmon writes.

Neither asks diegod. On the exec backend a task can write into a folder of the host; a container of
another backend can't, and its first line of output is counted where its supervisor has put it.
"""

import re
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from diegod.contracts.log_format import LOG_FILE
from diegod.node.dev.layout import Layout
from diegod.node.verify.tally import Start

#: guid, attempt, cell, boot, time; everything is found out before the one write.
_FIND_OUT = (
    "boot=$(cat /proc/sys/kernel/random/boot_id 2>/dev/null || echo -); at=$(date +%s); "
    "line=\"$DIEGOD_TASK_GUID $DIEGOD_ATTEMPT $DIEGOD_CELL_ID $boot $at\"; "
)
#: A complete line of standard output, as the log format has it.
_LOG_LINE = re.compile(r"^\S+ stdout F (.*)$", re.MULTILINE)


class Witness(Protocol):
    def script(self, work_s: float) -> str:
        """What a task runs: one line first, then some work."""

    def starts(self) -> list[Start]:
        """Every start that any cell has ever made, in no special order."""

    def close(self) -> None:
        """Nothing is counted any more."""


def witness_of(layout: Layout, run: str) -> Witness:
    return InFile(layout.directory, run) if layout.backend == "exec" else InLogs(layout, run)


class InFile:
    """One file for all tasks, opened to append: each line is one write."""

    def __init__(self, directory: Path, run: str) -> None:
        self._path = directory / f"{run}.lines"
        self._path.touch(mode=0o600)

    def script(self, work_s: float) -> str:
        where = str(self._path).replace("'", "'\\''")
        return f"{_FIND_OUT}echo \"$line\" >> '{where}'; sleep {work_s:.1f}"

    def starts(self) -> list[Start]:
        return _read(self._path.read_text(errors="replace").splitlines())

    def close(self) -> None:
        self._path.unlink(missing_ok=True)


class InLogs:
    """The output of each container, which outlives it."""

    def __init__(self, layout: Layout, run: str) -> None:
        self._folders = [layout.part_dir(part) / "data" for part in layout.of_role("cell")]
        self._prefix = f"t-{run}-"

    def script(self, work_s: float) -> str:
        return f'{_FIND_OUT}echo "$line"; sleep {work_s:.1f}'

    def starts(self) -> list[Start]:
        lines: list[str] = []
        for folder in self._folders:
            for handle in sorted(self._handles(folder)):
                lines += _LOG_LINE.findall(self._log(folder, handle))
        return _read(lines)

    def close(self) -> None:
        """The logs are the cells': they go with their time."""

    def _handles(self, data: Path) -> set[str]:
        """One a container that was ever here."""
        here = data.glob(f"containers/{self._prefix}*/{LOG_FILE}")
        kept = data.glob(f"logs/{self._prefix}*.log")
        return {*(path.parent.name for path in here), *(path.stem for path in kept)}

    def _log(self, data: Path, handle: str) -> str:
        """Where it is, or where it has been kept since: the cell may destroy the container now."""
        here, kept = data / "containers" / handle / LOG_FILE, data / "logs" / f"{handle}.log"
        for path in (kept, here, kept):
            with suppress(FileNotFoundError):
                return path.read_text(errors="replace")
        return ""


def _read(lines: Iterable[str]) -> list[Start]:
    return [start for start in map(Start.of_line, lines) if start is not None]
