"""The record of members: one row of the state, and before there is one, the birth record.

A store that joined was born with the record of that time, and replays the cluster's history from
before it. So the later of the two counts: a record of the past does not make a member forget whom
it was told of.
"""

from diegod.internal.v1.command_pb2 import Member, Members
from diegod.raftbbs.store.environment import ReadTransaction, WriteTransaction
from diegod.raftbbs.store.identity import Birth, Voter
from diegod.raftbbs.store.tables import Tables

_NAME = "members"


def read(tables: Tables, transaction: ReadTransaction) -> Members:
    """The record in the state; with revision 0, and empty, as long as nothing was changed."""
    return tables.members.get(transaction, _NAME) or Members()


def write(tables: Tables, transaction: WriteTransaction, members: Members) -> None:
    tables.members.put(transaction, _NAME, members)


def effective(birth: Birth, stored: Members) -> Members:
    """The record that a member with this birth record and this state goes by."""
    is_known = stored.revision and stored.revision >= birth.members_revision
    return stored if is_known else of_birth(birth)


def of_birth(birth: Birth) -> Members:
    """What a store was told of its cluster when it was made."""
    listed = [_member(voter, learner=False) for voter in birth.voters]
    listed += [_member(learner, learner=True) for learner in birth.learners]
    listed.sort(key=lambda member: member.member_id)
    return Members(members=listed, revision=birth.members_revision)


def _member(voter: Voter, *, learner: bool) -> Member:
    return Member(
        member_id=voter.id,
        address=voter.api_address,
        raft_address=voter.raft_address,
        store_id=voter.store_id,
        learner=learner,
    )
