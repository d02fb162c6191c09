"""Whose store speaks: the first frame on a connection says it, and it must be the one we know.

A certificate proves who a peer is, not that it still has its store. A member whose disk was lost
has forgotten its votes and entries; if it took part under its old name, what was committed with its
help could be lost. So a member is known with one store: the one that the record of members names,
or else the first that it said. Another one is refused, with everything it sends, and so is whoever
is no member.

A record may be behind: others have changed members, and this one has not heard of it. So a peer
that goes by a later record than ours is an *acquaintance*: it may lead us and be voted for, as Raft
allows to anybody, but whatever it says in the name of a member we know is not counted.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress

from diegod.internal.v1.raft_pb2 import RaftFrame, RaftHello
from diegod.models.epochs import EPOCH_FIRST
from diegod.raftbbs.raft import formats
from diegod.raftbbs.raft.frames import FrameRefused
from diegod.raftbbs.raft.lives import Lives
from diegod.raftbbs.raft.peers import Peers
from diegod.raftbbs.raft.step_transaction import StepTransaction
from diegod.raftbbs.store.environment import Environment
from diegod.raftbbs.store.identity import (
    META_TABLE,
    STORE_FORMAT,
    Birth,
    known_store,
    remember_store,
)

NO_MEMBER = "it is not a member of this cluster (any more)"

_OF_ACQUAINTANCES = frozenset(
    (
        "append_entries",
        "vote_request",
        "pre_vote_request",
        "stale_term",
        "timeout_now",
        "read_index_reply",  # counts only if it was asked, as the leader
        "snapshot_offer",
        "snapshot_chunk",
    )
)


class Greeting:
    """Which peers have said who they are, and are who they were."""

    def __init__(
        self,
        birth: Birth,
        environment: Environment,
        transaction: StepTransaction,
        peers: Peers,
        cluster_format: Callable[[], int],
        lives: Lives,
    ) -> None:
        self._birth = birth
        self._cluster_format = cluster_format
        self._lives = lives
        self._meta = environment.table(META_TABLE)
        self._transaction = transaction
        self._peers = peers
        self._said: dict[str, RaftHello] = {}
        self._members: set[str] = set()
        self._acquaintances: set[str] = set()
        self._complaints: dict[str, str] = {}  # of those that said something wrong

    def hello(self) -> RaftFrame:
        """The first frame that a peer gets from us on each connection."""
        birth = self._birth
        return RaftFrame(
            hello=RaftHello(
                cluster_id=birth.cluster_id,
                member_id=birth.member_id,
                store_id=birth.store_id,
                store_format=self._cluster_format(),
                format_max=STORE_FORMAT,
                members_revision=self._peers.revision,
                epoch=birth.epoch,
                life=self._lives.life,
                process=self._lives.process,
            )
        )

    def store_of(self, peer: str) -> str:
        """The store that a member takes part with, by the record or since it first said so."""
        recorded = self._peers.store_id(peer)
        return recorded or known_store(self._transaction.reader, self._meta, peer)

    def knows(self, peer: str) -> bool:
        """Whether a member has said, and rightly, whose store it has."""
        return peer in self._members

    def reads(self, peer: str) -> int:
        """The latest format that a peer can read; 0 while it is not known."""
        return formats.reads(self._said[peer]) if self.knows(peer) else 0

    def counts(self, peer: str, kind: str) -> bool:
        """Whether a frame means anything from this peer. Refuses one of who has not said hello."""
        if peer in self._members:
            return True
        if peer not in self._acquaintances:
            raise FrameRefused(self._complaints.get(peer, "it has not said hello"))
        return kind in _OF_ACQUAINTANCES

    @property
    def said(self) -> Sequence[str]:
        """All peers that have said something, members or acquaintances."""
        return sorted(self._said)

    def receive(self, peer: str, hello: RaftHello) -> None:
        """Take a hello; remember the store of a member that we meet for the first time."""
        self._forget(peer)
        if complaint := self._of_another(peer, hello):
            raise FrameRefused(complaint)
        self._lives.met(hello)
        self._said[peer] = hello
        self._judge(peer)

    def judge_again(self, peer: str) -> None:
        """The record of members has changed: what this peer said may be right now, or wrong.

        Then its next frame is refused: what was sent to it before still reaches it.
        """
        with suppress(FrameRefused):
            self._judge(peer)

    def _forget(self, peer: str) -> None:
        self._complaints.pop(peer, None)
        self._said.pop(peer, None)
        self._members.discard(peer)
        self._acquaintances.discard(peer)

    def _judge(self, peer: str) -> None:
        hello = self._said[peer]
        complaint = self._of_no_member(peer, hello)
        self._members.discard(peer)
        self._acquaintances.discard(peer)
        if not complaint:
            self._members.add(peer)
        elif hello.members_revision > self._peers.revision:
            self._acquaintances.add(peer)
        else:
            self._forget(peer)
            self._complaints[peer] = complaint
            raise FrameRefused(complaint)

    def _of_another(self, peer: str, hello: RaftHello) -> str:
        """Why this can't be a store of this peer and cluster; "" when it can."""
        if hello.cluster_id != self._birth.cluster_id:
            return f"its store belongs to the cluster {hello.cluster_id!r}"
        if hello.member_id != peer:
            return f"its store belongs to the member {hello.member_id!r}"
        if complaint := formats.complaint(hello, self._cluster_format()):
            return complaint
        if complaint := _other_epoch(hello.epoch or EPOCH_FIRST, self._birth.epoch):
            return complaint
        if not hello.store_id or hello.store_id == self._birth.store_id:
            return "its store has no id of its own: it is a copy"
        return self._lives.complaint(hello)

    def _of_no_member(self, peer: str, hello: RaftHello) -> str:
        """Why this is not a member that we know; "" when it is."""
        if peer not in self._peers:
            return NO_MEMBER
        known = self.store_of(peer) or hello.store_id
        if hello.store_id != known:
            return f"its store is {hello.store_id!r}, we know it with {known!r}: it must not vote"
        if known != known_store(self._transaction.reader, self._meta, peer):
            remember_store(self._transaction.writer, self._meta, peer, known)
        return ""


def _other_epoch(theirs: int, ours: int) -> str:
    """A store of another epoch holds what a restore or a recovery has taken back, or does not hold
    what came after; "" when it is of ours."""
    if theirs == ours:
        return ""
    return (
        f"its store is of epoch {theirs}, ours of epoch {ours}: the member with the earlier one "
        "has to join again (diegod bbs join)"
    )
