"""One BBS member without its network and its threads: what happens in a tick.

A tick takes what has come in (frames, commands, reads, renewals), lets the replicated log make it
durable and apply it, and says what may go out. It is a plain function of its input and the time, so
the simulation calls it as production does. It is owned by one thread.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from diegod.internal.v1.command_pb2 import Batch, Command, ExpireCell, ExpireLock, Outcome
from diegod.internal.v1.raft_pb2 import RaftFrame
from diegod.models.errors import DomainError, Reason
from diegod.raftbbs.core.leases import Key, LeaseTable
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
#: One submission must fit into one entry.
SUBMISSION_BYTES_MAX = 256 * 1024


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

    def __bool__(self) -> bool:
        return bool(self.frames or self.links or self.submissions or self.reads or self.renewals)


@dataclass
class TickResult:
    """What may leave the member now. All of it was made durable before."""

    leadership: Leadership
    frames: list[tuple[str, RaftFrame]] = field(default_factory=list)
    outcomes: list[tuple[int, Sequence[Outcome] | DomainError]] = field(default_factory=list)
    reads: list[tuple[int, bool]] = field(default_factory=list)
    renewals: list[tuple[int, bool | DomainError]] = field(default_factory=list)
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
        self._leadership = log.leadership()  # what the last step ended with
        self._environment = environment
        self._tables = tables
        self._leases = leases
        self._time = ReplicatedTime(0, 0.0)
        self._waiting: list[Submission] = []
        self._expiring: list[Command] = []
        self._proposed: dict[int, list[Submission]] = {}
        self._renewing: dict[int, list[Renewal]] = {}
        self._number = 0
        self._links_seen = 0
        self._leads_term = (
            0  # the term in which this member's leases are armed; 0: it does not lead
        )

    def next_deadline(self) -> float:
        """When the next tick is due if nothing comes in."""
        if (self._waiting or self._expiring) and not self._new_leader():
            return float("-inf")
        deadline = self._log.next_deadline()
        return min(deadline, self._leases.next_deadline()) if self._leads_term else deadline

    def tick(self, inbox: Inbox, monotonic_s: float, wall_s: float) -> TickResult:
        for link in inbox.links:
            (self._log.connected if link.up else self._log.disconnected)(link.peer)
        self._links_seen += len(inbox.links)
        result = TickResult(self._leadership, links_seen=self._links_seen)
        result.clock_offset_s = self._time.clock_offset_s(monotonic_s, wall_s)
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

    def _proposals(self, monotonic_s: float, wall_s: float) -> list[Proposal]:
        """What waits, as one entry: up to its largest size, in the order it came."""
        if self._new_leader():
            return []
        commands, self._expiring = self._expiring, []
        submissions: list[Submission] = []
        size = 0
        while self._waiting:
            following = sum(command.ByteSize() + 8 for command in self._waiting[0].commands)
            if submissions and size + following > ENTRY_BYTES_MAX:
                break
            submission = self._waiting.pop(0)
            submissions.append(submission)
            commands.extend(submission.commands)
            size += following
        if not commands:
            return []
        self._number += 1
        self._proposed[self._number] = submissions
        at_ns = self._time.next_stamp(monotonic_s, wall_s)
        batch = Batch(at_ns=at_ns, commands=commands)
        return [Proposal(self._number, batch.SerializeToString())]

    def _new_leader(self) -> bool:
        """It can't know replicated time before it has applied what earlier leaders committed."""
        leadership = self._leadership
        return leadership.leads and not leadership.noop_applied

    def _sort_out(self, step: StepResult, result: TickResult, now: float) -> None:
        result.leadership = self._leadership = step.leadership
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
        self._expiring.extend(self._expiries(now))

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
