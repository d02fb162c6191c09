"""Who may become leader: pre-votes, votes counted once, and loyalty to a leader that is heard.

The library would campaign, and raise the term, whenever its deadline passes, and it counts votes
without looking who sent them (F8, F9). Here:

* A member whose deadline has passed first asks who would vote for it. The library gets to see the
  deadline only when a majority would, so a member that was cut off does not disturb the others.
* A member that heard a leader within `election_min_s` votes for nobody; a leader votes for nobody.
* **A pre-vote of a lower term is answered with our term, which the sender adopts.** Otherwise a
  member with the longer log and the lower term, and one with the shorter log and the higher term,
  would refuse each other for ever.
* A voter's vote counts once a term.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from diegod.internal.v1.raft_pb2 import (
    PreVoteReply,
    PreVoteRequest,
    RaftFrame,
    StaleTerm,
    VoteReply,
    VoteRequest,
)
from diegod.raftbbs.raft import frames
from diegod.raftbbs.raft.api import Timing
from diegod.raftbbs.raft.guarded import Library
from diegod.raftbbs.raft.journal import Journal

Send = Callable[[str, RaftFrame], bool]
_NEVER = float("-inf")


@dataclass(slots=True)
class _PreVote:
    """An inquiry in progress: who would vote for us in the term after this one."""

    term: int
    until: float
    supporters: set[str] = field(default_factory=set)


class Elections:
    """The part of the gate that has to do with votes."""

    def __init__(
        self, library: Library, journal: Journal, peers: tuple[str, ...], timing: Timing, send: Send
    ) -> None:
        self._library = library
        self._journal = journal
        self._peers = peers
        self._timing = timing
        self._send = send
        self._heard_leader_at = _NEVER
        self._pre_vote: _PreVote | None = None
        self._voted_term = 0
        self._voters: set[str] = set()  # whose vote of that term was counted

    def leader_id(self, now: float) -> str:
        """The leader, if it was heard lately or is this member; else ""."""
        fresh = now - self._heard_leader_at <= self._timing.election_max_s
        return self._library.leader_id if fresh or self._library.leads else ""

    def heard_leader(self, now: float) -> None:
        """A leader of the current term has spoken."""
        self._heard_leader_at = now

    # What comes in.

    def on_vote_request(self, peer: str, request: VoteRequest, now: float) -> None:
        library = self._library
        if request.term < library.term:
            self._send(peer, frames.stale_term(library.term))
        elif not self._is_loyal(now):
            library.deliver(
                peer,
                {
                    "type": "request_vote",
                    "term": request.term,
                    "last_log_term": request.last_log_term,
                    "last_log_index": request.last_log_index,
                },
            )

    def on_vote_reply(self, peer: str, reply: VoteReply, now: float) -> None:
        if reply.term != self._library.term:
            return
        if self._voted_term != reply.term:
            self._voted_term, self._voters = reply.term, set()
        if peer not in self._voters:
            self._voters.add(peer)
            self._library.deliver(peer, {"type": "response_vote", "term": reply.term})

    def on_pre_vote_request(self, peer: str, request: PreVoteRequest, now: float) -> None:
        if request.term < self._library.term:
            self._send(peer, frames.stale_term(self._library.term))
        elif not self._is_loyal(now) and self._is_complete(request):
            self._send(peer, frames.pre_vote_reply(request.term))

    def on_pre_vote_reply(self, peer: str, reply: PreVoteReply, now: float) -> None:
        if self._pre_vote is not None and self._pre_vote.term == reply.term:
            self._pre_vote.supporters.add(peer)

    def on_stale_term(self, peer: str, stale: StaleTerm, now: float) -> None:
        """A peer is in a later term: follow there, and leave the campaign to others first."""
        if stale.term > self._library.term:
            self._library.enter_term(stale.term)
            self._library.election_deadline = now + self._library.new_election_timeout()

    # What time brings.

    def before_tick(self, now: float) -> None:
        """Let the library campaign, or ask for pre-votes, when its deadline has passed."""
        library = self._library
        if library.leads:
            self._pre_vote = None
        elif not self._peers:
            if library.election_deadline <= now:
                self._campaign(now)
        elif self._has_support(now):
            self._campaign(now)
        elif library.election_deadline <= now:
            self._ask(now)

    def after_tick(self, now: float) -> None:
        """A campaign that the library did not begin, with nobody connected, is put off."""
        if not self._library.leads and self._library.election_deadline <= now:
            self._library.election_deadline = now + self._library.new_election_timeout()

    def _is_loyal(self, now: float) -> bool:
        """Whether this member leads, or heard its leader so lately that it elects no other."""
        heard_for = now - self._heard_leader_at
        return self._library.leads or heard_for < self._timing.election_min_s

    def _is_complete(self, request: PreVoteRequest) -> bool:
        """Whether the other log has all of ours: the rule by which a vote would be given."""
        theirs = (request.last_log_term, request.last_log_index)
        return theirs >= (self._journal.last_term, self._journal.last_index)

    def _has_support(self, now: float) -> bool:
        """Whether a majority would vote for us, still."""
        pre_vote = self._pre_vote
        if pre_vote is None:
            return False
        if pre_vote.term != self._library.term or now > pre_vote.until or self._is_loyal(now):
            self._pre_vote = None
            return False
        return len(pre_vote.supporters) + 1 > (len(self._peers) + 1) / 2

    def _ask(self, now: float) -> None:
        library, journal = self._library, self._journal
        self._pre_vote = _PreVote(library.term, now + self._timing.election_max_s)
        library.election_deadline = now + library.new_election_timeout()
        request = frames.pre_vote_request(library.term, journal.last_term, journal.last_index)
        for peer in self._peers:
            self._send(peer, request)

    def _campaign(self, now: float) -> None:
        """The library campaigns with its next tick when its deadline is in the past."""
        self._pre_vote = None
        self._library.election_deadline = now - 1
