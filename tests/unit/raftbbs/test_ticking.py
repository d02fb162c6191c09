"""A tick: what becomes of commands, reads and renewals, and what the leader does by itself."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from diegod.internal.v1.command_pb2 import (
    AcquireLock,
    ChangeMembers,
    Command,
    Member,
    RegisterCell,
    UpsertDomain,
)
from diegod.internal.v1.raft_pb2 import RaftFrame
from diegod.models.errors import DomainError, Reason
from diegod.raftbbs.core.leases import GRACE_S, LeaseTable
from diegod.raftbbs.raft.api import (
    Answer,
    AnswerStatus,
    Confirmation,
    Leadership,
    Proposal,
    Role,
    StepResult,
)
from diegod.raftbbs.raft.membership import Membership
from diegod.raftbbs.store.counters import Counters
from diegod.raftbbs.store.state import StateView
from diegod.raftbbs.ticking import (
    ENTRY_BYTES_MAX,
    Inbox,
    Renewal,
    Submission,
    Ticking,
    TickResult,
    TransferRequest,
)
from diegod.v1.record_pb2 import Cell
from tests.unit.raftbbs.bbs import MEMBER, TTL_S, Parts, parts

BEGIN = 1000.0
WALL = 1_800_000_000.0
NS = 1_000_000_000
FULL_TIME_S = TTL_S + GRACE_S


class Bench:
    """A member whose time goes on only as the test says; its wall clock goes on with it."""

    def __init__(self, made: Parts) -> None:
        self.parts = made
        self.now = BEGIN
        self.wall_ahead_s = 0.0

    def tick(self, inbox: Inbox | None = None, after_s: float = 0.01) -> TickResult:
        self.now += after_s
        wall_s = WALL + self.now - BEGIN + self.wall_ahead_s
        return self.parts.ticking.tick(inbox or Inbox(), self.now, wall_s)

    def lead(self) -> None:
        for _ in range(10):
            if self.tick().leadership.noop_applied:
                return
        raise AssertionError("it does not lead")

    def answers(self, *submissions: Submission) -> TickResult:
        """The results of the ticks until all are answered, in one."""
        return self.results(Inbox(submissions=list(submissions)), len(submissions))

    def results(self, inbox: Inbox, expected: int) -> TickResult:
        whole = self.tick(inbox)
        for _ in range(10):
            if len(whole.outcomes) + len(whole.renewals) + len(whole.reads) >= expected:
                return whole
            step = self.tick()
            whole.outcomes += step.outcomes
            whole.renewals += step.renewals
            whole.reads += step.reads
            whole.entries += step.entries
        raise AssertionError("not all was answered")

    def counters(self) -> Counters:
        with self.parts.environment.begin_read() as transaction:
            return StateView(self.parts.tables, transaction).counters()

    def cell(self) -> Cell:
        with self.parts.environment.begin_read() as transaction:
            cell = StateView(self.parts.tables, transaction).cell("c1")
        assert cell is not None
        return cell

    def registered(self) -> None:
        row = Cell(cell_id="c1")
        command = Command(by="cell/c1", register_cell=RegisterCell(cell=row))
        self.answers(Submission(1, [command]))

    def renewed(self, sequence: int) -> bool | DomainError:
        inbox = Inbox(renewals=[Renewal(7, ("cell", "c1"), sequence)])
        return self.results(inbox, 1).renewals[0][1]

    def pass_time(self, seconds: float) -> None:
        """In ticks that come in time."""
        until = self.now + seconds
        while self.now < until:
            self.tick(after_s=0.1)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = parts(tmp_path / "m1", now=BEGIN)
    yield Bench(made)
    made.environment.close()


def _domain(name: str, padding: int = 0) -> Command:
    return Command(by="user/ann", cause="x" * padding, upsert_domain=UpsertDomain(domain=name))


def test_what_came_in_together_becomes_one_entry_and_everybody_hears_its_own(bench: Bench) -> None:
    bench.lead()
    result = bench.answers(
        Submission(1, [_domain("a"), _domain("b")]), Submission(2, [_domain("c")])
    )
    answered = dict(result.outcomes)
    assert not isinstance(answered[1], DomainError)
    assert not isinstance(answered[2], DomainError)
    assert [outcome.domain.domain for outcome in answered[1]] == ["a", "b"]
    assert [outcome.domain.domain for outcome in answered[2]] == ["c"]
    assert len(result.entries) == 1
    assert [change.domain.domain for change in result.entries[0].changes] == ["a", "b", "c"]
    assert result.entries[0].revision == 3


def test_what_an_answer_says_is_on_disk(bench: Bench) -> None:
    bench.lead()
    result = bench.answers(Submission(1, [_domain("a")]))
    outcomes = result.outcomes[0][1]
    assert not isinstance(outcomes, DomainError)
    assert bench.counters().revision == outcomes[0].revision == 1


def test_an_entry_has_its_largest_size_and_the_rest_comes_with_the_next(bench: Bench) -> None:
    bench.lead()
    third = ENTRY_BYTES_MAX // 3 + 1
    result = bench.answers(*(Submission(n, [_domain(f"d{n}", third)]) for n in range(1, 5)))
    assert [number for number, _ in result.outcomes] == [1, 2, 3, 4]
    assert [len(entry.changes) for entry in result.entries] == [2, 2]


def test_while_something_waits_the_next_tick_is_due(bench: Bench) -> None:
    bench.lead()
    third = ENTRY_BYTES_MAX // 3 + 1
    bench.tick(Inbox(submissions=[Submission(n, [_domain(f"d{n}", third)]) for n in range(4)]))
    assert bench.parts.ticking.next_deadline() <= bench.now


def test_before_it_leads_nothing_is_proposed_and_nothing_is_lost(bench: Bench) -> None:
    result = bench.answers(Submission(1, [_domain("a")]))
    (outcome,) = [each for _, each in result.outcomes]
    if isinstance(outcome, DomainError):  # nothing was applied, and it is said so
        assert outcome.reason is Reason.NOT_LEADER
        assert bench.counters().revision == 0
    else:
        assert bench.counters().revision == 1


def test_a_command_too_large_for_the_log_is_refused_and_the_next_one_is_not(bench: Bench) -> None:
    bench.lead()
    result = bench.answers(Submission(1, [_domain("a", 2 << 20)]), Submission(2, [_domain("b")]))
    answered = dict(result.outcomes)
    assert isinstance(answered[1], DomainError)
    assert answered[1].reason is Reason.RESOURCE_EXHAUSTED
    assert not isinstance(answered[2], DomainError)


@pytest.mark.parametrize(
    ("status", "reason", "applied"),
    [
        (AnswerStatus.NOT_LEADER, Reason.NOT_LEADER, "no"),
        (AnswerStatus.REFUSED, Reason.RESOURCE_EXHAUSTED, "no"),
        (AnswerStatus.UNKNOWN, Reason.UNKNOWN_OUTCOME, "unknown"),
    ],
)
def test_nobody_hears_more_than_the_log_knows(
    bench: Bench,
    monkeypatch: pytest.MonkeyPatch,
    status: AnswerStatus,
    reason: Reason,
    applied: str,
) -> None:
    bench.lead()
    step = bench.parts.log.step

    def answered(*arguments: Any) -> StepResult:
        result = step(*arguments)
        result.answers = [Answer(answer.id, status, detail="why") for answer in result.answers]
        return result

    monkeypatch.setattr(bench.parts.log, "step", answered)
    error = dict(bench.answers(Submission(1, [_domain("a")])).outcomes)[1]
    assert isinstance(error, DomainError)
    assert (error.reason, error.applied) == (reason, applied)


def test_a_read_is_answered(bench: Bench) -> None:
    bench.lead()
    assert bench.results(Inbox(reads=[5]), 1).reads == [(5, True)]


def test_replicated_time_keeps_up_with_the_clock_however_busy_the_leader_is(bench: Bench) -> None:
    bench.lead()
    bench.tick(Inbox(submissions=[Submission(0, [_domain("a")])]))
    for number in range(1, 300):
        bench.tick(Inbox(submissions=[Submission(number, [_domain("a")])]))
    wall_ns = int((WALL + bench.now - BEGIN) * NS)
    assert abs(bench.counters().at_ns - wall_ns) < 0.1 * NS


def test_a_lease_that_is_not_renewed_ends_and_the_row_says_so(bench: Bench) -> None:
    bench.lead()
    bench.registered()
    bench.pass_time(FULL_TIME_S - 0.5)
    assert bench.cell().state == Cell.PRESENT
    bench.pass_time(1.0)
    cell = bench.cell()
    assert cell.state == Cell.MISSING
    assert cell.provenance.by == "bbs/m1"


def test_a_renewal_is_answered_and_prolongs_the_lease(bench: Bench) -> None:
    bench.lead()
    bench.registered()
    bench.pass_time(FULL_TIME_S - 0.5)
    assert bench.renewed(1) is True
    assert bench.renewed(2) is False
    bench.pass_time(FULL_TIME_S - 0.5)
    assert bench.cell().state == Cell.PRESENT


def test_a_lease_whose_end_was_proposed_is_not_renewed_any_more(bench: Bench) -> None:
    """A renewal that overtakes the end would let the cell count on ten seconds it doesn't have."""
    bench.lead()
    bench.registered()
    bench.pass_time(FULL_TIME_S - 0.2)
    while not bench.parts.ticking._own:
        bench.tick(after_s=0.1)
    assert bench.cell().state == Cell.PRESENT
    assert bench.renewed(1) is False


def test_a_lock_of_an_owner_who_is_silent_is_free_again(bench: Bench) -> None:
    bench.lead()
    command = Command(by="brain/b1", acquire_lock=AcquireLock(name="brain"))
    bench.answers(Submission(1, [command]))
    bench.pass_time(FULL_TIME_S + 0.5)
    with bench.parts.environment.begin_read() as transaction:
        lock = StateView(bench.parts.tables, transaction).lock("brain")
    assert lock is not None
    assert lock.owner == ""


def test_a_new_leader_gives_every_lease_its_full_time(tmp_path: Path) -> None:
    first = Bench(parts(tmp_path / "m1", now=BEGIN))
    first.lead()
    first.registered()
    first.pass_time(FULL_TIME_S - 0.5)
    first.parts.environment.close()
    again = Bench(parts(tmp_path / "m1", now=BEGIN))
    try:
        again.lead()
        again.pass_time(FULL_TIME_S - 0.5)
        assert again.cell().state == Cell.PRESENT
        again.pass_time(1.0)
        assert again.cell().state == Cell.MISSING
    finally:
        again.parts.environment.close()


def test_a_leader_begins_with_the_time_that_was_replicated(tmp_path: Path) -> None:
    first = Bench(parts(tmp_path / "m1", now=BEGIN))
    first.lead()
    first.answers(Submission(1, [_domain("a")]))
    at_ns = first.counters().at_ns
    first.parts.environment.close()
    again = Bench(parts(tmp_path / "m1", now=BEGIN))
    try:
        again.lead()
        again.wall_ahead_s = -3600.0
        again.answers(Submission(1, [_domain("b")]))
        assert at_ns <= again.counters().at_ns < at_ns + NS
    finally:
        again.parts.environment.close()


def test_a_new_leader_raises_the_format_once_all_can_read_it(bench: Bench) -> None:
    bench.lead()
    for _ in range(3):
        bench.tick()
    assert bench.counters().cluster_format == 2
    last = bench.tick().leadership.log_last
    bench.pass_time(30.0)
    assert bench.tick().leadership.log_last == last


def _change(*members: Member, revision: int = 0) -> Command:
    change = ChangeMembers(members=members, expected_revision=revision)
    return Command(by="bbs/m1", change_members=change)


M1, LEARNER = Member(member_id=MEMBER), Member(member_id="m2", learner=True, store_id="s2")


def test_a_change_of_members_is_an_entry_of_its_own(bench: Bench) -> None:
    bench.lead()
    result = bench.answers(
        Submission(1, [_domain("a")]),
        Submission(2, [_change(M1, LEARNER)]),
        Submission(3, [_domain("b")]),
    )
    assert [len(entry.outcomes) for entry in result.entries] == [2, 1, 1]  # the format was raised
    assert [entry.revision for entry in result.entries] == [1, 2, 3]
    assert list(result.entries[1].changes) == []


def test_a_tick_says_which_members_there_are_now(bench: Bench) -> None:
    bench.lead()
    told = [bench.tick(Inbox(submissions=[Submission(1, [_change(M1, LEARNER)])]))]
    told += [bench.tick() for _ in range(3)]
    [record] = [each.members for each in told if each.members is not None]
    assert list(record.members) == [M1, LEARNER]


def test_a_leader_makes_a_learner_a_voter_as_soon_as_it_is_ready(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.lead()
    bench.answers(Submission(1, [_change(M1, LEARNER)]))
    bench.pass_time(0.5)
    assert list(bench.parts.log.members.members) == [M1, LEARNER]  # it has acknowledged nothing
    monkeypatch.setattr(Membership, "_has_caught_up", lambda membership, learner: True)
    bench.pass_time(0.3)
    voter = Member(member_id="m2", store_id="s2")
    assert list(bench.parts.log.members.members) == [M1, voter]


def test_while_the_leadership_is_given_away_writes_wait(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.lead()
    leadership = bench.parts.log.leadership
    with monkeypatch.context() as giving:
        away = replace(leadership(), transfers_to="m2")
        giving.setattr(bench.parts.log, "leadership", lambda: away)
        result = bench.tick(Inbox(submissions=[Submission(1, [_domain("a")])]))
        assert result.outcomes == []
        assert bench.parts.ticking.next_deadline() > float("-inf")
    assert bench.results(Inbox(), 1).outcomes[0][0] == 1


def test_a_transfer_that_can_not_be_is_answered(bench: Bench) -> None:
    bench.lead()
    [(number, error)] = bench.tick(Inbox(transfers=[TransferRequest(9, "m2")])).transfers
    assert number == 9
    assert error is not None
    assert error.message == "m2 is no other voter of this cluster"


class ToldLog:
    """A log that leads, and says of proposals and confirmations what it is told to."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.confirmations: list[Confirmation] = []
        self.proposed: list[Proposal] = []
        self.asked: list[int] = []

    def step(
        self,
        inbox: Sequence[tuple[str, RaftFrame]],
        proposals: Sequence[Proposal],
        reads: Sequence[int],
        now: float,
    ) -> StepResult:
        self.proposed += proposals
        answers, self.answers = self.answers, []
        confirmations, self.confirmations = self.confirmations, []
        return StepResult(self.leadership(), answers=answers, confirmations=confirmations)

    def connected(self, peer: str) -> None: ...

    def disconnected(self, peer: str) -> None: ...

    def request_confirmation(self, id: int) -> None:  # noqa: A002 - as the protocol has it
        self.asked.append(id)

    def next_deadline(self) -> float:
        return float("inf")

    def leadership(self) -> Leadership:
        return Leadership(Role.LEADER, "m1", 1, 1, 1, 1, 1, True, 1, 1)


@pytest.fixture
def told(tmp_path: Path) -> Iterator[tuple[Ticking, ToldLog]]:
    made, log = parts(tmp_path / "m1", now=BEGIN), ToldLog()
    leases = LeaseTable(TTL_S)
    yield Ticking("m1", log, made.environment, made.tables, leases), log
    made.environment.close()


def test_what_may_be_applied_is_never_said_not_to_be(told: tuple[Ticking, ToldLog]) -> None:
    ticking, log = told
    ticking.tick(Inbox(submissions=[Submission(1, [_domain("a")])]), BEGIN, WALL)
    for status, reason in (
        (AnswerStatus.UNKNOWN, Reason.UNKNOWN_OUTCOME),
        (AnswerStatus.NOT_LEADER, Reason.NOT_LEADER),
        (AnswerStatus.REFUSED, Reason.RESOURCE_EXHAUSTED),
    ):
        log.answers = [Answer(log.proposed[-1].id, status)]
        [(_, refusal)] = ticking.tick(Inbox(), BEGIN, WALL).outcomes
        assert isinstance(refusal, DomainError)
        assert refusal.reason is reason
        ticking.tick(Inbox(submissions=[Submission(1, [_domain("a")])]), BEGIN, WALL)


def test_a_renewal_is_answered_only_after_leadership_is_confirmed(
    told: tuple[Ticking, ToldLog],
) -> None:
    ticking, log = told
    ticking.tick(Inbox(), BEGIN, WALL)
    cell = Cell(cell_id="c1", incarnation=1, state=Cell.PRESENT)
    ticking._leases.rearm([cell], [], BEGIN)
    inbox = Inbox(renewals=[Renewal(7, ("cell", "c1"), 1)])
    assert ticking.tick(inbox, BEGIN, WALL).renewals == []
    assert ticking.tick(Inbox(), BEGIN, WALL).renewals == []
    log.confirmations = [Confirmation(log.asked[0], ok=True)]
    assert ticking.tick(Inbox(), BEGIN, WALL).renewals == [(7, True)]
    ticking.tick(Inbox(renewals=[Renewal(8, ("cell", "c1"), 1)]), BEGIN, WALL)
    log.confirmations = [Confirmation(log.asked[1], ok=False)]
    [(_, refusal)] = ticking.tick(Inbox(), BEGIN, WALL).renewals
    assert isinstance(refusal, DomainError)
    assert refusal.reason is Reason.NOT_LEADER
