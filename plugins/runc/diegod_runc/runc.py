"""The only place that runs `runc`, and that knows how it speaks.

Every command gets `--log FILE --log-format json`; the last error in it is what a person is told.
"""

import json
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from diegod.contracts.backend import BackendError

from diegod_runc import processes
from diegod_runc.procfs import Process

_INIT = "runc:[2:INIT]"  # the name of a container's first process until its program is run
_NOISE = re.compile(r"^(runc \w+ failed: |unable to start container process: |exec failed: )+")
_NO_PROGRAM = re.compile(r'^exec: "(?P<program>.*)": (stat [^:]*: )?(?P<why>.*)$')


@dataclass(frozen=True)
class Runc:
    path: str
    root: Path  # where it keeps its state; whoever lists it sees only this owner's containers

    def options(self, log: Path) -> list[str]:
        """What stands before the command, also when conmon is the one who runs it."""
        return ["--root", str(self.root), "--log", str(log), "--log-format", "json"]

    async def start(self, handle: str, log: Path) -> None:
        """Let a created container run its program."""
        await self._run("start", [handle], log)

    async def delete(self, handle: str, log: Path) -> None:
        """Remove what runc knows of a container, whether it runs, ended or was half made."""
        await self._run("delete", ["--force", handle], log)

    async def bundle(self, handle: str) -> Path | None:
        """Where a container's bundle is, from runc's own memory; None for an unknown handle."""
        told = await processes.run([self.path, "--root", str(self.root), "state", handle])
        if told.status != 0:
            return None
        return Path(json.loads(told.output)["bundle"])

    def spawn_exec(
        self, handle: str, process: Path, log: Path, output: int
    ) -> "subprocess.Popen[bytes]":
        """Begin to run another process, described by a file, in a container."""
        command = ["exec", "--process", str(process), handle]
        return processes.spawn([self.path, *self.options(log), *command], output=output)

    def handles(self) -> list[str]:
        if not self.root.is_dir():
            return []
        return sorted(entry.name for entry in self.root.iterdir())

    def knows(self, handle: str) -> bool:
        return (self.root / handle).exists()

    def waits_for_start(self, handle: str, process: Process) -> bool:
        """Whether a created container's program has not been run yet.

        runc's first process waits at a fifo, which `runc start` removes. A start that was killed
        may leave it behind, hence the process is looked at, too.
        """
        return (self.root / handle / "exec.fifo").exists() and process.name() == _INIT

    async def _run(self, command: str, arguments: Sequence[str], log: Path) -> None:
        argv = [self.path, *self.options(log), command, *arguments]
        finished = await processes.run(argv)
        if finished.status != 0:
            why = last_error(log) or for_people(finished.output.strip())
            raise BackendError(why or f"runc {command} ended with status {finished.status}")


def last_error(log: Path) -> str:
    """The last error in runc's log, for a person; "" when there is none."""
    try:
        lines = log.read_text(errors="replace").splitlines()
    except FileNotFoundError:
        return ""
    for line in reversed(lines):
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if entry.get("level") in ("error", "fatal"):
            return for_people(str(entry.get("msg", "")))
    return ""


def for_people(message: str) -> str:
    """One line, without runc's prefixes, and the program first when the program is at fault."""
    line = _NOISE.sub("", " ".join(message.split()))
    missing = _NO_PROGRAM.match(line)
    if missing is None:
        return line
    return f"{missing['program']} can't be run: {missing['why']}"
