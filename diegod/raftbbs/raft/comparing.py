"""Members compare the hashes of their states, and one whose state is wrong leaves.

A follower says with each acknowledgement what its state hashed to at the last index at which states
are compared. The leader says so to itself, and judges (`raftbbs.core.agreement`): a follower that
differs from a majority is told to leave, a leader that differs leaves by itself. Leaving is an
exception that ends the step, hence the process: what is wrong is neither served nor passed on.

Nobody is told anything before the cluster has a format in which all members compute the same hash;
the state says that by having none. Does not belong here: what a state is.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

from diegod.internal.v1.raft_pb2 import AppendReply, Quarantine, RaftFrame
from diegod.raftbbs.core.agreement import Agreement, Comparison, Judgement
from diegod.raftbbs.raft import frames
from diegod.raftbbs.raft.api import Quarantined
from diegod.raftbbs.raft.step_transaction import StepTransaction
from diegod.raftbbs.store.environment import ReadTransaction


class ReplicatedState(Protocol):
    """What the log must know of the state that its entries make."""

    def cluster_format(self, transaction: ReadTransaction) -> int:
        """What every member can read."""

    def last_comparison(self, transaction: ReadTransaction) -> Comparison | None:
        """At the last index at which states are compared; None: they are not."""

    def comparison(self, transaction: ReadTransaction, index: int) -> Comparison | None:
        """At this index, if it is still known."""


class Uncompared:
    """A state without hashes: for tests of the log alone."""

    def cluster_format(self, transaction: ReadTransaction) -> int:
        return 1

    def last_comparison(self, transaction: ReadTransaction) -> Comparison | None:
        return None

    def comparison(self, transaction: ReadTransaction, index: int) -> Comparison | None:
        return None


Send = Callable[[str, RaftFrame], bool]


class Comparing:
    """What this member's state hashed to, and as a leader, what the others said of theirs."""

    def __init__(
        self,
        member_id: str,
        voters: Callable[[], Sequence[str]],
        state: ReplicatedState,
        transaction: StepTransaction,
        send: Send,
    ) -> None:
        self._member_id = member_id
        self._voters = voters
        self._state = state
        self._transaction = transaction
        self._send = send
        self._agreement = Agreement()
        self._alarms: tuple[str, ...] = ()
        self.cluster_format = state.cluster_format(transaction.reader)
        self.last = state.last_comparison(transaction.reader)

    def look(self, *, leads: bool, term: int) -> None:
        """After entries were applied: what the state is now."""
        reader = self._transaction.reader
        self.cluster_format = self._state.cluster_format(reader)
        last, self.last = self.last, self._state.last_comparison(reader)
        if leads and self.last is not None and self.last != last:
            self._agreement.says(self._member_id, self.last)
            self._judge(term)

    # A follower.

    def complete(self, reply: RaftFrame) -> RaftFrame:
        """An acknowledgement, with what this member's state hashed to."""
        if self.last is not None:
            reply.append_reply.hash_index = self.last.index
            reply.append_reply.hash = self.last.state_hash
        return reply

    def on_quarantine(self, told: Quarantine) -> None:
        """The leader of our term says that our state is wrong: if so, leave."""
        own = self._state.comparison(self._transaction.reader, told.hash_index)
        if own is not None and own.state_hash != told.hash:
            raise Quarantined(own.index, own.state_hash, told.hash)

    # A leader.

    def begin_leadership(self) -> None:
        """What was said to an earlier leadership may be of other stores."""
        self._agreement.clear()
        self._alarms = ()

    def forget(self, peer: str) -> None:
        """The connection to a peer is gone; the next one may be to another store."""
        self._agreement.forget(peer)
        self._sum_up()

    def on_reply(self, peer: str, reply: AppendReply, term: int) -> None:
        """A follower said, perhaps again, what its state hashed to."""
        if not reply.hash:
            return
        said = Comparison(reply.hash_index, reply.hash)
        if not self._agreement.says(peer, said):
            return
        if not self._agreement.has_heard(self._member_id, said.index):
            own = self._state.comparison(self._transaction.reader, said.index)
            if own is not None:
                self._agreement.says(self._member_id, own)
        self._judge(term)

    def alarms(self, *, leads: bool) -> tuple[str, ...]:
        """What an operator should know: how members differ, at the newest index where they do."""
        return self._alarms if leads else ()

    def _judge(self, term: int) -> None:
        """Whoever is wrong, this member itself last, has to leave."""
        judgements = self._sum_up()
        for judgement in judgements:
            for member in judgement.wrong:
                if member != self._member_id:
                    told = frames.quarantine(term, judgement.index, judgement.agreed or b"")
                    self._send(member, told)
        for judgement in judgements:
            if self._member_id in judgement.wrong:
                own = self._state.comparison(self._transaction.reader, judgement.index)
                digest = own.state_hash if own is not None else b""
                raise Quarantined(judgement.index, digest, judgement.agreed or b"")

    def _sum_up(self) -> list[Judgement]:
        judgements = list(self._agreement.judgements(self._voters()))
        found = [text for text in map(_alarm, judgements) if text]
        self._alarms = tuple(found[:1])
        return judgements


def _alarm(judgement: Judgement) -> str:
    if judgement.undecided:
        return (
            f"the states of {' and '.join(judgement.undecided)} differ at entry "
            f"{judgement.index}, and no majority says which is right: start the other members, "
            "they decide"
        )
    if judgement.wrong:
        return (
            f"the state of {' and '.join(judgement.wrong)} at entry {judgement.index} is not the "
            "majority's: it was told to leave"
        )
    return ""
