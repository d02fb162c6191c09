"""A cluster of real engines on a virtual clock: one seed, one history.

Real: `Engine` with PySyncObj under it, and an LMDB environment a member, opened anew after every
crash. Simulated: time (each member has a clock of its own, with an offset and a rate), the duration
of a step and of a copy of the state, the connections (one a direction: ordered, delayed, stalled,
reset), crashes, pauses, and the clients. A crash falls before the commit of a step, after it with
everything unsent, or between two steps. A member whose store was replaced starts again, as its
supervisor would have it.

After the faults a majority, chosen by chance, is healed and the rest stays dead: it must make
progress. Then all are revived and must agree. `violations` is empty when every promise held.
"""

import heapq
import random
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import TypeVar

from diegod.internal.v1.command_pb2 import Members
from diegod.raftbbs.core.membership import voters
from diegod.raftbbs.raft.api import (
    Fatal,
    Limits,
    Proposal,
    Quarantined,
    Replaced,
    StepResult,
    Timing,
)
from diegod.raftbbs.raft.engine import Engine
from diegod.raftbbs.raft.snapshot import Background, inline
from diegod.raftbbs.store.environment import ReadTransaction, WriteTransaction
from diegod.raftbbs.store.identity import Birth, Voter, create, load
from diegod.raftbbs.store.members import of_birth
from diegod.world.ids import SeededIds
from tests.sim.raft_faults import CALM, Faults, Mischief
from tests.sim.raft_member import MAP_SIZE, Member
from tests.sim.raft_network import Network
from tests.sim.raft_operator import CHANGE, Operator, apply_change, is_expected
from tests.sim.raft_promises import Promises

CLOCK_RATE_ERROR = 0.02
PROGRESS_LIMIT_S = 10.0
AGREEMENT_LIMIT_S = 30.0
COPY_S_MAX = 0.2

T = TypeVar("T")


class Crash(Exception):  # noqa: N818 - it names an event
    """The member dies at this point of its step."""


class World:
    """The members, what lies between them, and the time."""

    def __init__(
        self,
        seed: int | str,
        folder: Path,
        *,
        members: int = 3,
        spares: int = 0,
        engine_class: type[Engine] = Engine,
        timing: Timing | None = None,
        limits: Limits | None = None,
    ) -> None:
        self.random = random.Random(seed)
        self.faults = CALM
        self.promises = Promises()
        self.now = 0.0
        self.crashes = 0
        self.snapshots = 0
        """How often a member took over the state of another."""
        self.resumed = 0
        """How often it went on with a transfer that was interrupted."""
        self.cut_logs: set[str] = set()
        self.quarantined: dict[str, Quarantined] = {}
        """Members that left because their state was wrong; they stay away."""
        self.revived: tuple[str, ...] = tuple("ABCDEFG"[: members + spares])
        self.record = Members()
        """The latest record of members that anybody has applied."""
        self.operator: Operator | None = None
        self._engine_class = engine_class
        self._timing, self._limits = timing or Timing(), limits or Limits()
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._event_count = 0
        self.members = {each: self._new_member(each, folder) for each in self.revived}
        self.network = Network(self)
        born = self.revived[:members]
        self.stores = {each: f"store-{each}" for each in born}
        """The disks that there are."""
        voters = tuple(Voter(each, "", "") for each in born)
        for each in born:
            birth = Birth("cluster", "sim", each, self.stores[each], voters)
            self.record = of_birth(birth)
            create(self.members[each].folder, birth, durable=False)
            self.boot(each)

    def _new_member(self, who: str, folder: Path) -> Member:
        rate = self.random.uniform(1 - CLOCK_RATE_ERROR, 1 + CLOCK_RATE_ERROR)
        return Member(who, folder / who, self.random.uniform(-1000, 1000), rate)

    @property
    def violations(self) -> list[str]:
        return self.promises.violations

    # Time.

    def at(self, when: float, action: Callable[[], None]) -> None:
        self._event_count += 1
        heapq.heappush(self._events, (max(when, self.now), self._event_count, action))

    def after(self, delay: float, action: Callable[[], None]) -> None:
        self.at(self.now + delay, action)

    def run_for(self, seconds: float, done: Callable[[], bool] = lambda: False) -> bool:
        """Let time pass; True as soon as `done` holds."""
        end = self.now + seconds
        while self._events and self._events[0][0] <= end:
            self.now, _, action = heapq.heappop(self._events)
            action()
            if done():
                return True
        self.now = end
        return done()

    # Members.

    def living(self) -> list[Member]:
        return [member for member in self.members.values() if member.engine is not None]

    def leader(self) -> Member | None:
        """The living leader of the latest term."""
        leaders = [member for member in self.living() if member.leadership().leads]
        return max(leaders, key=lambda member: member.leadership().term, default=None)

    def boot(self, who: str) -> None:
        """Start a member from its disk, if it may live and does not."""
        member = self.members[who]
        is_away = who not in self.stores or who in self.quarantined
        if member.engine is not None or who not in self.revived or is_away:
            return
        environment, birth = load(member.folder, durable=False, map_size=MAP_SIZE)
        environment.before_commit = self._before_commit
        member.environment, member.state = environment, environment.table("state")
        member.record = environment.table("members")
        member.life += 1
        ids = SeededIds(f"{who}{member.life}{self.random.random()}")
        apply = self._applier(member)
        clock = member.clock(self.now)
        try:
            member.engine = self._engine_class(
                environment,
                birth,
                apply,
                ids,
                clock,
                members_of=self._members_of(member),
                timing=self._timing,
                limits=self._limits,
                background=self._background(member),
            )
        except Crash:
            self.die(member)
            return
        except Fatal as error:
            self.promises.violate(f"{self.now:.3f} s: {who} can't start: {error}")
            self.revived = tuple(each for each in self.revived if each != who)
            self.crash(who)
            return
        self.promises.begins_with(who, member.leadership().applied_index, member.applied())
        self.wake(member, self.now)
        for other in self.members:
            if other != who:
                self.network.connect_soon(who, other, 0.05)
                self.network.connect_soon(other, who, 0.05)

    def crash(self, who: str) -> None:
        """End a member; its disk keeps what was committed."""
        member = self.members[who]
        if member.environment is None:
            return
        self.crashes += 1
        if member.engine is not None:
            member.engine.close()
        member.environment.close()
        member.engine = member.environment = member.state = None
        member.life += 1
        member.inbox, member.proposals, member.reads = [], [], []
        member.busy_until, member.wake_at = self.now, float("inf")
        for other in self.members:
            if other != who:
                self.network.disconnect(who, other)
                self.network.disconnect(other, who)

    def die(self, member: Member, seconds: float = 2.0) -> None:
        """Crash, and come back after a while."""
        self.crash(member.id)
        self.after(self.random.uniform(0.05, seconds), lambda: self.boot(member.id))

    def pause(self, who: str, seconds: float) -> None:
        """Let a member do nothing for a while."""
        self.members[who].busy_until = self.now + seconds

    def _applier(self, member: Member) -> Callable[[WriteTransaction, int, bytes], bytes]:
        def apply(transaction: WriteTransaction, index: int, command: bytes) -> bytes:
            assert member.state is not None
            self.promises.applies(member.id, index, command)
            if transaction.get(member.state, command) is not None:
                self.promises.violate(f"{command!r} applied twice on {member.id}")
            transaction.put(member.state, command, index.to_bytes(8, "big"))
            if command.startswith(CHANGE):
                self._change_members(member, transaction, index, command)
            return command

        return apply

    def _change_members(
        self, member: Member, transaction: WriteTransaction, index: int, command: bytes
    ) -> None:
        assert member.record is not None
        record = apply_change(self._members_of(member)(transaction), command, index)
        transaction.put(member.record, CHANGE, record.SerializeToString())
        if record.revision > self.record.revision:
            self.record = record

    def _members_of(self, member: Member) -> Callable[[ReadTransaction], Members]:
        def members_of(transaction: ReadTransaction) -> Members:
            assert member.record is not None
            return Members.FromString(transaction.get(member.record, CHANGE) or b"")

        return members_of

    def _background(self, member: Member) -> Background:
        """Work beside a member's steps takes a moment, and ends with the member."""

        def start(work: Callable[[], T]) -> "Future[T]":
            future: Future[T] = Future()
            life = member.life

            def end() -> None:
                if member.life != life:
                    return
                done = inline(work)
                if isinstance(error := done.exception(), Crash):
                    self.die(member)
                elif error is not None:
                    future.set_exception(error)
                else:
                    future.set_result(done.result())

            self.after(self.random.uniform(0, COPY_S_MAX), end)
            return future

        return start

    def _before_commit(self) -> None:
        if self.random.random() < self.faults.crash_before_commit:
            raise Crash

    # Steps.

    def wake(self, member: Member, when: float) -> None:
        """Let a member make a step at a time, or when it is free."""
        when = max(when, member.busy_until, self.now)
        if member.engine is None or when >= member.wake_at:
            return
        member.wake_at = when
        life = member.life
        self.at(when, lambda: self._woken(member, life, when))

    def _woken(self, member: Member, life: int, when: float) -> None:
        if member.life != life or member.wake_at != when:
            return
        member.wake_at = float("inf")
        if self.now < member.busy_until:
            self.wake(member, member.busy_until)
        else:
            self._step(member)

    def _step(self, member: Member) -> None:
        """One step; sometimes it finds only the first of the frames that are there."""
        engine = member.engine
        assert engine is not None
        taken = len(member.inbox) if self.random.random() < 0.8 else 1
        inbox, member.inbox = member.inbox[:taken], member.inbox[taken:]
        proposals, member.proposals = member.proposals, []
        reads, member.reads = member.reads, []
        try:
            result = engine.step(inbox, proposals, reads, member.clock(self.now))
        except Crash:
            self.die(member)
            return
        except Replaced:
            self.snapshots += 1
            self.die(member, 0.1)
            return
        except Quarantined as error:
            self.quarantined[member.id] = error
            self.crash(member.id)
            return
        except Fatal as error:
            self.promises.violate(f"{self.now:.3f} s: {member.id} stopped: {error}")
            self.die(member)
            return
        self._end_step(member, engine, result)

    def _end_step(self, member: Member, engine: Engine, result: StepResult) -> None:
        """What the step decided is on disk; what it has to say goes out a little later."""
        if result.leadership.log_first > 1:
            self.cut_logs.add(member.id)
        self.resumed += sum("from byte" in notice for notice in result.notices)
        if result.leadership.leads:
            self.promises.leads(member.id, result.leadership, self.now)
        if self.random.random() < self.faults.crash_after_commit:
            self.die(member)
            return
        member.busy_until = max(member.busy_until, self.now + self.random.uniform(0.0002, 0.004))
        life = member.life
        lines = self.network.lines_from(member.id)
        self.at(member.busy_until, lambda: self._release(member, life, result, lines))
        due = self.now if member.inbox else member.true_time(engine.next_deadline())
        self.wake(member, due)

    def _release(
        self, member: Member, life: int, result: StepResult, lines: dict[str, int]
    ) -> None:
        """Frames go only into connections that were there when the step ended."""
        if member.life != life:
            return
        for peer, frame in result.outbox:
            self.network.send(member.id, peer, lines[peer], frame)
        for answer in result.answers:
            self.promises.answers(answer)
        for read in result.reads:
            applied_index = result.leadership.applied_index
            self.promises.reads(member.id, read.id, read.ok, read.index, applied_index)
        for confirmation in result.confirmations:
            self.promises.confirms(confirmation.id, confirmation.ok)
        for refusal in result.refused:
            if self.operator is not None and is_expected(refusal):
                continue
            self.promises.violate(f"{member.id} refused {refusal.peer}: {refusal.reason}")

    # Clients.

    def propose(self, member: Member) -> bytes:
        """Hand a member a fresh command."""
        id_, command = self.promises.new_command()
        member.proposals.append(Proposal(id_, command))
        self.wake(member, self.now)
        return command

    def read(self, member: Member) -> None:
        """Ask a member for a linearizable read."""
        member.reads.append(self.promises.new_read())
        self.wake(member, self.now)

    def confirm(self, member: Member) -> None:
        """Ask a member for a proof of leadership."""
        assert member.engine is not None
        id_ = self.promises.new_confirmation(member.leadership().term, self.now)
        member.engine.request_confirmation(id_)
        self.wake(member, self.now)

    # The whole story.

    def run(self, seconds: float, faults: Faults | None = None) -> "World":
        """Faults and clients; then a majority alone; then all together."""
        self.faults = faults or Faults()
        mischief = Mischief(self, self.faults)
        self.run_for(seconds)
        mischief.stop()
        if self.operator is not None:
            self.settle_members(self.operator)
        ids = voters(self.record)
        there = [each for each in ids if each not in self.quarantined]
        self.check_progress_of(tuple(sorted(self.random.sample(there, len(ids) // 2 + 1))))
        self.check_agreement()
        self.close()
        return self

    def settle_members(self, operator: Operator) -> None:
        """What is on its way comes to its end, with all members that there are."""
        operator.stop()
        self.heal(tuple(sorted(self.members)))
        if not self.run_for(AGREEMENT_LIMIT_S, lambda: operator.is_settled() and self._agree()):
            self.promises.violate(f"members do not settle, {self.record}: {self.describe()}")

    def heal(self, who: tuple[str, ...]) -> None:
        """End all faults; these members live and are connected, the rest is dead."""
        self.faults, self.revived = CALM, who
        for each in self.members:
            if each not in who:
                self.crash(each)
        self.network.end_stalls()
        for each in who:
            self.members[each].busy_until = self.now
            self.boot(each)
            self.wake(self.members[each], self.now)
        for source, target in self.network.connections:
            self.network.connect_soon(source, target, 0.1)

    def check_progress_of(self, majority: tuple[str, ...]) -> None:
        """A majority alone must acknowledge a write and answer reads."""
        self.heal(majority)
        acknowledged, reads_ok = len(self.promises.acknowledged), self.promises.reads_ok
        if not self._try_until(
            lambda: len(self.promises.acknowledged) > acknowledged + 1, self._propose_to_leader
        ):
            self.promises.violate(f"{majority} made no progress: {self.describe()}")
        elif not self._try_until(
            lambda: self.promises.reads_ok >= reads_ok + len(majority), self._read_everywhere
        ):
            self.promises.violate(f"{majority} answered no reads: {self.describe()}")

    def check_agreement(self) -> None:
        """All members together must come to the same state, with all that was acknowledged."""
        self.heal(tuple(sorted(self.members)))
        if self.run_for(AGREEMENT_LIMIT_S, self._agree):
            states = {member.id: member.applied() for member in self.living()}
            self.promises.check_states(states)
        else:
            self.promises.violate(f"no agreement: {self.describe()}")

    def close(self) -> None:
        """End all members."""
        for each in self.members:
            self.crash(each)

    def describe(self) -> str:
        """Each member in a few words, for the message of a violation."""
        return "; ".join(f"{member.id} {member.leadership()}" for member in self.living())

    def _try_until(self, done: Callable[[], bool], act: Callable[[], None]) -> bool:
        """Do something five times a second, for as long as progress may take."""
        for _ in range(int(PROGRESS_LIMIT_S * 5)):
            act()
            if self.run_for(0.2, done):
                return True
        return False

    def _propose_to_leader(self) -> None:
        leader = self.leader()
        if leader is not None:
            self.propose(leader)

    def _read_everywhere(self) -> None:
        for member in self.living():
            self.read(member)

    def change_members(self) -> "World":
        """Let an operator change the members as long as there is mischief."""
        self.operator = Operator(self)
        return self

    def _agree(self) -> bool:
        views = [member.leadership() for member in self.living()]
        return (
            len(views) == len(self.stores) - len(self.quarantined)
            and len({view.log_last for view in views}) == 1
            and all(view.applied_index == view.log_last for view in views)
            and any(view.noop_applied for view in views)
        )
