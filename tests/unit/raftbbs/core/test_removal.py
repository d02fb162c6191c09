"""Whether a member is one no more: what the others must have said before it ends."""

import pytest

from diegod.raftbbs.core.removal import is_removed
from diegod.v1.cluster_pb2 import BbsMember, GetBbsStatusReply


def said(
    by: str, revision: int, voters: str, learners: str = "", **stores: str
) -> GetBbsStatusReply:
    return GetBbsStatusReply(
        member_id=by,
        members_revision=revision,
        members=[
            BbsMember(member_id=each, learner=each in learners, store_id=stores.get(each, ""))
            for each in voters + learners
        ],
    )


@pytest.mark.parametrize(
    ("replies", "removed"),
    [
        ([], False),
        ([said("a", 5, "abc")], False),
        ([said("a", 6, "ab")], False),  # b may not know it yet, and need d
        ([said("a", 6, "ab"), said("b", 5, "abd")], False),
        ([said("a", 6, "ab"), said("b", 6, "ab")], True),
        ([said("a", 6, "abc"), said("c", 6, "abc")], True),
        ([said("a", 6, "abc"), said("c", 6, "abc"), said("b", 5, "abcd")], False),
        ([said("a", 6, "a", "b"), said("b", 2, "abd")], True),  # a learner decides nothing
        ([said("a", 6, "a"), said("b", 5, "abd")], True),  # b is no member either
        ([said("a", 6, "ad", d="old"), said("d", 6, "ad", d="old")], False),
        ([said("a", 6, "a", "d", d="new")], True),
    ],
)
def test_who_must_agree(replies: list[GetBbsStatusReply], removed: bool) -> None:
    assert is_removed("d", "old", replies) is removed
