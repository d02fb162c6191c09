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

When members change (`peers`):

* Only a voter campaigns, and only when it has applied all that it knows to be committed: so it is
  never further than one change of members behind whoever might lead elsewhere.
* Whoever is asked votes, also a learner: it may have been made a voter without its knowing, and be
  needed. Whoever asks counts the votes of those that are voters by its own record.
* A voter that its leader gives the leadership to campaigns at once, and is elected though the
  others hear their leader still.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from diegod.internal.v1.raft_pb2 import (
    PreVoteReply,
    PreVoteRequest,
    RaftFrame,
    StaleTerm,
    TimeoutNow,
    VoteReply,
    VoteRequest,
)
from diegod.raftbbs.raft import frames
from diegod.raftbbs.raft.api import Timing
from diegod.raftbbs.raft.guarded import Library, Message
from diegod.raftbbs.raft.journal import Journal
from diegod.raftbbs.raft.peers import Peers

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
        self, library: Library, journal: Journal, peers: Peers, timing: Timing, send: Send
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
        self._called: tuple[int, float] | None = None  # to campaign: in which term, until when
        self._transfer_term = 0

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
        elif request.transfer or not self._is_loyal(now):
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
        if peer in self._peers.voters and peer not in self._voters:
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

    def on_timeout_now(self, peer: str, message: TimeoutNow, now: float) -> None:
        """Our leader gives us its leadership, as soon as we may campaign."""
        library = self._library
        if message.term == library.term and peer == library.leader_id and not library.leads:
            self._called = message.term, now + self._timing.election_max_s

    # What goes out.

    def vote_request(self, message: Message) -> RaftFrame:
        """The library's request; it says so when the leader of the last term asked for it."""
        return frames.vote_request(message, transfer=message["term"] == self._transfer_term)

    # What time brings.

    def before_tick(self, now: float) -> None:
        """Let the library campaign, or ask for pre-votes, when its deadline has passed."""
        library = self._library
        if library.leads:
            self._pre_vote = self._called = None
        elif not self._may_campaign():
            self._pre_vote = None
            self._wait(now)
        elif self._is_called(now):
            self._transfer_term = library.term + 1
            self._campaign(now)
        elif self._peers.is_alone:
            if library.election_deadline <= now:
                self._campaign(now)
        elif self._has_support(now):
            self._campaign(now)
        elif library.election_deadline <= now:
            self._ask(now)

    def after_tick(self, now: float) -> None:
        """A campaign that the library did not begin, with nobody connected, is put off."""
        if not self._library.leads:
            self._put_off(now)

    def _wait(self, now: float) -> None:
        """Keep the library from campaigning: a voter until it has applied what it has to."""
        if self._peers.votes:
            self._library.election_deadline = max(self._library.election_deadline, now)
        else:
            self._put_off(now)

    def _put_off(self, now: float) -> None:
        if self._library.election_deadline <= now:
            self._library.election_deadline = now + self._library.new_election_timeout()

    def _may_campaign(self) -> bool:
        """Who does not vote never does, nor does who may not know yet who votes."""
        library = self._library
        return self._peers.votes and library.applied_index == library.commit_index

    def _is_called(self, now: float) -> bool:
        """Whether the leader of this very term has called upon us, a moment ago."""
        called, library = self._called, self._library
        if called is not None and (called[0] != library.term or now > called[1]):
            called = self._called = None
        return called is not None

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
        return self._peers.is_majority(pre_vote.supporters)

    def _ask(self, now: float) -> None:
        library, journal = self._library, self._journal
        self._pre_vote = _PreVote(library.term, now + self._timing.election_max_s)
        library.election_deadline = now + library.new_election_timeout()
        request = frames.pre_vote_request(library.term, journal.last_term, journal.last_index)
        for peer in self._peers.voters:
            self._send(peer, request)

    def _campaign(self, now: float) -> None:
        """The library campaigns with its next tick when its deadline is in the past."""
        self._pre_vote = self._called = None
        self._library.election_deadline = now - 1
