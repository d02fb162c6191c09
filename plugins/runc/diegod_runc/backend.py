"""The container backend: what each verb of the contract does, in which order.

Whatever a verb makes can be found again by the next agent: a container is registered before
anything of it is made, and forgotten after everything is gone.
"""

import asyncio
import json
import os
import shutil
import signal as signals
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from diegod.contracts.backend import (
    BackendError,
    Capabilities,
    ContainerSpec,
    ContainerState,
    ContainerStatus,
    ExecResult,
    Exit,
    Owner,
)
from diegod.contracts.log_format import LOG_FILE

from diegod_runc import beneath, bundle, etc, execution, procfs, rootfs, within
from diegod_runc.cgroups import Cgroups
from diegod_runc.conmon import Conmon, Files
from diegod_runc.ending import end_cgroup, end_known, end_makers
from diegod_runc.host import Tools, nofile_max, resolver, tools
from diegod_runc.identity import identify
from diegod_runc.names import Names
from diegod_runc.network import Network
from diegod_runc.record import Record, Records, bundle_of
from diegod_runc.runc import Runc
from diegod_runc.settings import Settings

_TOOLS_AT_ONCE = 2 * (os.cpu_count() or 2)  # more only take one another's processor
_NOT_YET_PAUSE_S = 0.02

CAPABILITIES = Capabilities(
    "namespaces, cgroups, capabilities (runc)", network_namespace=True, rootfs=True, limits=True
)


@dataclass(frozen=True)
class _Ready:
    """What `open` has found out and made."""

    runc: Runc
    conmon: Conmon
    cgroups: Cgroups
    host: bundle.Host
    boot_id: str
    resolv_conf: str


class RuncBackend:
    def __init__(self, owner: Owner, state_dir: Path, settings: Mapping[str, object]) -> None:
        self._owner = owner
        self._settings = Settings.parse(settings)
        self._names = Names.of(owner, self._settings.run_dir)
        self._state_dir = state_dir
        self._records = Records(state_dir)
        self._network = Network(self._names, self._settings, state_dir)
        self._tools_at_once = asyncio.Semaphore(_TOOLS_AT_ONCE)
        self._opened: _Ready | None = None

    @property
    def capabilities(self) -> Capabilities:
        return CAPABILITIES

    # --- the backend's own life ---

    async def open(self) -> None:
        found = tools()
        resolv_conf = resolver()
        self._make_folders()
        await asyncio.to_thread(self._offer_busybox)
        await self._network.open(found.nft, etc.name_servers(resolv_conf))
        await self._network.reopen_ports(self._mapped_ports())
        self._opened = self._ready_with(found, resolv_conf)

    def _offer_busybox(self) -> None:
        """`preloaded:busybox` is there on every host that has a busybox: a first task needs it."""
        busybox = shutil.which("busybox")
        if "busybox" in self._settings.preloaded or busybox is None:
            return
        directory = self._state_dir / "rootfs" / "busybox"
        if not directory.exists():
            directory.parent.mkdir(parents=True, exist_ok=True)
            rootfs.build_busybox(directory, Path(busybox))
        preloaded = {**self._settings.preloaded, "busybox": directory}
        self._settings = replace(self._settings, preloaded=preloaded)

    def _make_folders(self) -> None:
        self._records.open()
        for folder in (self._names.run_dir, self._names.runc_root, self._names.sockets):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        whose = {"cluster_id": self._owner.cluster_id, "cell_id": self._owner.cell_id}
        (self._names.run_dir / "owner.json").write_text(json.dumps(whose))

    def _ready_with(self, found: Tools, resolv_conf: str) -> _Ready:
        cgroups = Cgroups.detect()
        runc = Runc(found.runc, self._names.runc_root)
        nofile = min(self._settings.nofile, nofile_max())
        return _Ready(
            runc,
            Conmon(found.conmon, runc, self._names.sockets),
            cgroups,
            bundle.Host(cgroups.version, cgroups.swap_limit, nofile),
            procfs.boot_id(),
            resolv_conf,
        )

    def _mapped_ports(self) -> dict[int, tuple[str, int]]:
        records = (self._records.load(handle) for handle in self._records.handles())
        return {
            int(host_port): (record.address, port)
            for record in records
            if record is not None
            for host_port, port in record.ports.items()
        }

    @property
    def _ready(self) -> _Ready:
        if self._opened is None:
            raise BackendError("the runc backend has not been opened")
        return self._opened

    async def rootfs_providers(self) -> Sequence[str]:
        return [*(f"preloaded:{name}" for name in sorted(self._settings.preloaded)), "dir"]

    async def handles(self) -> Sequence[str]:
        ready = self._ready
        cgroups = ready.cgroups.children(self._names.cgroup)
        return sorted({*self._records.handles(), *ready.runc.handles(), *cgroups})

    async def sweep(self) -> None:
        ends = (self.destroy(handle) for handle in await self.handles())
        for outcome in await asyncio.gather(*ends, return_exceptions=True):
            if outcome is not None:  # what the others share stays, so that this can be done again
                raise outcome
        await self._network.sweep()
        await self._ready.cgroups.remove(self._names.cgroup)
        self._ready.cgroups.remove_if_empty(self._names.cgroup_root)
        shutil.rmtree(self._names.run_dir, ignore_errors=True)
        shutil.rmtree(self._state_dir / "containers", ignore_errors=True)

    async def close(self) -> None:
        await self._network.close()

    # --- a container's life ---

    async def prepare(self, spec: ContainerSpec) -> None:
        if spec.owner != self._owner:
            raise BackendError(f"{spec.handle} belongs to another cell")
        known = self._records.load(spec.handle)
        if known is not None and (known.start_called or known.process(self._ready.boot_id)):
            return  # made already; without a process, or after a restart, it is made again
        lower = rootfs.find_lower(spec.rootfs, self._settings.preloaded)
        self._records.register(spec.handle, spec.directory)
        slot = await self._network.acquire(spec.handle)
        await asyncio.to_thread(self._furnish, spec, lower, slot)
        await self._network.map_ports(slot, spec.ports)
        self._records.save(self._first_record(spec, slot))

    def _furnish(self, spec: ContainerSpec, lower: Path, slot: int) -> None:
        """Root file system and config.json. In a thread: disks may be slow."""
        ready, folder = self._ready, bundle_of(spec.directory)
        folder.mkdir(mode=0o700, exist_ok=True)
        root = rootfs.lay_out(lower, folder, self._etc(spec, slot))
        passwd, group = (beneath.read_text(root, name) for name in ("etc/passwd", "etc/group"))
        identity = identify(spec.user, passwd, group)
        cgroup = self._names.container_cgroup(spec.handle)
        place = bundle.Place(root, self._network.namespace(slot), cgroup)
        config = bundle.config(spec, identity, place, ready.host)
        (folder / "config.json").write_text(json.dumps(config))

    def _etc(self, spec: ContainerSpec, slot: int) -> dict[str, str]:
        return {
            "hosts": etc.hosts(self._network.address(slot), spec.hostname),
            "hostname": f"{spec.hostname}\n",
            "resolv.conf": self._ready.resolv_conf,
        }

    def _first_record(self, spec: ContainerSpec, slot: int) -> Record:
        return Record(
            spec.handle,
            spec.rootfs,
            self._ready.boot_id,
            self._network.address(slot),
            {str(port.host_port): port.container_port for port in spec.ports},
        )

    async def create(self, spec: ContainerSpec) -> None:
        ready, folder = self._ready, bundle_of(spec.directory)
        record = self._records.load(spec.handle)
        if record is None:
            raise BackendError(f"{spec.handle} was not prepared")
        process = record.process(ready.boot_id)
        if process is not None and (process.alive() or record.start_called):
            return
        files, log = Files(folder), spec.directory / LOG_FILE
        if files.begun:  # by an agent that died before it could write down what came of it
            await self._end(spec.handle, folder, record)
        async with self._tools_at_once:
            socket = self._names.socket(spec.handle)
            process = await ready.conmon.create(spec.handle, files, log, socket)
        rootfs.fill_in_index(rootfs.rootfs_of(folder), spec, process.pid)
        self._records.save(record.created(process, files.conmon()))

    async def start(self, handle: str) -> ContainerStatus:
        ready = self._ready
        record = self._records.load(handle)
        directory = self._records.directory(handle)
        if record is None or directory is None or not record.pid:
            raise BackendError(f"{handle} was not created")
        if record.start_called:
            raise BackendError(f"{handle} was started before, and is never started twice")
        record = replace(record, start_called=True)
        self._records.save(record)
        async with self._tools_at_once:
            await ready.runc.start(handle, Files(bundle_of(directory)).runc_log)
        return await self._status(record, directory)

    async def inspect(self, handle: str) -> ContainerStatus | None:
        directory = self._records.directory(handle)
        if directory is None:
            return None
        record = self._records.load(handle)
        if record is None:
            return ContainerStatus(handle, ContainerState.PREPARED)
        return await self._status(record, directory)

    async def _status(self, record: Record, directory: Path) -> ContainerStatus:
        """What is there now. May wait for conmon to write out a program's last words."""
        ready, handle = self._ready, record.handle
        known = ContainerStatus(handle, ContainerState.PREPARED, address=record.address)
        files = Files(bundle_of(directory))
        process = record.process(ready.boot_id)
        if not record.start_called:
            return known
        if process is not None and process.alive():
            if ready.runc.waits_for_start(handle, process):
                return known
            return replace(known, state=ContainerState.RUNNING, pid=process.pid)
        conmon = record.conmon(ready.boot_id)
        status = await ready.conmon.late_exit(handle, files, conmon)
        if status is None:
            return replace(known, state=ContainerState.LOST)
        return replace(known, state=ContainerState.EXITED, exit=self._exit(handle, status))

    def _exit(self, handle: str, status: int) -> Exit:
        """A program that ended well was not killed, whatever happened to its children."""
        cgroup = self._names.container_cgroup(handle)
        return Exit(status, status != 0 and self._ready.cgroups.oom_kills(cgroup) > 0)

    async def wait(self, handle: str) -> ContainerStatus:
        while True:
            status = await self.inspect(handle)
            if status is None:
                return ContainerStatus(handle, ContainerState.LOST)
            if status.state in (ContainerState.EXITED, ContainerState.LOST):
                return status
            process = self._process(handle)
            if status.state is ContainerState.RUNNING and process is not None:
                await process.gone()
            else:
                await asyncio.sleep(_NOT_YET_PAUSE_S)

    async def signal(self, handle: str, signal: str) -> None:
        number = getattr(signals, f"SIG{signal.removeprefix('SIG')}", None)
        if not isinstance(number, signals.Signals):
            raise BackendError(f"there is no signal {signal!r}")
        process = self._process(handle)
        if process is not None:
            process.signal(number)

    def _process(self, handle: str) -> procfs.Process | None:
        record = self._records.load(handle)
        return record.process(self._ready.boot_id) if record else None

    async def exec(
        self, handle: str, argv: Sequence[str], env: Mapping[str, str], timeout_s: float
    ) -> ExecResult:
        status = await self.inspect(handle)
        directory = self._records.directory(handle)
        if status is None or directory is None or status.state is not ContainerState.RUNNING:
            raise BackendError(f"{handle} does not run, so nothing can be run in it")
        runc, folder = self._ready.runc, bundle_of(directory)
        return await execution.execute(runc, handle, folder, argv, env, timeout_s)

    async def read_file(self, handle: str, path: str, bytes_max: int) -> bytes | None:
        """What the container has mounted inside (/dev, /proc) is not part of its root."""
        directory = self._records.directory(handle)
        root = rootfs.rootfs_of(bundle_of(directory)) if directory else None
        if root is None or not root.is_mount():
            raise BackendError(f"{handle} has no root file system here to read {path} from")
        try:
            return await asyncio.to_thread(within.read_beginning, root, path, bytes_max)
        except OSError as error:
            raise BackendError(f"{path} can't be read: {error.strerror}") from None

    async def destroy(self, handle: str) -> None:
        directory = self._records.directory(handle)
        if directory is not None:
            folder: Path | None = bundle_of(directory)
        elif handle in await self.handles():  # its record was lost, the container was not
            folder = await self._ready.runc.bundle(handle)
        else:
            return
        await self._end(handle, folder, self._records.load(handle))
        await self._network.release(handle)
        if folder is not None:
            await asyncio.to_thread(rootfs.take_down, folder)
        self._records.forget(handle)

    async def _end(self, handle: str, folder: Path | None, record: Record | None) -> None:
        """End every process of a container, and remove what runc and the kernel keep of it."""
        ready = self._ready
        if record is not None and record.pid:
            await end_known(record.process(ready.boot_id), record.conmon(ready.boot_id))
        elif folder is not None and Files(folder).begun:
            await end_makers(folder)
        async with self._tools_at_once:
            if ready.runc.knows(handle):
                await ready.runc.delete(handle, self._names.run_dir / "runc.log")
        await end_cgroup(ready.cgroups, self._names.container_cgroup(handle))
        ready.conmon.remove_socket(self._names.socket(handle))
