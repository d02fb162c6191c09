"""`diegod bbs compact`: each member's store without its free pages, one member after the other."""

import asyncio
from collections.abc import Sequence

from diegod.cli.terminal.errors import FAILED, NO_ANSWER, CliError
from diegod.cli.terminal.render import Column, View, print_rows
from diegod.cli.terminal.session import Session
from diegod.models.errors import DomainError, Reason
from diegod.v1.cluster_pb2 import BbsMember, CompactReply, GetBbsStatusReply

_LOOK_EVERY_S = 0.2
#: A store of many GB takes its time; the others serve meanwhile.
_BACK_WITHIN_S = 600.0

Row = tuple[str, int, int]
"""Member, bytes before and after."""


async def compact_all(session: Session) -> None:
    """The leader is the last: the others are back before it gives the leadership to one of them."""
    async with session.client() as client:
        status = await client.bbs_status()
    rows: list[Row] = []
    for member in in_order(status):
        rows.append(await _compact(session, member))
    print_rows(session, _VIEW, rows)


def in_order(status: GetBbsStatusReply) -> Sequence[BbsMember]:
    """Followers first. Refuses where a member that leaves for a moment could be one too many."""
    away = [
        each.member_id
        for each in status.members
        if not each.connected and each.member_id != status.member_id
    ]
    if away:
        raise CliError(
            f"{', '.join(sorted(away))} can't be reached by {status.member_id}: compact when all "
            "members are there",
            FAILED,
        )
    return sorted(status.members, key=lambda m: (m.member_id == status.leader_id, m.member_id))


async def _compact(session: Session, member: BbsMember) -> Row:
    try:
        reply = await _ask(session, member)
    except DomainError as error:
        if error.reason is not Reason.INVALID_STATE_TRANSITION:
            raise
        await _take_leadership(session, member)
        reply = await _ask(session, member)
    before = reply.store_bytes
    after = before if _is_compact(before, reply.needed_bytes) else await _back(session, member)
    return member.member_id, before, after


async def _ask(session: Session, member: BbsMember) -> CompactReply:
    async with session.client_at(member.address) as client:
        return await client.compact_store()


async def _take_leadership(session: Session, member: BbsMember) -> None:
    """A leader that has something to gain leads no more when it ends: nobody waits for another."""
    async with session.client() as client:
        leader_id = await client.members.transfer()
    session.say(f"{member.member_id} led the others; {leader_id} does now")


def _is_compact(before: int, needed: int) -> bool:
    """Whether the member had nothing to gain, and stayed."""
    from diegod.raftbbs.edge.backup import GAIN_MIN

    return needed > before * (1 - GAIN_MIN)


async def _back(session: Session, member: BbsMember) -> int:
    """The size of its store, once the member serves from the new one and hears a leader."""
    session.say(f"{member.member_id} starts again with a smaller store")
    await asyncio.sleep(1.0)  # it ends half a second after its answer
    waited_s = 0.0
    while waited_s < _BACK_WITHIN_S:
        try:
            async with session.client_at(member.address) as client:
                status = await client.bbs_status()
            if status.leader_id:
                return status.store_bytes
        except (DomainError, CliError):
            pass  # it is not back yet
        await asyncio.sleep(_LOOK_EVERY_S)
        waited_s += _LOOK_EVERY_S
    raise CliError(
        f"{member.member_id} is not back: look at its log. The others are left as they are",
        NO_ANSWER,
    )


_VIEW: View[Row] = View(
    columns=[
        Column("MEMBER", lambda row: row[0]),
        Column("BEFORE MB", lambda row: f"{row[1] / 1024**2:.1f}"),
        Column("AFTER MB", lambda row: f"{row[2] / 1024**2:.1f}"),
    ],
    name=lambda row: row[0],
    form=lambda row: {"member_id": row[0], "bytes_before": row[1], "bytes_after": row[2]},
)
