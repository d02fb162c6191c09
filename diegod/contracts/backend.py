"""What a container backend does for a cell.

The life of a container, in this order; each verb may be called again after a crash of the agent
and must then find what the first call left:

    prepare -> create -> start -> (wait) -> destroy

- `prepare` makes everything that may fail for want of something (root file system, network):
  it happens before the start of a task is granted, so its failure costs nothing.
- `create` makes the container without running its program.
- `start` runs the program. It is called at most once for a handle, ever: the cell records its
  intention first, and after a crash asks `inspect` instead of starting again.
- `destroy` ends whatever runs and removes whatever there is. It returns only when nothing of the
  container can run any more, and it is safe on a handle that never existed.

Containers outlive the agent: closing a backend, or killing the agent, ends no container, and
exit statuses are kept by the backend until `destroy`. Files written by the backend for one
container lie in `ContainerSpec.directory`. A backend touches only what carries its owner's labels.
Backends know nothing of tasks, LRPs or the BBS.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Protocol


class BackendError(Exception):
    """The backend could not do it; the message says what and why, in one line, for a person."""


class RootfsNotFound(BackendError):  # noqa: N818 - it says what is missing
    """The root file system that was asked for does not exist on this cell."""


@dataclass(frozen=True)
class Owner:
    """Whose containers these are. Two cells of one host never touch each other's."""

    cluster_id: str
    cell_id: str


@dataclass(frozen=True)
class PortSpec:
    name: str
    container_port: int
    host_port: int  # chosen by the cell, unique on the host


@dataclass(frozen=True)
class Limits:
    memory_mb: int
    cpu_weight: int  # 1–100
    max_pids: int
    disk_mb: int


@dataclass(frozen=True)
class ContainerSpec:
    """Everything that a backend is told about one container."""

    handle: str  # [A-Za-z0-9_.-], at most 128 bytes, unique on the cell and never used again
    owner: Owner
    directory: Path  # exists; the backend's files of this container go here
    rootfs: str  # preloaded:NAME or dir:/PATH
    argv: Sequence[str]
    env: Mapping[str, str]
    working_dir: str  # "" is "/"
    user: str  # "" is root of the container; NAME or UID[:GID]
    hostname: str
    limits: Limits
    ports: Sequence[PortSpec] = ()
    #: For people: kind, guid, and the index or the attempt.
    labels: Mapping[str, str] = field(default_factory=dict)


class ContainerState(Enum):
    PREPARED = "prepared"  # prepared or created; the program has not been started
    RUNNING = "running"
    EXITED = "exited"  # the program ended and its status is known
    LOST = "lost"  # the program is not there and nobody knows how it ended


@dataclass(frozen=True)
class Exit:
    status: int  # 0–255; 128+n for signal n
    oom_killed: bool = False


@dataclass(frozen=True)
class ContainerStatus:
    handle: str
    state: ContainerState
    pid: int = 0  # of the program, seen from the host; 0 unless RUNNING
    address: str = ""  # where container ports listen; 127.0.0.1 without a network namespace
    exit: Exit | None = None  # all and only when EXITED


@dataclass(frozen=True)
class Capabilities:
    """What callers must know before they ask."""

    isolation: str  # for people: "namespaces, cgroups, …" or "none: plain processes"
    network_namespace: bool  # False: container_port is a request, the program must bind $PORT
    rootfs: bool  # False: programs run in the host's own file system
    limits: bool


@dataclass(frozen=True)
class Finding:
    """Something about this host that a person should know: for `diegod doctor`."""

    what: str
    why: str  # what goes wrong because of it
    cure: str  # a command, or what to do
    hinders: bool = True  # False: worth knowing, and it works all the same


@dataclass(frozen=True)
class ExecResult:
    status: int
    output: bytes  # both streams, at most 64 KiB


class ContainerBackend(Protocol):
    @property
    def capabilities(self) -> Capabilities: ...

    async def open(self) -> None:
        """Get ready: find tools, make the cell's shared things (bridge, tables, supervisor).

        Raises BackendError with the one thing a person must do when this host can't run containers.
        """

    async def rootfs_providers(self) -> Sequence[str]:
        """What `rootfs` may name here: "preloaded:busybox", …, and "dir" for any directory."""

    async def prepare(self, spec: ContainerSpec) -> None: ...

    async def create(self, spec: ContainerSpec) -> None: ...

    async def start(self, handle: str) -> ContainerStatus:
        """Run the program. A program that can't be run (no such file) raises BackendError.

        So does a second start of the same handle.
        """

    async def inspect(self, handle: str) -> ContainerStatus | None:
        """What is there now, from the outside world and not from memory; None: nothing of it.

        A pid is only believed with its start time and the boot id it was recorded with.
        """

    async def wait(self, handle: str) -> ContainerStatus:
        """Return once the program has ended (EXITED or LOST). Any number may wait.

        Its log is complete by then. A container that is destroyed meanwhile has ended.
        """

    async def signal(self, handle: str, signal: str) -> None:
        """Send TERM, KILL, … to the program; nothing happens if it has ended."""

    async def destroy(self, handle: str) -> None:
        """End it and remove everything but its log, which is the cell's to keep or to remove."""

    async def exec(
        self, handle: str, argv: Sequence[str], env: Mapping[str, str], timeout_s: float
    ) -> ExecResult:
        """Run another process in the container and wait for it; TimeoutError after killing it."""

    async def read_file(self, handle: str, path: str, bytes_max: int) -> bytes | None:
        """The beginning of a regular file that the program has left, by its absolute path.

        Before `destroy`, also once the program has ended. None: there is no regular file of that
        name. It is the container's own doing what lies there, so this waits for nothing (a fifo, a
        device), and no symbolic link leads to a file that the program could not have read itself.
        A container that is not there raises BackendError.
        """

    async def handles(self) -> Sequence[str]:
        """Every container of this owner that has left anything at all on this host."""

    async def sweep(self) -> None:
        """Remove every container of this owner and everything that `open` made for it."""

    async def close(self) -> None:
        """Let go. Containers, and whatever keeps their exit statuses, live on."""
