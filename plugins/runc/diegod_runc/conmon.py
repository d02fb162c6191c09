"""conmon: the small process that stands by each container, and outlives the agent.

It makes the container (by `runc create`), is its parent, writes its output in the CRI log format,
and leaves its exit status in a file. Everything it leaves lies in the container's bundle, so that
the next agent finds it.
"""

import asyncio
import json
import os
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from diegod.contracts.backend import BackendError

from diegod_runc import processes
from diegod_runc.procfs import Process, find, readable
from diegod_runc.runc import Runc, for_people, last_error

_CREATE_TIMEOUT_S = 60.0
_EXIT_PAUSE_S = 0.005


@dataclass(frozen=True)
class Files:
    """What conmon reads and leaves in a bundle."""

    bundle: Path

    @property
    def exits(self) -> Path:
        return self.bundle / "exit"

    @property
    def pid(self) -> Path:
        return self.bundle / "conmon.pid"

    @property
    def said(self) -> Path:
        return self.bundle / "conmon.log"

    @property
    def runc_log(self) -> Path:
        return self.bundle / "runc.log"

    @property
    def begun(self) -> bool:
        """Whether conmon was ever started here."""
        return self.said.exists()

    def exit_status(self, handle: str) -> int | None:
        """conmon renames a complete file into place, so what is there can be read."""
        try:
            return int((self.exits / handle).read_text())
        except (FileNotFoundError, ValueError):
            return None

    def conmon(self) -> Process | None:
        try:
            return find(int(self.pid.read_text()))
        except (FileNotFoundError, ValueError):
            return None


@dataclass(frozen=True)
class Conmon:
    path: str
    runc: Runc
    sockets: Path  # must exist: conmon dies without a word if it doesn't

    async def create(self, handle: str, files: Files, log: Path, socket: str) -> Process:
        """Make the container; returns its first process, which waits for `runc start`.

        `log` takes what it writes, `socket` is a short name for its attach socket.
        """
        files.exits.mkdir(exist_ok=True)
        (files.exits / handle).unlink(missing_ok=True)
        said = os.open(files.said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        answer, ours = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            child = self._spawn(self._argv(handle, files, log, socket), files, said, ours)
        except BackendError:
            os.close(answer)
            raise
        finally:
            os.close(ours)
            os.close(said)
        try:
            return await self._created(files, answer)
        finally:
            os.close(answer)
            await processes.ended(child)  # conmon has forked away from it by now

    def _spawn(
        self, argv: Sequence[str], files: Files, said: int, sync_pipe: int
    ) -> "subprocess.Popen[bytes]":
        """In the bundle, as conmon leaves a file called `oom` where it stands."""
        environment = {**processes.TOOL_ENVIRONMENT, "_OCI_SYNCPIPE": str(sync_pipe)}
        return processes.spawn(
            argv,
            output=said,
            environment=environment,
            directory=files.bundle,
            pass_fds=(sync_pipe,),
        )

    def _argv(self, handle: str, files: Files, log: Path, socket: str) -> list[str]:
        runc_options = [
            part
            for option in self.runc.options(files.runc_log)
            for part in ("--runtime-arg", option)
        ]
        return [
            *(self.path, "--api-version", "1", "--cid", handle, "--cuuid", socket),
            *("--bundle", str(files.bundle), "--runtime", self.runc.path, *runc_options),
            *("--container-pidfile", str(files.bundle / "pid"), "--conmon-pidfile", str(files.pid)),
            *("--exit-dir", str(files.exits), "--socket-dir-path", str(self.sockets)),
            *("--log-path", f"k8s-file:{log}", "--log-size-max", "-1", "--no-sync-log"),
            *("--log-level", "error"),
        ]

    async def _created(self, files: Files, answer: int) -> Process:
        """conmon tells the pid, or what runc had to say, on the pipe."""
        try:
            async with asyncio.timeout(_CREATE_TIMEOUT_S):
                line = await _line(answer)
        except TimeoutError:
            raise BackendError(f"runc create took more than {_CREATE_TIMEOUT_S:g} s") from None
        told = json.loads(line) if line else {}
        pid = told.get("data", -1)
        process = find(pid) if pid > 0 else None
        if process is None:
            raise BackendError(_why(told, files))
        return process

    async def late_exit(self, handle: str, files: Files, conmon: Process | None) -> int | None:
        """The status of a program that has ended just now: conmon first writes out its output.

        None: there is no status, and conmon, which would write it, isn't there any more.
        """
        while conmon is not None and conmon.alive():
            status = files.exit_status(handle)
            if status is not None:
                return status
            await asyncio.sleep(_EXIT_PAUSE_S)
        return files.exit_status(handle)

    def remove_socket(self, socket: str) -> None:
        with suppress(FileNotFoundError):
            (self.sockets / socket).unlink()


async def _line(descriptor: int) -> bytes:
    """All up to the end of the line or of the pipe."""
    data = b""
    while not data.endswith(b"\n"):
        await readable(descriptor)
        part = os.read(descriptor, 65536)
        if not part:
            break
        data += part
    return data


def _why(told: dict[str, object], files: Files) -> str:
    """runc's own words, or conmon's when it didn't come to runc."""
    said = str(told.get("message", "")) or last_error(files.runc_log)
    if not said:
        with suppress(FileNotFoundError):
            said = files.said.read_text(errors="replace").strip()
    return for_people(said) or "conmon ended before it had made the container, without a word"
