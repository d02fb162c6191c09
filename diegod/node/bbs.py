"""The BBS role: one member, assembled from its settings and its store."""

import asyncio
import os
import sys
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import structlog

from diegod.config.schema import Settings
from diegod.internal.v1.command_pb2 import Members
from diegod.models.errors import DomainError, Reason
from diegod.node import folder, identity
from diegod.node.backups import Backups, sweep_copies
from diegod.node.keys import keyring_of
from diegod.node.ports import unusable
from diegod.node.removal import end_when_removed
from diegod.node.statuses import FATAL, NOT_CURABLE, REPLACED, WRONG_USAGE, StartError
from diegod.raftbbs import failpoints
from diegod.raftbbs.core.leases import LeaseTable
from diegod.raftbbs.core.load_limits import LoadLimits
from diegod.raftbbs.driver import ThreadDriver
from diegod.raftbbs.edge.access import Access
from diegod.raftbbs.edge.backup import BackupService
from diegod.raftbbs.edge.cells import CellService
from diegod.raftbbs.edge.cluster import ClusterService
from diegod.raftbbs.edge.domains import DomainService
from diegod.raftbbs.edge.logs import LogRelay
from diegod.raftbbs.edge.lrps import LrpService
from diegod.raftbbs.edge.members import MemberService
from diegod.raftbbs.edge.ring import RingService
from diegod.raftbbs.edge.schedules import TaskScheduleService
from diegod.raftbbs.edge.stories import StoryTeller
from diegod.raftbbs.edge.tasks import TaskService
from diegod.raftbbs.edge.watch import EventService
from diegod.raftbbs.links import EXCHANGE, LinkEvents, Links
from diegod.raftbbs.member import SILENCE_S, Member
from diegod.raftbbs.raft.api import Fatal, Limits, Quarantined, Replaced
from diegod.raftbbs.raft.engine import Engine
from diegod.raftbbs.raft.snapshot import Background
from diegod.raftbbs.replica import Replica
from diegod.raftbbs.store import opening, quarantine
from diegod.raftbbs.store.environment import Environment, StoreFailed
from diegod.raftbbs.store.identity import Birth, StoreRefused
from diegod.raftbbs.store.quarantine import Mark
from diegod.raftbbs.store.tables import Tables
from diegod.raftbbs.ticking import Ticking
from diegod.rpc.dialer import Dialer
from diegod.rpc.handlers import Handlers
from diegod.rpc.methods import served_by
from diegod.rpc.server import PortInUse, Server
from diegod.security.identity import Role
from diegod.world import Clock, Ids

_log = structlog.get_logger("bbs")

STORE_FOLDER = "store"
_LOOK_AT_DISK_S = 1.0


async def run(settings: Settings, clock: Clock, ids: Ids, ready: Callable[[], None]) -> None:
    """Serve until cancelled. Raises StartError when it can't begin."""
    _arm_failpoint()
    who = identity.load(settings, Role.BBS, clock)
    held = folder.hold(Path(settings.node.data_dir))
    try:
        environment, birth = _open_store(held.path / STORE_FOLDER, settings)
        try:
            await _serve(settings, clock, ids, ready, who, environment, birth)
        except StoreFailed as error:  # a full disk, say: it may be over at the next start
            raise _failed(error, environment.path) from None
        finally:
            environment.close()
    finally:
        held.release()


def _arm_failpoint() -> None:
    try:
        failpoints.arm(os.environ)
    except ValueError as error:
        raise StartError(str(error), WRONG_USAGE) from None


def _open_store(path: Path, settings: Settings) -> tuple[Environment, Birth]:
    keyring = keyring_of(settings)
    try:
        environment, birth = opening.open_verified(
            path, member_id=settings.node.id, keyring=keyring
        )
    except StoreRefused as error:
        raise StartError(str(error), NOT_CURABLE) from None
    except StoreFailed as error:
        raise _failed(error, path) from None
    if birth.cluster_name != settings.cluster.name:
        environment.close()
        raise StartError(
            f'the store in {path} belongs to the cluster "{birth.cluster_name}", not to '
            f'"{settings.cluster.name}". Give this member a folder of its own.',
            NOT_CURABLE,
        )
    return environment, birth


def _failed(error: StoreFailed, path: Path) -> StartError:
    return StartError(f"{error} (in {path}). Make room, or mend it.")


async def _serve(
    settings: Settings,
    clock: Clock,
    ids: Ids,
    ready: Callable[[], None],
    who: identity.RoleIdentity,
    environment: Environment,
    birth: Birth,
) -> None:
    sweep_copies(environment.path)
    tables = Tables.open(environment)
    replica = Replica(tables, settings.bbs.history_changes)
    copying = ThreadPoolExecutor(1, "snapshot")
    limits = Limits(log_kept_entries=settings.bbs.log_kept_entries)
    log = _open_log(environment, birth, replica, ids, clock, copying.submit, limits)
    leases = LeaseTable(settings.bbs.lease_ttl_s)
    ticking = Ticking(birth.member_id, log, environment, tables, leases)
    driver = ThreadDriver(ticking, clock, lambda error: _end_process(error, environment, clock))
    load = LoadLimits(free_disk_bytes=settings.bbs.min_free_disk_mb << 20)
    member = Member(birth, environment, tables, log.leadership(), driver.wake, load)
    backups = Backups(settings.bbs, member, clock)
    dialer = who.dialer()
    links = Links(
        birth.member_id,
        raft_addresses(member.members, birth.member_id),
        dialer,
        LinkEvents(member.received, member.connected, member.disconnected),
    )
    member.fail = lambda error: _end_process(error, environment, clock)
    member.send = links.send
    member.refuse = links.refuse
    member.follow = lambda members: links.set_peers(raft_addresses(members, birth.member_id))
    member.note = lambda notice: _log.warning("bbs.store", what=notice)
    member.rekey_progress = lambda: log.rekeying.progress
    api = Server(who.server(), settings.cluster.name, clock)
    api.add(served_by("bbs"), handlers(member, dialer, links.up, leases.ttl_s))
    raft = Server(who.server(), settings.cluster.name, clock)
    raft.add(served_by("raft"), {EXCHANGE: links.exchange})
    try:
        await _listen(raft, settings.node.bind, settings.bbs.raft_port)
        await _listen(api, settings.node.bind, settings.bbs.port)
        ready()
        _log.info("bbs.started", member_id=birth.member_id, port=settings.bbs.port)
        await _until_one_fails(
            driver.run(member),
            links.run(),
            end_silent_watches(member, clock),
            look_at_disk(member),
            end_when_removed(member, dialer, clock),
            backups.run(),
        )
    finally:
        await asyncio.gather(api.stop(0.5), raft.stop(0.0))
        await dialer.close()
        # Nobody may close the store under a copy that is being made.
        await asyncio.to_thread(copying.shutdown, cancel_futures=True)
        await member.close()
        log.close()


def raft_addresses(members: Members, own_id: str) -> dict[str, str]:
    """Where the other members are dialled."""
    others = [each for each in members.members if each.member_id != own_id]
    return {each.member_id: each.raft_address for each in others}


def _open_log(
    environment: Environment,
    birth: Birth,
    replica: Replica,
    ids: Ids,
    clock: Clock,
    background: Background,
    limits: Limits,
) -> Engine:
    try:
        return Engine(
            environment,
            birth,
            replica.apply_entry,
            ids,
            clock.monotonic(),
            members_of=replica.members_of,
            limits=limits,
            background=background,
            state=replica,
        )
    except Fatal as error:
        raise StartError(f"{error} (in {environment.path}).", NOT_CURABLE) from None


def handlers(
    member: Member, dialer: Dialer, connected: Callable[[str], bool], ttl_s: float
) -> Handlers:
    """Every method of a member's API; the simulation serves the same."""
    access = Access(member)
    return {
        **TaskService(access).handlers(),
        **TaskScheduleService(access).handlers(),
        **DomainService(access).handlers(),
        **LrpService(access).handlers(),
        **CellService(access).handlers(),
        **EventService(access).handlers(),
        **StoryTeller(access).handlers(),
        **RingService(access, ttl_s).handlers(),
        **ClusterService(access, connected).handlers(),
        **MemberService(access, connected).handlers(),
        **BackupService(access).handlers(),
        **LogRelay(access, dialer).handlers(),
    }


async def _until_one_fails(*loops: Coroutine[Any, Any, None]) -> None:
    """None of them goes on without the others, and the store is closed under none of them."""
    tasks = [asyncio.create_task(loop) for loop in loops]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
    finally:
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
    for error in ended:
        if isinstance(error, Exception):
            raise error


async def end_silent_watches(member: Member, clock: Clock) -> None:
    """A member that hears no leader can't say that nothing has happened."""
    heard_at = clock.monotonic()
    while True:
        await asyncio.sleep(SILENCE_S / 4)
        if member.leadership.leader_id:
            heard_at = clock.monotonic()
        elif clock.monotonic() - heard_at > SILENCE_S and len(member.feed):
            member.feed.end_all(DomainError(Reason.UNAVAILABLE, "this member hears no leader"))


async def look_at_disk(member: Member) -> None:
    """Know how much room is left, and say so when it gets or ceases to be too little."""
    was_short = False
    while True:
        await asyncio.sleep(_LOOK_AT_DISK_S)
        member.free_disk_bytes = member.environment.free_disk_bytes()
        if member.is_short_of_disk != was_short:
            was_short = member.is_short_of_disk
            _log.warning("bbs.disk", short=was_short, free_bytes=member.free_disk_bytes)


async def _listen(server: Server, host: str, port: int) -> None:
    try:
        await server.start(host, port)
    except PortInUse:
        raise unusable(host, port) from None


def _end_process(error: BaseException, environment: Environment, clock: Clock) -> None:
    """From the tick's thread: nothing of the failed tick was released, and nothing is retried."""
    if isinstance(error, Quarantined):
        _quarantine(error, environment.path, clock.wall())
        os._exit(NOT_CURABLE)
    if isinstance(error, Replaced):
        _log.warning("bbs.replaced", what=str(error))
        print(f"diegod: {error}; this member starts again from it.", file=sys.stderr)
        os._exit(REPLACED)
    print(f"diegod: the store or the log failed, this member ends ({error}).", file=sys.stderr)
    _log.error("bbs.failed", why=repr(error))
    os._exit(FATAL)


def _quarantine(error: Quarantined, store: Path, wall_s: float) -> None:
    """Say so, and mark the store: without the mark, it would be found again by the others."""
    what_to_do = f"its store {store} is not served again; replace this member"
    try:
        quarantine.put(store, Mark.of(error.index, error.own, error.agreed, wall_s))
    except OSError as failure:
        what_to_do = f"its store {store} can't be marked ({failure.strerror}): don't start it again"
    _log.error("bbs.quarantined", index=error.index, store=str(store))
    print(f"diegod: {error}; {what_to_do}.", file=sys.stderr)
