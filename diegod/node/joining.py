"""The store of a node that becomes a member of an existing cluster: `diegod bbs join`.

First the cluster takes down that there is a new member, with the id of the store that it is going
to have; then the store is made, under another name, and gets its own by one rename. Whatever breaks
off in between is mended by joining again: a learner that never had a store is simply replaced.
"""

import os
import shutil
from pathlib import Path

from diegod.config.schema import Settings
from diegod.models.errors import DomainError
from diegod.node import folder, identity
from diegod.node.bbs import STORE_FOLDER
from diegod.node.birth import voter
from diegod.node.statuses import FAILED, NOT_CURABLE, StartError
from diegod.raftbbs.store import identity as birth_record
from diegod.raftbbs.store.durable import flush_names
from diegod.raftbbs.store.environment import StoreFailed
from diegod.raftbbs.store.identity import Birth, StoreRefused, Voter
from diegod.rpc.client import ClusterClient
from diegod.security.identity import Role
from diegod.v1.cluster_pb2 import AddMemberReply, AddMemberRequest, BbsMember
from diegod.world import Clock, Ids

_ADD = "diegod.v1.ClusterService/AddMember"
_UNFINISHED = "store.joining"


async def join_store(
    settings: Settings, address: str, clock: Clock, ids: Ids, *, replace: bool, timeout_s: float
) -> Birth:
    """Make this node a member, and its store. Raises StartError."""
    who = identity.load(settings, Role.BBS, clock)
    held = folder.hold(Path(settings.node.data_dir))
    try:
        store = held.path / STORE_FOLDER
        _require_empty(store)
        request = _request(settings, ids.new_id(), replace=replace)
        reply = await _ask(who, address, request, clock, ids, timeout_s)
        birth = _birth(settings, request, reply)
        _make(store, birth)
        return birth
    finally:
        held.release()


def _require_empty(store: Path) -> None:
    if store.exists() and any(store.iterdir()):
        raise StartError(
            f"{store} is not empty: whoever joins begins without a store. If what is in there is "
            "no longer wanted, remove it.",
            NOT_CURABLE,
        )


def _request(settings: Settings, store_id: str, *, replace: bool) -> AddMemberRequest:
    own = voter(settings)
    return AddMemberRequest(
        member_id=own.id,
        address=own.api_address,
        raft_address=own.raft_address,
        store_id=store_id,
        replace=replace,
    )


async def _ask(
    who: identity.RoleIdentity,
    address: str,
    request: AddMemberRequest,
    clock: Clock,
    ids: Ids,
    timeout_s: float,
) -> AddMemberReply:
    dialer = who.dialer()
    try:
        cluster = ClusterClient(dialer, [address], clock, ids)
        reply: AddMemberReply = await cluster.call(_ADD, request, timeout_s)
        return reply
    except DomainError as error:
        raise StartError(error.message, FAILED) from None
    finally:
        await dialer.close()


def _birth(settings: Settings, request: AddMemberRequest, reply: AddMemberReply) -> Birth:
    if reply.cluster_name != settings.cluster.name:
        raise StartError(
            f'it is a member of the cluster "{reply.cluster_name}", not of '
            f'"{settings.cluster.name}": correct cluster.name',
            NOT_CURABLE,
        )
    return Birth(
        cluster_id=reply.cluster_id,
        cluster_name=reply.cluster_name,
        member_id=request.member_id,
        store_id=request.store_id,
        voters=tuple(_listed(each) for each in reply.members if not each.learner),
        learners=tuple(_listed(each) for each in reply.members if each.learner),
        epoch=reply.epoch,
        members_revision=reply.members_revision,
    )


def _listed(member: BbsMember) -> Voter:
    return Voter(member.member_id, member.address, member.raft_address, member.store_id)


def _make(store: Path, birth: Birth) -> None:
    """All of it at once: a start finds a whole store or none."""
    unfinished = store.with_name(_UNFINISHED)
    try:
        shutil.rmtree(unfinished, ignore_errors=True)
        birth_record.create(unfinished, birth)
        if store.exists():
            store.rmdir()  # it is empty
        os.rename(unfinished, store)
        flush_names((store.parent,))
    except (StoreRefused, StoreFailed, OSError) as error:
        raise StartError(f"the store can't be made ({error}). Join again.") from None
