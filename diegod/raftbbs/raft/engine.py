"""A member of the replicated log: `step`, and nothing gets out of it before its commit.

One step is one write transaction, hence one flush to disk: new entries, term and vote, commit and
applied index, and the state that applied entries made. Whatever the step has to say (frames,
answers, reads, results) is collected and handed back only when that transaction is durable. A step
that fails says nothing, and the process ends: what is on disk is the end of an earlier step.
"""

from collections.abc import Sequence

from diegod.internal.v1.command_pb2 import Members
from diegod.internal.v1.raft_pb2 import RaftFrame
from diegod.raftbbs.raft.api import (
    COMMAND_BYTES_MAX,
    Answer,
    AnswerStatus,
    Applied,
    ApplyEntry,
    Fatal,
    Leadership,
    Limits,
    MembersOf,
    Proposal,
    Replaced,
    StepResult,
    Timing,
)
from diegod.raftbbs.raft.comparing import Comparing, ReplicatedState, Uncompared
from diegod.raftbbs.raft.confirmations import Confirmations, View
from diegod.raftbbs.raft.elections import Elections
from diegod.raftbbs.raft.fetching import Fetching
from diegod.raftbbs.raft.gate import Gate, Outbox
from diegod.raftbbs.raft.greeting import Greeting
from diegod.raftbbs.raft.guarded import APPLIED, DUE, NOT_APPLIED, Library, moment
from diegod.raftbbs.raft.journal import REGULAR, Journal
from diegod.raftbbs.raft.lives import Lives
from diegod.raftbbs.raft.membership import Membership
from diegod.raftbbs.raft.peers import Peers
from diegod.raftbbs.raft.proven import require_proven
from diegod.raftbbs.raft.serving import Serving
from diegod.raftbbs.raft.shrinking import shrink
from diegod.raftbbs.raft.snapshot import Background, inline, install
from diegod.raftbbs.raft.step_transaction import StepTransaction
from diegod.raftbbs.raft.transfer import Transfer
from diegod.raftbbs.store.environment import Environment, StoreFailed
from diegod.raftbbs.store.identity import Birth
from diegod.raftbbs.store.members import effective
from diegod.raftbbs.store.rekeying import Rekeying
from diegod.world import Ids

_REQUEST_IDS = float(1 << 48)


class Engine:
    """A `ReplicatedLog` on a store that was born as this member's."""

    def __init__(
        self,
        environment: Environment,
        birth: Birth,
        apply_entry: ApplyEntry,
        ids: Ids,
        now: float,
        *,
        members_of: MembersOf = lambda transaction: Members(),
        timing: Timing | None = None,
        limits: Limits | None = None,
        background: Background = inline,
        state: ReplicatedState | None = None,
    ) -> None:
        require_proven()
        self._timing, self._limits = timing or Timing(), limits or Limits()
        self._birth = birth
        self._apply_entry, self._members_of = apply_entry, members_of
        self._ids = ids
        self._now = now
        self._failed = False
        self._is_due = self._members_changed = self._shrinking = False
        self._shrinking_notices: list[str] = []
        self._asking: list[int] = []
        self._transferring: list[tuple[int, str]] = []
        self._open: dict[int, float] = {}
        self._answers: list[Answer] = []
        self._applied: list[Applied] = []
        self._environment = environment
        self.rekeying = Rekeying(environment)
        self._transaction = StepTransaction(environment)
        self._journal = Journal(environment, self._transaction, self._limits)
        self._outbox = Outbox()
        copying = environment, self._journal, background, self._timing, self._limits
        self._serving = Serving(*copying)
        self._fetching = Fetching(*copying, self._outbox.send)
        self._comparing = Comparing(
            birth.member_id,
            lambda: self._peers.all_voters,
            state or Uncompared(),
            self._transaction,
            self._outbox.send,
        )
        self._join(environment, birth, now)

    def _join(self, environment: Environment, birth: Birth, now: float) -> None:
        """Make the parts, and make durable what a first start begins with."""
        members = self._record()
        self._peers = Peers(birth.member_id, birth.store_id, members)
        # Request ids begin at a random number: a reply to an earlier life of this process is none.
        self._confirmations = Confirmations(
            self._peers,
            self._timing.read_limit_s,
            int(self._ids.uniform(1, _REQUEST_IDS)),
            self._outbox.send,
        )
        self._gate = Gate(
            self._peers,
            self._journal,
            Greeting(
                birth,
                environment,
                self._transaction,
                self._peers,
                lambda: self._comparing.cluster_format,
                Lives(environment, self._transaction, int(self._ids.uniform(1, _REQUEST_IDS))),
            ),
            self._confirmations,
            self._outbox,
            self._limits,
            self._serving,
            self._fetching,
            self._comparing,
        )
        with moment(now, self._ids.uniform):
            self._library = self._gate.library = Library(
                birth.member_id,
                self._peers.voters,
                self._peers.learners,
                self._journal,
                self._timing,
                self._apply,
                self._gate.outgoing,
            )
        parts = self._library, self._journal, self._peers, self._timing, self._outbox.send
        self._elections = self._gate.elections = Elections(*parts)
        self._transfer = Transfer(*parts)
        self._membership = Membership(
            members, self._peers, self._library, self._journal, self._limits, self._record
        )
        self._gate.view = self._view
        if self._peers.is_alone:
            self._library.election_deadline = now  # alone there is nobody to wait for
        self._journal.save()
        self._transaction.commit()
        self._leadership = self._summary()

    # What the caller does.

    def step(
        self,
        inbox: Sequence[tuple[str, RaftFrame]],
        proposals: Sequence[Proposal],
        reads: Sequence[int],
        now: float,
    ) -> StepResult:
        """Take what has come in, decide, make it durable, and say what may go out."""
        if self._failed:
            raise Fatal("this member has failed: its process must end")
        self._failed = True  # until the commit
        self._now = now
        try:
            self._replace()
            with moment(now, self._ids.uniform):
                self._decide(inbox, proposals, reads)
            if self._applied:
                self._comparing.look(leads=self._library.leads, term=self._library.term)
            self._journal.set_applied_index(self._library.applied_index)
            self._cut_log()
            if self.rekeying.due_at() <= now:
                self.rekeying.go_on(self._transaction.writer, now)
            self._journal.save()
            self._transaction.commit()
        except BaseException:
            self._transaction.abort()
            raise
        self._failed = False
        if self.rekeying.committed():
            self._serving.drop()
        return self._release()

    def close(self) -> None:
        """Let go of files. The store is the caller's to close."""
        self._serving.close()
        self._fetching.close()

    def connected(self, peer: str) -> None:
        """Frames to this peer arrive, in order, from now on; the next step says hello."""
        self._gate.connected(peer)
        self._is_due = True

    def disconnected(self, peer: str) -> None:
        """Frames to this peer may have been lost, and no more arrive."""
        self._gate.disconnected(peer)
        self._is_due = True

    def request_confirmation(self, id: int) -> None:  # noqa: A002 - it is the caller's id
        """Ask with the next step whether this member leads; answered in `confirmations`."""
        self._asking.append(id)
        self._is_due = True

    def request_transfer(self, id: int, peer: str) -> None:  # noqa: A002 - it is the caller's id
        """Give the leadership to a voter, or with "" to the one that is furthest."""
        self._transferring.append((id, peer))
        self._is_due = True

    @property
    def members(self) -> Members:
        """The record of members that this member goes by."""
        return self._membership.members

    def request_shrinking(self) -> None:
        """Replace the store by a compact copy of itself with the next step."""
        self._shrinking = self._is_due = True

    def next_deadline(self) -> float:
        """When the next step is due if nothing comes in; the last `now` when one is due at once."""
        library = self._library
        if self._is_due or self._has_work():
            return self._now
        acts_at = library.heartbeat_at if library.leads else library.election_deadline
        oldest = next(iter(self._open.values()), float("inf"))
        others = self._confirmations.next_deadline(), self.rekeying.due_at()
        return max(self._now, min(acts_at, oldest, *others))

    def leadership(self) -> Leadership:
        """What the last step ended with."""
        return self._leadership

    def _summary(self) -> Leadership:
        library, journal, view = self._library, self._journal, self._view()
        return Leadership(
            role=library.role,
            leader_id=view.leader_id,
            term=view.term,
            commit_index=view.commit_index,
            applied_index=view.applied_index,
            log_first=journal.first_index,
            log_last=journal.last_index,
            noop_applied=view.leads and view.applied_index >= view.noop_index,
            round=self._gate.round,
            confirmed_round=min(self._confirmations.confirmed_round(view), self._gate.round),
            matches=self._matches(),
            ready_learners=self._membership.ready_learners(),
            transfers_to=self._transfer.to,
            cluster_format=self._comparing.cluster_format,
            readable_format=self._gate.readable_format(),
            alarms=self._comparing.alarms(leads=view.leads) + self._gate.alarms(),
        )

    def _matches(self) -> dict[str, int]:
        library = self._library
        if not library.leads:
            return {}
        return {peer: library.match_index(peer) for peer in self._peers.all}

    # A step.

    def _decide(
        self,
        inbox: Sequence[tuple[str, RaftFrame]],
        proposals: Sequence[Proposal],
        reads: Sequence[int],
    ) -> None:
        """All that is decided in a step, in the one order that is safe: inbox before deadlines."""
        self._is_due = False
        for peer, frame in inbox:
            self._gate.receive(peer, frame, self._now)
        self._elections.before_tick(self._now)
        self._ask_for_round(reads)
        self._begin_transfers()
        for proposal in proposals:
            self._propose(proposal)
        if self._library.leads and self._library.heartbeat_at <= self._now:
            self._library.heartbeat_at = DUE  # the library sends only strictly after that time
        self._library.tick()
        self._membership.end_step()
        self._follow_members()
        self._transfer.go_on(self._now)
        self._elections.after_tick(self._now)
        self._expire()
        self._confirmations.settle(self._view())
        self._gate.end_step()

    def _record(self) -> Members:
        """The record of members as of the entries that are applied."""
        return effective(self._birth, self._members_of(self._transaction.reader))

    def _follow_members(self) -> None:
        """Go by the record that entries of this step have made."""
        members = self._membership.another()
        if members is not None:
            self._gate.follow(members)
            self._membership.resign_if_removed()
            self._members_changed = self._is_due = True

    def _begin_transfers(self) -> None:
        transferring, self._transferring = self._transferring, []
        for id_, peer in transferring:
            self._transfer.begin(id_, peer, self._membership.refusal(), self._now)

    def _replace(self) -> None:
        """Before anything of this step: take over the leader's state when it lies ready.

        What this member has promised up to now is durable, so it goes with it. Nothing is said
        after it, and nothing is written to the old store.
        """
        if snapshot := self._fetching.prepared(self._now):
            install(self._environment, self._journal.state, snapshot, self._fetching.folder)
            raise Replaced(f"the state up to entry {snapshot.index} was taken over from the leader")
        if self._shrinking:
            self._shrinking = False
            if why := shrink(self._environment):
                self._shrinking_notices = [f"the store is not compacted: {why}"]
            else:
                raise Replaced("the store was replaced by a compact copy of itself")

    def _cut_log(self) -> None:
        """Cut off a portion of what is applied, not among the newest, and nobody's to come."""
        self._serving.look(self._now)
        journal, limits = self._journal, self._limits
        begin = journal.state.applied_index - limits.log_kept_entries
        if self._serving.pinned_index is not None:
            begin = min(begin, self._serving.pinned_index)
        portion_end = journal.first_index + limits.log_cut_entries
        if portion_end <= begin:
            journal.cut_to(portion_end)
            self._library.begin_log_at(portion_end)

    def _release(self) -> StepResult:
        """Hand out what the step collected: it is durable now."""
        confirmations, gate = self._confirmations, self._gate
        notices = self._serving.notices + self._fetching.notices + self.rekeying.notices
        notices += self._shrinking_notices
        self._leadership = self._summary()
        result = StepResult(
            self._leadership,
            self._outbox.take(),
            self._answers,
            self._applied,
            confirmations.reads,
            confirmations.confirmations,
            self._transfer.answers,
            self.members if self._members_changed else None,
            gate.refused,
            notices,
        )
        self._transfer.answers, self._members_changed = [], False
        self._shrinking_notices = []
        self._serving.notices, self._fetching.notices, self.rekeying.notices = [], [], []
        self._answers, self._applied = [], []
        confirmations.reads, confirmations.confirmations, gate.refused = [], [], []
        return result

    def _view(self) -> View:
        library = self._library
        return View(
            now=self._now,
            leads=library.leads,
            leader_id=self._elections.leader_id(self._now),
            term=library.term,
            commit_index=library.commit_index,
            applied_index=library.applied_index,
            noop_index=library.noop_index,
            round=self._gate.round + 1,
        )

    def _has_work(self) -> bool:
        """Whether a step would go on at once: entries to apply, or to commit by oneself alone."""
        library = self._library
        if library.applied_index < library.commit_index:
            return True
        behind = library.commit_index < self._journal.last_index
        return self._peers.is_alone and library.leads and behind

    def _ask_for_round(self, reads: Sequence[int]) -> None:
        """Begin what came before this step, with a round of heartbeats that goes out after it."""
        view = self._view()
        asking, self._asking = self._asking, []
        self._confirmations.read(reads, view)
        self._confirmations.confirm(asking, view)
        if self._confirmations.needs_round(view):
            self._library.heartbeat_at = DUE

    # Proposals.

    def _propose(self, proposal: Proposal) -> None:
        if refusal := self._refusal(proposal):
            self._answers.append(Answer(proposal.id, AnswerStatus.REFUSED, detail=refusal))
            return
        if proposal.changes_members and not self._library.leads:  # it could, within this step
            self._answers.append(Answer(proposal.id, AnswerStatus.NOT_LEADER))
            return
        if proposal.changes_members:
            self._membership.proposes()
        self._open[proposal.id] = self._now + self._timing.answer_limit_s
        self._library.propose(
            REGULAR + proposal.payload,
            lambda result, reason: self._answer(proposal.id, result, reason),
        )

    def _refusal(self, proposal: Proposal) -> str:
        """Why a proposal may not even be tried; "" when it may."""
        if len(proposal.payload) > COMMAND_BYTES_MAX:
            size = len(proposal.payload)
            return f"the command has {size} bytes, at most {COMMAND_BYTES_MAX} are allowed"
        if len(self._journal) >= self._limits.log_entries:
            return f"the log is full: it has {len(self._journal)} entries that can't be cut off yet"
        if self._transfer.to:
            return f"the leadership is being given to {self._transfer.to}"
        return self._membership.refusal() if proposal.changes_members else ""

    def _answer(self, id_: int, result: object, reason: int) -> None:
        """The library says what became of a proposal, while it applies the entry at its index."""
        if self._open.pop(id_, None) is None:
            return  # answered as unknown before
        if reason == APPLIED:
            index = self._library.applied_index + 1
            self._answers.append(Answer(id_, AnswerStatus.OK, index, result))
        elif reason in NOT_APPLIED:
            self._answers.append(Answer(id_, AnswerStatus.NOT_LEADER))
        else:
            self._answers.append(Answer(id_, AnswerStatus.UNKNOWN))

    def _expire(self) -> None:
        """Answer proposals that took too long; they were made in the order of their limits."""
        for id_, until in list(self._open.items()):
            if until > self._now:
                return
            del self._open[id_]
            self._answers.append(Answer(id_, AnswerStatus.UNKNOWN))

    def _apply(self, index: int, command: bytes) -> object:
        """Apply a committed entry in the step's transaction; a no-op only counts."""
        if command[:1] != REGULAR:
            return None
        try:
            result = self._apply_entry(self._transaction.writer, index, command[1:])
        except StoreFailed:
            raise
        except Exception as error:
            raise Fatal(f"entry {index} can't be applied: {error!r}") from error
        self._applied.append(Applied(index, result))
        return result
