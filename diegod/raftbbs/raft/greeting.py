"""Whose store speaks: the first frame on a connection says it, and it must be the one we know.

A certificate proves who a peer is, not that it still has its store. A member whose disk was lost
has forgotten its votes and entries; if it took part under its old name, what was committed with its
help could be lost. So the first store id that a voter says is remembered, and another one is
refused, with everything it sends.
"""

from collections.abc import Callable

from diegod.internal.v1.raft_pb2 import RaftFrame, RaftHello
from diegod.raftbbs.raft import formats
from diegod.raftbbs.raft.frames import FrameRefused
from diegod.raftbbs.raft.lives import Lives
from diegod.raftbbs.raft.step_transaction import StepTransaction
from diegod.raftbbs.store.environment import Environment
from diegod.raftbbs.store.identity import META_TABLE, STORE_FORMAT, Birth


class Greeting:
    """Which peers have said who they are, and are who they were."""

    def __init__(
        self,
        birth: Birth,
        environment: Environment,
        transaction: StepTransaction,
        cluster_format: Callable[[], int],
        lives: Lives,
    ) -> None:
        self._birth = birth
        self._cluster_format = cluster_format
        self._lives = lives
        self._meta = environment.table(META_TABLE)
        self._transaction = transaction
        self._greeted: set[str] = set()
        self._reads: dict[str, int] = {}  # the latest format that a greeted peer can read

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
                life=self._lives.life,
                process=self._lives.process,
            )
        )

    def knows(self, peer: str) -> bool:
        """Whether a peer has said, and rightly, whose store it has."""
        return peer in self._greeted

    def reads(self, peer: str) -> int:
        """The latest format that a peer can read; 0 while it is not known."""
        return self._reads[peer] if self.knows(peer) else 0

    def require(self, peer: str) -> None:
        """Refuse a frame of a peer that this member does not know."""
        if not self.knows(peer):
            raise FrameRefused("it has not said hello")

    def receive(self, peer: str, hello: RaftHello) -> None:
        """Take a hello; remember the store of a voter that we meet for the first time."""
        self._greeted.discard(peer)
        key = b"store/" + peer.encode()
        known = self._transaction.reader.get(self._meta, key)
        store_id = known.decode() if known is not None else None
        if complaint := self._complaint(peer, hello, store_id):
            raise FrameRefused(complaint)
        if store_id is None:
            self._transaction.writer.put(self._meta, key, hello.store_id.encode())
        self._greeted.add(peer)
        self._lives.met(hello)
        self._reads[peer] = formats.reads(hello)

    def _complaint(self, peer: str, hello: RaftHello, known: str | None) -> str:
        """Why this is not the peer we know; "" when it is."""
        if hello.cluster_id != self._birth.cluster_id:
            return f"its store belongs to the cluster {hello.cluster_id!r}"
        if hello.member_id != peer:
            return f"its store belongs to the member {hello.member_id!r}"
        if complaint := formats.complaint(hello, self._cluster_format()):
            return complaint
        if not hello.store_id or hello.store_id == self._birth.store_id:
            return "its store has no id of its own: it is a copy"
        if known is not None and hello.store_id != known:
            return f"its store is {hello.store_id!r}, we know it with {known!r}: it must not vote"
        return self._lives.complaint(hello)
