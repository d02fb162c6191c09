"""The exec backend: containers that are plain processes of the host.

What is true about a container is read from its records and from the process table; what is done
with it, the cell's supervisor does. Programs run in the host's own file system: a root file system
is accepted and only lends its programs, at the end of PATH.
"""

import asyncio
import base64
import hashlib
import os
import re
import shutil
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path

from diegod.cellruntime.exec import files
from diegod.cellruntime.exec.client import SupervisorClient, SupervisorGoneError
from diegod.cellruntime.exec.records import (
    CONTAINERS,
    WORK,
    ContainerFiles,
    Launch,
    UserIds,
    container_files,
    handles,
)
from diegod.cellruntime.exec.rendezvous import make_private, socket_path
from diegod.cellruntime.exec.users import resolve_user
from diegod.contracts.backend import (
    BackendError,
    Capabilities,
    ContainerSpec,
    ContainerState,
    ContainerStatus,
    ExecResult,
    Exit,
    Owner,
    RootfsNotFound,
)
from diegod.contracts.log_format import LOG_FILE

CAPABILITIES = Capabilities(
    isolation="none: plain processes", network_namespace=False, rootfs=False, limits=False
)

#: What `rootfs` may name when nothing was configured: the host's own programs.
DEFAULT_PRELOADED: Mapping[str, str] = {"busybox": ""}

_DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_HANDLE = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,127}")
_LOOK_EVERY_S = 0.2
_LEAVE_S = 5.0


class ExecBackend:
    """Implements `ContainerBackend`.

    Settings: `preloaded`, root file systems by name, each a folder or "" (the host's programs).
    """

    def __init__(self, owner: Owner, state_dir: Path, settings: Mapping[str, object]) -> None:
        self._cell = state_dir.absolute() / f"exec-{_short(owner)}"
        self._preloaded = _preloaded(settings.get("preloaded", DEFAULT_PRELOADED))
        self._supervisor = SupervisorClient(self._cell)

    @property
    def capabilities(self) -> Capabilities:
        return CAPABILITIES

    async def open(self) -> None:
        make_private(self._cell)
        await self._supervisor.connect()

    async def close(self) -> None:
        await self._supervisor.close()

    async def rootfs_providers(self) -> Sequence[str]:
        return [*(f"preloaded:{name}" for name in sorted(self._preloaded)), "dir"]

    async def prepare(self, spec: ContainerSpec) -> None:
        link = self._cell / CONTAINERS / _checked(spec.handle)
        launch = self._launch(spec)
        link.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not link.is_symlink():
            link.symlink_to(spec.directory.absolute())
        _make_work(spec.directory / WORK, launch.user)
        self._files(spec.handle).write_launch(launch)

    async def create(self, spec: ContainerSpec) -> None:
        """There is nothing to create that `prepare` has not made."""
        if self._files(spec.handle).launch is None:
            raise BackendError(f"container {spec.handle} is not there: prepare it first")

    async def start(self, handle: str) -> ContainerStatus:
        files = self._files(_checked(handle))

        def recorded() -> bool:
            """A supervisor records a process before its program may begin: no record, no start."""
            return files.process is not None

        try:
            await self._supervisor.ask_again("start", unless=recorded, handle=handle)
        except SupervisorGoneError:
            if not recorded():
                raise BackendError(
                    f"container {handle} was not started: its supervisor keeps ending"
                ) from None
        status = await self.inspect(handle)
        if status is None:
            raise BackendError(f"container {handle} was destroyed while it was started")
        return status

    async def inspect(self, handle: str) -> ContainerStatus | None:
        if not _HANDLE.fullmatch(handle) or not self._link(handle).is_symlink():
            return None
        status = _status(handle, self._files(handle))
        if status.state is not ContainerState.LOST:
            return status
        # Ended this very moment, perhaps: its supervisor then knows how.
        await self._supervisor.ask_again("wait", handle=handle)
        return _status(handle, self._files(handle)) if self._link(handle).is_symlink() else None

    async def wait(self, handle: str) -> ContainerStatus:
        """Woken by the supervisor; looks now and then where its own supervisor was killed."""
        while True:
            status = await self.inspect(handle)
            if status is None:
                return ContainerStatus(handle, ContainerState.LOST)
            if status.state in (ContainerState.EXITED, ContainerState.LOST):
                return status
            answer = await self._supervisor.ask_again("wait", handle=handle)
            if not answer["known"]:
                await asyncio.sleep(_LOOK_EVERY_S)

    async def signal(self, handle: str, signal: str) -> None:
        number = _signal_number(signal)
        await self._supervisor.ask_again("signal", handle=_checked(handle), signal=number)

    async def destroy(self, handle: str) -> None:
        link = self._link(_checked(handle))
        if not link.is_symlink():
            return
        await self._supervisor.ask_again("destroy", handle=handle)
        self._files(handle).remove()
        link.unlink(missing_ok=True)

    async def exec(
        self, handle: str, argv: Sequence[str], env: Mapping[str, str], timeout_s: float
    ) -> ExecResult:
        answer = await self._supervisor.ask(
            "exec", handle=_checked(handle), argv=list(argv), env=dict(env), timeout_s=timeout_s
        )
        if answer["timed_out"]:
            raise TimeoutError(f"{argv[0]} took longer than {timeout_s:g} s and was killed")
        return ExecResult(answer["status"], base64.b64decode(answer["output"]))

    async def read_file(self, handle: str, path: str, bytes_max: int) -> bytes | None:
        launch = self._files(_checked(handle)).launch
        if launch is None:
            raise BackendError(f"container {handle} is not there, and so is no file of it")
        try:
            return await asyncio.to_thread(
                files.read_beginning, Path(launch.cwd) / path, bytes_max, launch.user
            )
        except OSError as error:
            raise BackendError(f"{path} can't be read: {error.strerror}") from None

    async def handles(self) -> Sequence[str]:
        return handles(self._cell)

    async def sweep(self) -> None:
        """Ends the supervisor, too."""
        if not self._cell.exists():
            return
        await self._supervisor.ask_again("sweep")
        await self._supervisor.ended(_LEAVE_S)
        for handle in handles(self._cell):
            self._files(handle).remove()
        shutil.rmtree(self._cell, ignore_errors=True)
        if socket_path(self._cell).parent != self._cell:
            shutil.rmtree(socket_path(self._cell).parent, ignore_errors=True)

    def _link(self, handle: str) -> Path:
        return self._cell / CONTAINERS / handle

    def _files(self, handle: str) -> ContainerFiles:
        return container_files(self._cell, handle)

    def _launch(self, spec: ContainerSpec) -> Launch:
        path = spec.env.get("PATH", _DEFAULT_PATH)
        programs = _programs_of(self._rootfs(spec.rootfs))
        return Launch(
            argv=list(spec.argv),
            env={**spec.env, "PATH": ":".join([path, *programs])},
            cwd=spec.working_dir or str(spec.directory.absolute() / WORK),
            log=str(spec.directory.absolute() / LOG_FILE),
            user=resolve_user(spec.user),
        )

    def _rootfs(self, rootfs: str) -> str:
        """The folder of a root file system; "" where the host's programs are meant."""
        kind, _, name = rootfs.partition(":")
        if kind == "preloaded" and name in self._preloaded:
            folder = self._preloaded[name]
        elif kind == "dir" and name.startswith("/"):
            folder = name
        else:
            known = ", ".join(f"preloaded:{name}" for name in sorted(self._preloaded))
            raise RootfsNotFound(f"rootfs {rootfs}: this cell has {known} and dir:/PATH")
        if folder and not Path(folder).is_dir():
            raise RootfsNotFound(f"rootfs {rootfs}: there is no folder {folder}")
        return folder


def _short(owner: Owner) -> str:
    """Tells owners apart in a file name, whatever their ids are made of."""
    whole = f"{owner.cluster_id}\0{owner.cell_id}".encode()
    return hashlib.sha256(whole).hexdigest()[:12]


def _preloaded(setting: object) -> dict[str, str]:
    if not isinstance(setting, Mapping):
        raise BackendError("setting `preloaded` must map names to folders")
    return {str(name): str(folder) for name, folder in setting.items()}


def _programs_of(rootfs: str) -> list[str]:
    """Where a root file system keeps programs that the host's PATH may lack."""
    if not rootfs:
        return []
    folders = (os.path.join(rootfs, name) for name in ("usr/sbin", "usr/bin", "sbin", "bin"))
    return [folder for folder in folders if os.path.isdir(folder)]


def _make_work(work: Path, user: UserIds | None) -> None:
    work.mkdir(exist_ok=True)
    if user is not None:
        os.chown(work, user.uid, user.gid)


def _checked(handle: str) -> str:
    """A handle becomes a file name: it must not lead elsewhere."""
    if not _HANDLE.fullmatch(handle):
        raise BackendError(f"{handle!r} is not a handle: [A-Za-z0-9_.-], at most 128 bytes")
    return handle


def _signal_number(name: str) -> int:
    try:
        return signal.Signals[f"SIG{name.upper().removeprefix('SIG')}"].value
    except KeyError:
        raise BackendError(f"{name} is not a signal of this host") from None


def _status(handle: str, files: ContainerFiles) -> ContainerStatus:
    process = files.process
    runs = process is not None and process.runs()
    exit_status = files.exit_status  # read last: it may have been written since
    if exit_status is not None:
        return ContainerStatus(handle, ContainerState.EXITED, exit=Exit(exit_status))
    if process is None:
        return ContainerStatus(handle, ContainerState.PREPARED)
    if not runs:
        return ContainerStatus(handle, ContainerState.LOST)
    return ContainerStatus(handle, ContainerState.RUNNING, process.pid, "127.0.0.1")
