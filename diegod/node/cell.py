"""The cell role, assembled from its settings, its backend and the checks that are installed."""

import asyncio
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import structlog

from diegod.cellruntime.agent import Agent
from diegod.cellruntime.directories import FileDirectories
from diegod.cellruntime.records import FileRecords
from diegod.cellruntime.service import LogService
from diegod.config.schema import Settings
from diegod.contracts.backend import BackendError, ContainerBackend, Owner
from diegod.node import folder, identity
from diegod.node.plugins import load_all_plugins
from diegod.node.ports import unusable
from diegod.node.statuses import NOT_CURABLE, StartError
from diegod.rpc.client import ClusterClient
from diegod.rpc.methods import served_by
from diegod.rpc.ring import RingClient
from diegod.rpc.server import PortInUse, Server
from diegod.security.identity import Role
from diegod.v1.record_pb2 import Cell, Resources
from diegod.world import Clock, Ids

_log = structlog.get_logger("cell")

_MIB = 1024 * 1024
#: What `auto` leaves to the host.
_HOST_SHARE = 0.1
_OWNER_FILE = "owner-id"

T = TypeVar("T")


async def run(settings: Settings, clock: Clock, ids: Ids, ready: Callable[[], None]) -> None:
    who = identity.load(settings, Role.CELL, clock)
    held = folder.hold(Path(settings.node.data_dir))
    try:
        await _serve(settings, clock, ids, ready, who)
    except BackendError as error:
        raise StartError(f"{error}. diegod doctor", NOT_CURABLE) from None
    finally:
        held.release()


async def _serve(
    settings: Settings,
    clock: Clock,
    ids: Ids,
    ready: Callable[[], None],
    who: identity.RoleIdentity,
) -> None:
    data = Path(settings.node.data_dir)
    owner = owner_of(settings, ids)
    backend = make_backend(settings, owner)
    directories = FileDirectories(data, _in_thread)
    dialer = who.dialer()
    bbs = RingClient(ClusterClient(dialer, settings.cluster.endpoints, clock, ids))
    ports = settings.cell.host_ports
    agent = Agent(
        _described(settings, backend),
        owner,
        bbs,
        backend,
        {name: record.factory for name, record in load_all_plugins().checks.items()},
        FileRecords(data / "records", _in_thread),
        clock,
        ids,
        directories,
        range(ports.first, ports.last + 1),
    )
    server = Server(who.server(), settings.cluster.name, clock)
    logs = LogService(settings.node.id, agent, directories, _in_thread)
    server.add(served_by("cell"), logs.handlers())
    try:
        try:
            await server.start(settings.node.bind, settings.cell.port)
        except PortInUse:
            raise unusable(settings.node.bind, settings.cell.port) from None
        announcing = asyncio.create_task(_announce(agent, settings, ready))
        try:
            await agent.run()
        finally:
            announcing.cancel()
    finally:
        await asyncio.gather(server.stop(0.5), bbs.close())
        await dialer.close()


async def _announce(agent: Agent, settings: Settings, ready: Callable[[], None]) -> None:
    """Ready is a cell that the BBS knows: its trial container has passed by then."""
    await agent.registered()
    ready()
    _log.info("cell.started", port=settings.cell.port, backend=settings.cell.backends[0])


def owner_of(settings: Settings, ids: Ids) -> Owner:
    """Whose containers these are: an id of this data folder, made once.

    Two cells of one host differ in it even where they bear the same name in clusters of the same
    name, so neither ever touches the other's containers.
    """
    path = Path(settings.node.data_dir) / _OWNER_FILE
    if not path.exists():
        aside = path.with_name(path.name + ".new")
        aside.write_text(ids.new_id())
        with aside.open() as written:  # a lost id would make strangers of its own containers
            os.fsync(written.fileno())
        aside.replace(path)
    return Owner(path.read_text().strip(), settings.node.id)


def make_backend(settings: Settings, owner: Owner) -> ContainerBackend:
    """The first backend of the settings that this host can use; its trial container comes later."""
    plugins = load_all_plugins()
    name = settings.cell.backends[0]
    record = plugins.backends.get(name)
    if record is None:
        raise StartError(plugins.why_not("backend", name) + ".", NOT_CURABLE)
    given: dict[str, object] = dict(settings.backends.get(name, {}))
    if settings.cell.images.preloaded:
        given["preloaded"] = dict(settings.cell.images.preloaded)
    if name == "runc":
        given.setdefault("run_dir", settings.node.run_dir)
        if settings.cell.container_subnet:
            given.setdefault("subnet", settings.cell.container_subnet)
    return record.factory(owner, Path(settings.node.data_dir) / name, given)


def _described(settings: Settings, backend: ContainerBackend) -> Cell:
    cell = settings.cell
    host = settings.node.advertise or settings.node.bind
    data = Path(settings.node.data_dir)
    return Cell(
        cell_id=settings.node.id,
        zone=settings.node.zone,
        address=f"{host}:{cell.port}",
        capacity=Resources(
            memory_mb=cell.memory_mb or _of_host(_host_memory_mb()),
            disk_mb=cell.disk_mb or _of_host(shutil.disk_usage(data).free // _MIB),
            containers=cell.max_containers,
        ),
        placement_tags=cell.placement_tags,
        optional_placement_tags=cell.optional_placement_tags,
        backend=cell.backends[0],
        isolation=backend.capabilities.isolation,
    )


def _host_memory_mb() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // _MIB


def _of_host(amount: int) -> int:
    return int(amount * (1 - _HOST_SHARE))


async def _in_thread(function: Callable[[], T]) -> T:
    return await asyncio.to_thread(function)
