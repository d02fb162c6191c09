"""The members that this one goes by: who votes, who learns, and with which store.

One value for the whole engine, changed when a record of members has been applied. Whoever counts
votes, acknowledgements or echoes counts here: of voters only, also when this member is none.

A member is its id together with its store. One that comes back under its id with another store is
another member, which has promised nothing yet.
"""

from collections.abc import Container

from diegod.internal.v1.command_pb2 import Members


class Peers:
    """A view of the record of members from one of them."""

    def __init__(self, member_id: str, store_id: str, members: Members) -> None:
        self._member_id = member_id
        self._store_id = store_id
        self.set(members)

    def set(self, members: Members) -> None:
        """Go by this record from now on."""
        own, others = None, []
        for member in sorted(members.members, key=lambda each: each.member_id):
            if member.member_id != self._member_id:
                others.append(member)
            elif member.store_id in ("", self._store_id):
                own = member
        self.revision = members.revision
        self.is_member = own is not None
        self.votes = own is not None and not own.learner
        self.voters = tuple(each.member_id for each in others if not each.learner)
        self.learners = tuple(each.member_id for each in others if each.learner)
        self._stores = {each.member_id: each.store_id for each in others}

    @property
    def all(self) -> tuple[str, ...]:
        """Everybody else, voters first."""
        return self.voters + self.learners

    @property
    def all_voters(self) -> tuple[str, ...]:
        """The others that vote, and this member if it does."""
        return (*self.voters, self._member_id) if self.votes else self.voters

    @property
    def is_alone(self) -> bool:
        """Whether this member's own vote is all that counts."""
        return self.votes and not self.voters

    def __contains__(self, peer: str) -> bool:
        return peer in self._stores

    def store_id(self, peer: str) -> str:
        """The store that a peer takes part with; "" for the one it said first."""
        return self._stores[peer]

    def is_majority(self, supporters: Container[str]) -> bool:
        """Whether these and this member are more than half of the voters."""
        count = sum(1 for voter in self.voters if voter in supporters)
        return 2 * (count + self.votes) > len(self.voters) + self.votes
