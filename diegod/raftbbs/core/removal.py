"""Whether this member is one no more: what the others say of it, decided on their answers.

A member that was removed must not end too early: before the others know for certain that it was,
they may need its vote to find out. So it goes on, voting when asked, until those that remain say so
themselves: a majority of them, and all that answer.
"""

from collections.abc import Iterable

from diegod.v1.cluster_pb2 import BbsMember, GetBbsStatusReply


def is_removed(member_id: str, store_id: str, replies: Iterable[GetBbsStatusReply]) -> bool:
    """Whether the voters of the latest record agree that it has no such member."""
    heard = list(replies)
    latest = max(heard, key=lambda reply: reply.members_revision, default=None)
    if latest is None or any(_is(each, member_id, store_id) for each in latest.members):
        return False
    voters = [each.member_id for each in latest.members if not each.learner]
    of_voters = [reply for reply in heard if reply.member_id in voters]
    agreeing = [r for r in of_voters if r.members_revision == latest.members_revision]
    return len(agreeing) == len(of_voters) and 2 * len(agreeing) > len(voters)


def _is(member: BbsMember, member_id: str, store_id: str) -> bool:
    return member.member_id == member_id and member.store_id in ("", store_id)
