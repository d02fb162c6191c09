"""Which record of members counts: the state's, or the one that a store was born with."""

from diegod.internal.v1.command_pb2 import Member, Members
from diegod.raftbbs.store.identity import Birth, Voter
from diegod.raftbbs.store.members import effective

FIRST = Birth("c", "test", "b1", "s1", (Voter("b2", "b2:1", "b2:2"), Voter("b1", "b1:1", "b1:2")))
JOINER = Birth(
    "c",
    "test",
    "b3",
    "s3",
    (Voter("b1", "b1:1", "b1:2", "s1"),),
    learners=(Voter("b3", "b3:1", "b3:2", "s3"),),
    members_revision=7,
)


def ids(members: Members) -> list[tuple[str, bool]]:
    return [(each.member_id, each.learner) for each in members.members]


def record(revision: int) -> Members:
    return Members(members=[Member(member_id="b9")], revision=revision)


def test_before_there_is_a_record_the_birth_record_counts() -> None:
    members = effective(FIRST, Members())
    assert ids(members) == [("b1", False), ("b2", False)]
    assert members.revision == 0
    assert members.members[1].raft_address == "b2:2"


def test_a_record_counts_more_than_the_first_birth() -> None:
    assert effective(FIRST, record(1)) == record(1)


def test_a_record_of_the_past_does_not_make_a_joiner_forget() -> None:
    for replayed in (Members(), record(3), record(6)):
        members = effective(JOINER, replayed)
        assert ids(members) == [("b1", False), ("b3", True)]
        assert members.revision == 7
        assert [each.store_id for each in members.members] == ["s1", "s3"]
    assert effective(JOINER, record(7)) == record(7)
    assert effective(JOINER, record(8)) == record(8)
