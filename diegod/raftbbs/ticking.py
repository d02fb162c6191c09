"""One BBS member without its network and its threads: what happens in a tick.

A tick takes what has come in (frames, commands, reads, renewals), lets the replicated log make it
durable and apply it, and says what may go out. It is a plain function of its input and the time, so
the simulation calls it as production does. It is owned by one thread.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from diegod.internal.v1.command_pb2 import (
    Batch,
    Command,
    ExpireCell,
    ExpireLock,
    Members,
    Outcome,
    RaiseFormat,
)
from diegod.internal.v1.raft_pb2 import RaftFrame
from diegod.models.errors import DomainError, Reason
from diegod.raftbbs.core.leases import Key, LeaseTable
from diegod.raftbbs.core.membership import can_change_members, promotion
from diegod.raftbbs.core.replicated_time import ReplicatedTime
from diegod.raftbbs.raft.api import (
    Answer,
    AnswerStatus,
    Leadership,
    Proposal,
    Refusal,
    ReplicatedLog,
    StepResult,
)
from diegod.raftbbs.replica import AppliedEntry
from diegod.raftbbs.store.environment import Environment
from diegod.raftbbs.store.state import StateView
from diegod.raftbbs.store.tables import Tables

#: How much one log entry carries at most; what waits beyond that goes into the next tick's.
ENTRY_BYTES_MAX = 512 * 1024
#: A command of the leader's own may be lost with the log being full: it comes again after this.
_RAISE_AGAIN_S = 10.0
#: One submission must fit into one entry.
SUBMISSION_BYTES_MAX = 256 * 1024
_NOBODY = 0  # as the number of a submission: nobody waits for what comes of it


@dataclass(frozen=True)
class Submission:
    id: int
    commands: Sequence[Command]


@dataclass(frozen=True)
class Renewal:
    id: int
    key: Key
    sequence: int


@dataclass(frozen=True)
class TransferRequest:
    id: int
    to: str  # "" for the voter that is furthest


@dataclass(frozen=True)
class LinkChange:
    peer: str
    up: bool


@dataclass
class Inbox:
    """Everything that has come in since the last tick."""

    frames: list[tuple[str, RaftFrame]] = field(default_factory=list)
    links: list[LinkChange] = field(default_factory=list)
    submissions: list[Submission] = field(default_factory=list)
    reads: list[int] = field(default_factory=list)
    renewals: list[Renewal] = field(default_factory=list)
    transfers: list[TransferRequest] = field(default_factory=list)
    shrink: bool = False  # replace the store by a compact copy of itself

    def __bool__(self) -> bool:
        """Whether anything has come in."""
        asked = self.submissions or self.reads or self.renewals or self.transfers
        return bool(self.frames or self.links or asked or self.shrink)


@dataclass
class TickResult:
    """What may leave the member now. All of it was made durable before."""

    leadership: Leadership
    frames: list[tuple[str, RaftFrame]] = field(default_factory=list)
    outcomes: list[tuple[int, Sequence[Outcome] | DomainError]] = field(default_factory=list)
    reads: list[tuple[int, bool]] = field(default_factory=list)
    renewals: list[tuple[int, bool | DomainError]] = field(default_factory=list)
    transfers: list[tuple[int, DomainError | None]] = field(default_factory=list)
    members: Members | None = None  # the record to go by, if it is another now
    entries: list[AppliedEntry] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    clock_offset_s: float = 0.0  # of this member's wall clock, ahead of replicated time
    links_seen: int = 0  # how many changes of links went into this tick and those before it


class Ticking:
    """The member's decisions around its replicated log: batches, leases, replicated time."""

    def __init__(
        self,
        member_id: str,
        log: ReplicatedLog,
        environment: Environment,
        tables: Tables,
        leases: LeaseTable,
    ) -> None:
        self._principal = f"bbs/{member_id}"
        self._log = log
        self._environment = environment
        self._tables = tables
        self._leases = leases
        self._time = ReplicatedTime(0, 0.0)
        self._waiting: list[Submission] = []
        self._own: list[Command] = []
        self._proposed: dict[int, list[Submission]] = {}
        self._renewing: dict[int, list[Renewal]] = {}
        self._number = 0
        self._links_seen = 0
        self._raises_not_before = float("-inf")
        self._leads_term = (
            0  # the term in which this member's leases are armed; 0: it does not lead
        )

    def next_deadline(self) -> float:
        """When the next tick is due if nothing comes in."""
        if (self._waiting or self._own) and not _must_wait(self._log.leadership()):
            return float("-inf")
        deadline = self._log.next_deadline()
        return min(deadline, self._leases.next_deadline()) if self._leads_term else deadline

    def tick(self, inbox: Inbox, monotonic_s: float, wall_s: float) -> TickResult:
        for link in inbox.links:
            (self._log.connected if link.up else self._log.disconnected)(link.peer)
        self._links_seen += len(inbox.links)
        result = TickResult(self._log.leadership(), links_seen=self._links_seen)
        result.clock_offset_s = self._time.clock_offset_s(monotonic_s, wall_s)
        if inbox.shrink:
            self._log.request_shrinking()
        self._take(inbox, result)
        step = self._log.step(
            inbox.frames, self._proposals(monotonic_s, wall_s), inbox.reads, monotonic_s
        )
        self._sort_out(step, result, monotonic_s)
        self._keep_leases(step.leadership, monotonic_s)
        return result

    def _take(self, inbox: Inbox, result: TickResult) -> None:
        self._waiting.extend(inbox.submissions)
        if inbox.renewals:
            self._number += 1
            self._renewing[self._number] = inbox.renewals
            self._log.request_confirmation(self._number)
        for transfer in inbox.transfers:
            self._log.request_transfer(transfer.id, transfer.to)

    def _proposals(self, monotonic_s: float, wall_s: float) -> list[Proposal]:
        """What waits, as one entry: up to its largest size, in the order it came.

        A change of members is an entry of its own: the log may have to refuse it.
        """
        leadership = self._log.leadership()
        if _must_wait(leadership):
            return []
        changes = [*self._promotions(leadership)]
        commands, self._own = self._own, []
        submissions: list[Submission] = []
        size = 0
        while self._waiting and not _changes_members(self._waiting[0]):
            following = sum(command.ByteSize() + 8 for command in self._waiting[0].commands)
            if submissions and size + following > ENTRY_BYTES_MAX:
                break
            submission = self._waiting.pop(0)
            submissions.append(submission)
            commands.extend(submission.commands)
            size += following
        if not commands and self._waiting:
            changes.append(self._waiting.pop(0))
        if not (commands or changes):
            return []
        at_ns = self._time.next_stamp(monotonic_s, wall_s)
        proposals = [self._proposal(at_ns, each.commands, [each]) for each in changes]
        proposals = [replace(each, changes_members=True) for each in proposals]
        if commands:
            proposals.append(self._proposal(at_ns, commands, submissions))
        return proposals

    def _proposal(
        self, at_ns: int, commands: Sequence[Command], submissions: list[Submission]
    ) -> Proposal:
        self._number += 1
        self._proposed[self._number] = submissions
        batch = Batch(at_ns=at_ns, commands=commands)
        return Proposal(self._number, batch.SerializeToString())

    def _promotions(self, leadership: Leadership) -> Iterator[Submission]:
        """The first learner that has caught up is made a voter; nobody waits for the answer."""
        for learner in leadership.ready_learners[:1]:
            with self._environment.begin_read() as transaction:
                if not can_change_members(StateView(self._tables, transaction)):
                    return
            command = Command(by=self._principal, cause=f"{learner} has caught up")
            command.change_members.CopyFrom(promotion(self._log.members, learner))
            yield Submission(_NOBODY, [command])

    def _sort_out(self, step: StepResult, result: TickResult, now: float) -> None:
        result.leadership = step.leadership
        result.frames = step.outbox
        result.refused = step.refused
        result.notices = step.notices
        for applied in step.applied:
            if isinstance(applied.result, AppliedEntry):
                result.entries.append(applied.result)
                self._time.observe(applied.result.at_ns, now)
                self._leases.observe(applied.result.changes, now)
        for answer in step.answers:
            result.outcomes.extend(self._answered(answer))
        result.members = step.members
        for transfer in step.transfers:
            error = DomainError(Reason.INVALID_STATE_TRANSITION, transfer.detail)
            result.transfers.append((transfer.id, None if transfer.ok else error))
        result.reads = [(read.id, read.ok) for read in step.reads]
        for confirmation in step.confirmations:
            for renewal in self._renewing.pop(confirmation.id, []):
                result.renewals.append(self._renewed(renewal, confirmation.ok, now))

    def _answered(self, answer: Answer) -> Iterator[tuple[int, Sequence[Outcome] | DomainError]]:
        """What the submitters of an entry hear. Own commands come first, and nobody waits."""
        submissions = self._proposed.pop(answer.id, [])
        if answer.status is not AnswerStatus.OK:
            for submission in submissions:
                yield submission.id, _refusal(answer)
            return
        assert isinstance(answer.result, AppliedEntry)
        outcomes = answer.result.outcomes
        position = len(outcomes) - sum(len(each.commands) for each in submissions)
        for submission in submissions:
            following = position + len(submission.commands)
            yield submission.id, outcomes[position:following]
            position = following

    def _renewed(self, renewal: Renewal, ok: bool, now: float) -> tuple[int, bool | DomainError]:
        if not ok or not self._leads_term:
            return renewal.id, DomainError(Reason.NOT_LEADER, "this member does not lead")
        return renewal.id, self._leases.renew(renewal.key, renewal.sequence, now)

    def _keep_leases(self, leadership: Leadership, now: float) -> None:
        if not leadership.leads or not leadership.noop_applied:
            self._leads_term = 0
            return
        if self._leads_term != leadership.term:
            self._leads_term = leadership.term
            self._rearm(now)
        self._own.extend(self._expiries(now))
        self._raise_format(leadership, now)

    def _raise_format(self, leadership: Leadership, now: float) -> None:
        """When every member can read the next format of the cluster, it gets it."""
        following = leadership.cluster_format + 1
        if leadership.readable_format < following or now < self._raises_not_before:
            return
        self._raises_not_before = now + _RAISE_AGAIN_S
        command = Command(by=self._principal, cause="every member can read it")
        command.raise_format.CopyFrom(RaiseFormat(cluster_format=following))
        self._own.append(command)

    def _rearm(self, now: float) -> None:
        with self._environment.begin_read() as transaction:
            state = StateView(self._tables, transaction)
            self._time.observe(state.counters().at_ns, now)
            self._leases.rearm(
                self._tables.cells.scan(transaction), self._tables.locks.scan(transaction), now
            )

    def _expiries(self, now: float) -> Iterator[Command]:
        for (kind, name), sequence in self._leases.expired(now):
            command = Command(by=self._principal, cause="its lease ran out")
            if kind == "cell":
                command.expire_cell.CopyFrom(ExpireCell(cell_id=name, incarnation=sequence))
            else:
                command.expire_lock.CopyFrom(ExpireLock(name=name, token=sequence))
            yield command


def _changes_members(submission: Submission) -> bool:
    """Whether it is a change of members, which is submitted alone."""
    commands = submission.commands
    return len(commands) == 1 and commands[0].WhichOneof("command") == "change_members"


def _must_wait(leadership: Leadership) -> bool:
    """A new leader can't know replicated time before it has applied what earlier leaders committed.
    One that gives its leadership away takes nothing more; in a moment it is known who does."""
    begins = leadership.leads and not leadership.noop_applied
    return begins or bool(leadership.transfers_to)


def _refusal(answer: Answer) -> DomainError:
    match answer.status:
        case AnswerStatus.NOT_LEADER:
            return DomainError(Reason.NOT_LEADER, "this member does not lead")
        case AnswerStatus.REFUSED:
            return DomainError(Reason.RESOURCE_EXHAUSTED, answer.detail)
        case _:
            return DomainError(
                Reason.UNKNOWN_OUTCOME, "the leader changed before the write was confirmed"
            )
