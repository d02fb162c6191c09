"""A BBS member that was removed, or replaced by one with another disk, ends instead of waiting.

Nobody speaks with it any more, so it asks: whenever it hears no leader, or finds itself removed.
"""

import asyncio
from collections.abc import Sequence

from diegod.models.errors import DomainError
from diegod.node.statuses import NOT_CURABLE, StartError
from diegod.raftbbs.core.removal import is_removed
from diegod.raftbbs.member import SILENCE_S, Member
from diegod.rpc.dialer import Dialer
from diegod.rpc.methods import method
from diegod.v1.cluster_pb2 import GetBbsStatusReply, GetBbsStatusRequest
from diegod.world import Clock

_STATUS = method("diegod.v1.ClusterService/GetBbsStatus")
_LOOK_S = 0.5
_ANSWER_S = 2.0


async def end_when_removed(member: Member, dialer: Dialer, clock: Clock) -> None:
    """Raises StartError as soon as it is certain; goes on for ever otherwise."""
    heard_at = clock.monotonic()
    while True:
        await asyncio.sleep(_LOOK_S)
        if member.is_member and member.leadership.leader_id:
            heard_at = clock.monotonic()
        if member.is_member and clock.monotonic() - heard_at < SILENCE_S:
            continue
        replies = await _ask_others(member, dialer)
        birth = member.birth
        if is_removed(birth.member_id, birth.store_id, replies):
            raise StartError(
                f"{birth.member_id} with the store {birth.store_id} is not a member of this "
                "cluster any more. To come back: empty its folder, then diegod bbs join ADDRESS.",
                NOT_CURABLE,
            )


async def _ask_others(member: Member, dialer: Dialer) -> Sequence[GetBbsStatusReply]:
    addresses = [
        each.address
        for each in member.members.members
        if each.member_id != member.birth.member_id
    ]
    asked = (_ask(dialer, address) for address in addresses)
    replies = [reply for reply in await asyncio.gather(*asked) if reply is not None]
    return [reply for reply in replies if reply.cluster_id == member.birth.cluster_id]


async def _ask(dialer: Dialer, address: str) -> GetBbsStatusReply | None:
    try:
        reply: GetBbsStatusReply = await dialer.call(
            address, _STATUS, GetBbsStatusRequest(), _ANSWER_S
        )
    except DomainError:
        return None
    return reply
