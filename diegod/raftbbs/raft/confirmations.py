"""Proof of leadership by rounds of heartbeats: linearizable reads on any member, and leases.

Every append carries the number of its round; a follower's reply echoes it. When a majority has
echoed a round, the leader was the leader at some moment after that round began, so whatever was
asked before the round may be answered:

* a read on the leader: its commit index at the time of asking, and at least its own first entry,
  because before that is committed it may not know what earlier leaders committed;
* a read on a follower, which asks the leader for that index and waits until it has applied it;
* a confirmation, for whoever must not act on leadership that is lost: leases.

What can't be answered fails: no leader, another leader, or the time limit.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum

from diegod.internal.v1.raft_pb2 import RaftFrame, ReadIndexReply, ReadIndexRequest
from diegod.raftbbs.raft import frames
from diegod.raftbbs.raft.api import Confirmation, ReadAnswer
from diegod.raftbbs.raft.peers import Peers

Send = Callable[[str, RaftFrame], bool]


@dataclass(frozen=True, slots=True)
class View:
    """The engine's state at one point of a step."""

    now: float
    leads: bool
    leader_id: str
    term: int
    commit_index: int
    applied_index: int
    noop_index: int
    round: int  # the one that frames of this step carry


class _Purpose(Enum):
    READ = "a read on this member"
    PEER_READ = "a read on a peer"
    CONFIRMATION = "a proof of leadership"


@dataclass(frozen=True, slots=True)
class _Waiting:
    """On a leader: waits for its round, and a read for the index to be applied."""

    purpose: _Purpose
    id: int
    peer: str
    term: int
    round: int
    index: int
    until: float


@dataclass(frozen=True, slots=True)
class _Asked:
    """On a follower: reads that one request to the leader serves."""

    leader_id: str
    ids: tuple[int, ...]
    until: float


@dataclass(frozen=True, slots=True)
class _Catching:
    """On a follower: reads whose index is known, and not yet applied here."""

    index: int
    ids: tuple[int, ...]
    until: float


class Confirmations:
    """Requests for proof, in the order in which they came."""

    def __init__(
        self, peers: Peers, limit_s: float, first_request_id: int, send: Send
    ) -> None:
        self._peers = peers
        self._limit_s = limit_s
        self._send = send
        self._next_request_id = first_request_id
        self._echoed: dict[str, int] = {}
        self._waiting: list[_Waiting] = []
        self._asked: dict[int, _Asked] = {}
        self._catching: list[_Catching] = []
        self.reads: list[ReadAnswer] = []
        self.confirmations: list[Confirmation] = []

    # What is asked.

    def read(self, ids: Sequence[int], view: View) -> None:
        """Linearizable reads that came in before this step."""
        if view.leads:
            for id_ in ids:
                self._wait(_Purpose.READ, id_, "", view)
        elif ids:
            self._ask_leader(ids, view)

    def confirm(self, ids: Sequence[int], view: View) -> None:
        """Requests for a proof of leadership that came in before this step."""
        for id_ in ids:
            if view.leads:
                self._wait(_Purpose.CONFIRMATION, id_, "", view)
            else:
                self.confirmations.append(Confirmation(id_, ok=False))

    def on_request(self, peer: str, request: ReadIndexRequest, view: View) -> None:
        """A follower asks up to where it must have applied before it may answer a read."""
        if view.leads:
            self._wait(_Purpose.PEER_READ, request.id, peer, view)
        else:
            self._send(peer, frames.read_index_reply(request.id, ok=False))

    def on_reply(self, peer: str, reply: ReadIndexReply) -> None:
        """The leader's answer; it counts only if it comes from the leader that was asked."""
        asked = self._asked.get(reply.id)
        if asked is None or asked.leader_id != peer:
            return
        del self._asked[reply.id]
        if reply.ok:
            self._catching.append(_Catching(reply.index, asked.ids, asked.until))
        else:
            self._fail(asked.ids)

    # What is known.

    def begin_leadership(self) -> None:
        """Echoes of earlier leaderships prove nothing about this one."""
        self._echoed.clear()

    def echoed(self, peer: str, round_: int) -> None:
        """A peer echoed a round of the current leadership."""
        self._echoed[peer] = max(self._echoed.get(peer, 0), round_)

    def confirmed_round(self, view: View) -> int:
        """The last round that a majority, this member among it, has echoed."""
        if not view.leads:
            return 0
        voters = self._peers.voters
        if not voters:
            return view.round
        newest_first = sorted((self._echoed.get(voter, 0) for voter in voters), reverse=True)
        return newest_first[(len(voters) + 1) // 2 - 1]

    def forget(self, peer: str) -> None:
        """It is a member no more, or with another store."""
        self._echoed.pop(peer, None)
        self.lost(peer)

    def lost(self, peer: str) -> None:
        """The connection to a peer is gone, with what it asked and what it was asked."""
        self._waiting = [waiting for waiting in self._waiting if waiting.peer != peer]
        for request_id, asked in list(self._asked.items()):
            if asked.leader_id == peer:
                self._fail(asked.ids)
                del self._asked[request_id]

    def needs_round(self, view: View) -> bool:
        """Whether somebody waits for the round of this very step."""
        return any(waiting.round == view.round for waiting in self._waiting)

    def next_deadline(self) -> float:
        """When the first request runs out of time."""
        limits = [waiting.until for waiting in self._waiting]
        limits += [asked.until for asked in self._asked.values()]
        limits += [catching.until for catching in self._catching]
        return min(limits, default=float("inf"))

    # What follows.

    def settle(self, view: View) -> None:
        """Answer all that can be answered, fail all that can't be any more."""
        if self._waiting:
            self._settle_waiting(view)
        if self._asked:
            self._settle_asked(view)
        if self._catching:
            self._settle_catching(view)

    def _settle_waiting(self, view: View) -> None:
        confirmed = self.confirmed_round(view)
        keep = []
        for waiting in self._waiting:
            if not view.leads or waiting.term != view.term or waiting.until <= view.now:
                self._answer(waiting, ok=False)
            elif waiting.round > confirmed or not _is_applied(waiting, view):
                keep.append(waiting)
            else:
                self._answer(waiting, ok=True)
        self._waiting = keep

    def _settle_asked(self, view: View) -> None:
        for request_id, asked in list(self._asked.items()):
            if asked.leader_id != view.leader_id or view.leads or asked.until <= view.now:
                self._fail(asked.ids)
                del self._asked[request_id]

    def _settle_catching(self, view: View) -> None:
        keep = []
        for catching in self._catching:
            if view.applied_index >= catching.index:
                self.reads += [ReadAnswer(id_, True, catching.index) for id_ in catching.ids]
            elif catching.until <= view.now:
                self._fail(catching.ids)
            else:
                keep.append(catching)
        self._catching = keep

    def _ask_leader(self, ids: Sequence[int], view: View) -> None:
        """One request serves all reads of a step."""
        self._next_request_id += 1
        if self._send(view.leader_id, frames.read_index_request(self._next_request_id)):
            until = view.now + self._limit_s
            self._asked[self._next_request_id] = _Asked(view.leader_id, tuple(ids), until)
        else:
            self._fail(ids)

    def _wait(self, purpose: _Purpose, id_: int, peer: str, view: View) -> None:
        index = max(view.commit_index, view.noop_index)
        until = view.now + self._limit_s
        self._waiting.append(_Waiting(purpose, id_, peer, view.term, view.round, index, until))

    def _answer(self, waiting: _Waiting, *, ok: bool) -> None:
        if waiting.purpose is _Purpose.READ:
            self.reads.append(ReadAnswer(waiting.id, ok, waiting.index if ok else 0))
        elif waiting.purpose is _Purpose.CONFIRMATION:
            self.confirmations.append(Confirmation(waiting.id, ok))
        else:
            reply = frames.read_index_reply(waiting.id, ok=ok, index=waiting.index)
            self._send(waiting.peer, reply)

    def _fail(self, ids: Sequence[int]) -> None:
        self.reads += [ReadAnswer(id_, False) for id_ in ids]


def _is_applied(waiting: _Waiting, view: View) -> bool:
    """A read on this member needs the index applied here; whoever else asked waits elsewhere."""
    return waiting.purpose is not _Purpose.READ or view.applied_index >= waiting.index
