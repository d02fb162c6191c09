"""Every message between the library and its peers: checked, corrected, and bounded.

Inward, a frame is refused, answered here, or handed to the library in a form that can do no harm.
Outward, what the library says is completed with what it leaves out (the term and the round that an
acknowledgement belongs to) and corrected where it claims too much. Frames are collected here; the
engine releases them after the commit.
"""

from collections.abc import Callable
from typing import Any

from diegod.internal.v1.command_pb2 import Members
from diegod.internal.v1.raft_pb2 import (
    AppendEntries,
    AppendReply,
    Quarantine,
    RaftFrame,
    SnapshotOffer,
)
from diegod.raftbbs.raft import frames
from diegod.raftbbs.raft.api import Fatal, Limits, Refusal
from diegod.raftbbs.raft.append import Retry, Take, reconcile
from diegod.raftbbs.raft.comparing import Comparing
from diegod.raftbbs.raft.confirmations import Confirmations, View
from diegod.raftbbs.raft.elections import Elections
from diegod.raftbbs.raft.fetching import Fetching
from diegod.raftbbs.raft.flow import Flow
from diegod.raftbbs.raft.frames import FrameRefused
from diegod.raftbbs.raft.greeting import Greeting
from diegod.raftbbs.raft.guarded import DUE, Library, Message
from diegod.raftbbs.raft.journal import FIRST_INDEX, Journal
from diegod.raftbbs.raft.peers import Peers
from diegod.raftbbs.raft.serving import Serving
from diegod.raftbbs.store.identity import STORE_FORMAT


class Outbox:
    """Frames of the current step, in order; only to peers that are connected."""

    def __init__(self) -> None:
        self.connected: set[str] = set()
        self.frames: list[tuple[str, RaftFrame]] = []

    def send(self, peer: str, frame: RaftFrame) -> bool:
        """Keep a frame for the end of the step; False when there is no connection for it."""
        if peer not in self.connected:
            return False
        self.frames.append((peer, frame))
        return True

    def take(self) -> list[tuple[str, RaftFrame]]:
        """All frames, peer by peer: the library walks through sets, whose order is not ours."""
        taken, self.frames = self.frames, []
        taken.sort(key=lambda item: item[0])
        return taken


class Gate:
    """The door of one member. Its first three attributes are set when all parts are made."""

    library: Library
    elections: Elections
    view: Callable[[], View]

    def __init__(
        self,
        peers: Peers,
        journal: Journal,
        greeting: Greeting,
        confirmations: Confirmations,
        outbox: Outbox,
        limits: Limits,
        serving: Serving,
        fetching: Fetching,
        comparing: Comparing,
    ) -> None:
        self._peers = peers
        self._limits = limits
        self._journal = journal
        self._greeting = greeting
        self._confirmations = confirmations
        self._outbox = outbox
        self._serving = serving
        self._fetching = fetching
        self._comparing = comparing
        self._behind: set[str] = set()  # peers that lack entries from before our log begins
        self._flows = {peer: Flow(limits.in_flight_bytes) for peer in peers.all}
        self._rewound: dict[str, int] = {}
        self._held: list[str] = []
        self._handling: tuple[AppendEntries, Take | Retry] | None = None
        self._led_term = 0
        self.round = 0
        """The number of the last round that was sent; frames of this step carry the next one."""
        self._round_used = False
        self.refused: list[Refusal] = []
        self._strangers: dict[str, str] = {}  # members whose hello was refused, and why

    # Connections.

    def connected(self, peer: str) -> None:
        """Frames to this peer arrive again: begin with a hello."""
        self._reset(peer)
        self._outbox.connected.add(peer)
        self._outbox.send(peer, self._greeting.hello())
        self._open(peer)

    def disconnected(self, peer: str) -> None:
        self._outbox.connected.discard(peer)
        self._reset(peer)
        self.library.disconnect(peer)

    def _open(self, peer: str) -> None:
        """Let the library send to a peer that is connected and known."""
        if peer in self._outbox.connected and self._greeting.knows(peer):
            self.library.connect(peer)

    def _reset(self, peer: str) -> None:
        if peer in self._flows:
            self._flows[peer].clear()
        self._rewound.pop(peer, None)
        self._behind.discard(peer)
        self._fetching.lost(peer)
        self._confirmations.lost(peer)
        self._comparing.forget(peer)

    def readable_format(self) -> int:
        """The latest format that every member can read; 0 unless all are connected and known."""
        known = [
            self._greeting.reads(peer) if peer in self._outbox.connected else 0
            for peer in self._flows
        ]
        return min(known, default=STORE_FORMAT)

    def alarms(self) -> tuple[str, ...]:
        """Members whose certificate is right and whose store or release is not. Who is no member
        any more is refused without an alarm: nothing that it does would end it."""
        return tuple(f"{peer} is refused: {why}" for peer, why in sorted(self._strangers.items()))

    def follow(self, members: Members) -> None:
        """Go by this record of members. Who has another store than before is another member."""
        peers, greeting = self._peers, self._greeting
        before = {peer: greeting.store_of(peer) for peer in peers.all}
        peers.set(members)
        after = {peer: greeting.store_of(peer) for peer in peers.all}
        same = [peer for peer in before if after.get(peer) == before[peer]]
        self._strangers = {peer: self._strangers[peer] for peer in same if peer in self._strangers}
        self.library.set_peers(peers.voters, peers.learners, same)
        for peer in before:
            if peer not in same:
                del self._flows[peer]
                self._reset(peer)
                self._confirmations.forget(peer)
        for peer in peers.all:
            self._flows.setdefault(peer, Flow(self._limits.in_flight_bytes))
        self._held = [peer for peer in self._held if peer in same]
        for peer in greeting.said:
            greeting.judge_again(peer)
            if not greeting.knows(peer):
                self.library.disconnect(peer)
            elif peer not in self._held:
                self._open(peer)

    # Inward.

    def receive(self, peer: str, frame: RaftFrame, now: float) -> None:
        """Take one frame of an authenticated peer, or refuse it."""
        try:
            kind = frames.check(frame)
            if kind == "hello":
                self._on_hello(peer, frame)
            elif self._greeting.counts(peer, kind):
                self._dispatch(kind, peer, frame, now)
        except FrameRefused as refusal:
            self.refused.append(Refusal(peer, str(refusal)))

    def _on_hello(self, peer: str, frame: RaftFrame) -> None:
        self.library.disconnect(peer)
        try:
            self._greeting.receive(peer, frame.hello)
        except FrameRefused as refusal:
            if peer in self._peers:
                self._strangers[peer] = str(refusal)
            raise
        self._strangers.pop(peer, None)
        self._open(peer)

    def _dispatch(self, kind: str, peer: str, frame: RaftFrame, now: float) -> None:
        if kind == "append_entries":
            self._on_append(peer, frame.append_entries, now)
        elif kind == "append_reply":
            self._on_append_reply(peer, frame.append_reply, now)
        elif kind == "read_index_request":
            self._confirmations.on_request(peer, frame.read_index_request, self.view())
        elif kind == "read_index_reply":
            self._confirmations.on_reply(peer, frame.read_index_reply)
        elif kind == "snapshot_offer":
            self._on_offer(peer, frame.snapshot_offer, now)
        elif kind == "snapshot_request":
            if piece := self._serving.piece(frame.snapshot_request, now):
                self._outbox.send(peer, piece)
        elif kind == "snapshot_chunk":
            self._fetching.on_chunk(peer, frame.snapshot_chunk, now)
        elif kind == "quarantine":
            self._on_quarantine(peer, frame.quarantine)
        else:
            handle: Callable[[str, Any, float], None] = getattr(self.elections, f"on_{kind}")
            handle(peer, getattr(frame, kind), now)

    def _on_append(self, peer: str, message: AppendEntries, now: float) -> None:
        library = self.library
        if message.term < library.term:
            self._outbox.send(peer, frames.stale_term(library.term))
            return
        if message.term == library.term and library.leader_id not in ("", peer):
            raise FrameRefused(f"{library.leader_id} already leads in its term {message.term}")
        verdict = reconcile(self._journal, library.commit_index, message)
        self.elections.heard_leader(now)
        self._handling = message, verdict
        try:
            library.deliver(peer, _for_library(message, verdict))
        finally:
            self._handling = None

    def _on_offer(self, peer: str, offer: SnapshotOffer, now: float) -> None:
        """Fetch only from the leader of our term; whoever else offers has not heard of it yet."""
        if offer.term == self.library.term and peer == self.library.leader_id:
            self._fetching.on_offer(peer, offer, now)

    def _on_quarantine(self, peer: str, told: Quarantine) -> None:
        if told.term == self.library.term and peer == self.library.leader_id:
            self._comparing.on_quarantine(told)

    def _on_append_reply(self, peer: str, reply: AppendReply, now: float) -> None:
        """Count a reply only in the term that it belongs to (F2)."""
        library, end = self.library, self._journal.last_index + 1
        if not library.leads or reply.term != library.term:
            return
        if reply.success and reply.next_index > end:
            raise Fatal(f"{peer} acknowledges entries up to {reply.next_index - 1} of {end - 1}")
        if not FIRST_INDEX < reply.next_index <= end or reply.round > self.round:
            raise FrameRefused(f"a reply for {reply.next_index} in round {reply.round}")
        if reply.hash_index >= end:
            raise FrameRefused(f"a state at entry {reply.hash_index} of {end - 1}")
        self._confirmations.echoed(peer, reply.round)
        self._comparing.on_reply(peer, reply, library.term)
        if reply.reset and reply.next_index <= self._journal.first_index:
            self._leave_behind(peer, reply, now)
        elif reply.reset:
            self._rewind(peer, reply)
        else:
            self._advance(peer, reply)

    def _rewind(self, peer: str, reply: AppendReply) -> None:
        """Go back to what the peer lacks; once, though each frame on its way gets such a reply."""
        self._behind.discard(peer)
        repeated = reply.round <= self._rewound.get(peer, -1)
        if not repeated:
            self._rewound[peer] = self.round
            self._flows[peer].clear()
            self.library.heartbeat_at = DUE  # send what it lacks with this step
        self.library.deliver(peer, _reply_for_library(reply, reset=not repeated))

    def _leave_behind(self, peer: str, reply: AppendReply, now: float) -> None:
        """What the peer lacks is no longer in the log: nothing but heartbeats, and our state.

        It counts as matching nothing until it acknowledges entries by itself (F1, F6).
        """
        library = self.library
        self._behind.add(peer)
        self._flows[peer].clear()
        library.deliver(peer, _reply_for_library(reply, reset=False))
        library.set_next_index(peer, self._journal.first_index + 1)
        if offer := self._serving.offer(library.term, now):
            self._outbox.send(peer, offer)

    def _advance(self, peer: str, reply: AppendReply) -> None:
        """Take an acknowledgement, and don't send again what is on its way behind it."""
        library, flow = self.library, self._flows[peer]
        self._behind.discard(peer)
        sent_up_to, had_room = library.next_index(peer), flow.has_room
        library.deliver(peer, _reply_for_library(reply, reset=False))
        library.set_next_index(peer, max(sent_up_to, reply.next_index))
        if reply.success:
            flow.acknowledged(reply.next_index - 1)
        if flow.has_room and not had_room:
            library.heartbeat_at = DUE  # go on with this step

    # Outward.

    def outgoing(self, peer: str, message: Message) -> bool:
        """The library sends: complete, correct and collect it."""
        kind = message["type"]
        if kind == "append_entries":
            return self._append_out(peer, message)
        if kind == "next_node_idx":
            self._outbox.send(peer, self._comparing.complete(self._reply_out(message)))
        elif kind == "request_vote":
            self._outbox.send(peer, self.elections.vote_request(message))
        elif kind == "response_vote":
            self._outbox.send(peer, frames.vote_reply(message["term"]))
        else:
            raise Fatal(f"the library wants to send {kind!r}")
        return True

    def _append_out(self, peer: str, message: Message) -> bool:
        if message.get("prevLogIdx") is None:
            raise Fatal(f"the library has no previous entry for {peer}")
        if message["term"] != self._led_term:
            self._begin_leadership(message["term"])
        entries, flow = message["entries"], self._flows[peer]
        if entries and (peer in self._behind or not flow.has_room):
            self._hold(peer, entries[0][1])
            entries = []
        elif entries:
            flow.sent(entries[-1][1], sum(len(entry[0]) for entry in entries))
        self._round_used = True
        self._outbox.send(peer, frames.append_entries(message, entries, self.round + 1))
        return True

    def _reply_out(self, message: Message) -> RaftFrame:
        """A reply to the append that is being handled, with no more in it than that proved (F3)."""
        if self._handling is None:
            raise Fatal("the library replies to no append")
        append, verdict = self._handling
        if isinstance(verdict, Take) != bool(message["success"]):
            raise Fatal(f"the library answers {message} to what was judged as {verdict}")
        if isinstance(verdict, Take):
            return frames.append_reply(append.term, verdict.match + 1, append.round, success=True)
        return frames.append_reply(append.term, verdict.next_index, append.round, reset=True)

    def _begin_leadership(self, term: int) -> None:
        self._led_term = term
        self._behind.clear()
        self._confirmations.begin_leadership()
        self._comparing.begin_leadership()
        for flow in self._flows.values():
            flow.clear()

    def _hold(self, peer: str, next_index: int) -> None:
        """Send no more entries to a peer in this step: take the library's step forward back."""
        self.library.set_next_index(peer, next_index)
        self.library.disconnect(peer)
        self._held.append(peer)

    # Steps.

    def end_step(self) -> None:
        """Close the round of this step, and let the library see the peers that were held."""
        if self._round_used:
            self.round += 1
            self._round_used = False
        for peer in self._held:
            self._open(peer)
        self._held.clear()


def _for_library(message: AppendEntries, verdict: Take | Retry) -> Message:
    """The append as the library gets it. With `Retry` it finds for itself that it can't take it."""
    if isinstance(verdict, Retry):
        verdict = Take(message.previous_index, message.previous_term, (), 0, commit_index=0)
    return {
        "type": "append_entries",
        "term": message.term,
        "commit_index": verdict.commit_index,
        "prevLogIdx": verdict.previous_index,
        "prevLogTerm": verdict.previous_term,
        "entries": [(entry.command, entry.index, entry.term) for entry in verdict.entries],
    }


def _reply_for_library(reply: AppendReply, *, reset: bool) -> Message:
    return {
        "type": "next_node_idx",
        "next_node_idx": reply.next_index,
        "reset": reset,
        "success": reply.success,
    }
