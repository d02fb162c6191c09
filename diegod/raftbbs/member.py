"""One BBS member as the rest of its process sees it: submit, read, renew, watch.

Lives on the event loop. What it is asked goes into an inbox; a driver ticks the inbox (`driver.py`:
a thread of its own in production, the loop itself in simulation) and brings the results back here.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from diegod.internal.v1.command_pb2 import Command, Members, Outcome
from diegod.internal.v1.raft_pb2 import RaftFrame
from diegod.models.errors import DomainError, Reason
from diegod.raftbbs.core.agreement import Comparison
from diegod.raftbbs.core.leases import Key
from diegod.raftbbs.core.load_limits import Load, LoadLimits, refusal, short_of_disk
from diegod.raftbbs.core.membership import find
from diegod.raftbbs.feed import Feed
from diegod.raftbbs.raft.api import Leadership
from diegod.raftbbs.store.counters import Counters
from diegod.raftbbs.store.environment import Environment
from diegod.raftbbs.store.identity import META_TABLE, Birth, known_store
from diegod.raftbbs.store.members import effective
from diegod.raftbbs.store.rekeying import Progress
from diegod.raftbbs.store.state import StateView
from diegod.raftbbs.store.tables import Tables
from diegod.raftbbs.ticking import (
    Inbox,
    LinkChange,
    Renewal,
    Submission,
    TickResult,
    TransferRequest,
)

T = TypeVar("T")

#: A member that has not heard a leader for this long ends its watches.
SILENCE_S = 2.0


class Member:
    def __init__(
        self,
        birth: Birth,
        environment: Environment,
        tables: Tables,
        leadership: Leadership,
        wake: Callable[[], None],
        limits: LoadLimits | None = None,
    ) -> None:
        self.birth = birth
        self.tables = tables
        self.environment = environment
        self.feed = Feed()
        self.leadership = leadership
        self.clock_offset_s = 0.0
        self.free_disk_bytes = environment.free_disk_bytes()
        """As of the last look; whoever runs the member looks again now and then."""
        self.send: Callable[[str, RaftFrame], None] = lambda peer, frame: None
        self.refuse: Callable[[str, str], None] = lambda peer, reason: None
        self.fail: Callable[[Exception], None] = lambda error: None
        self.note: Callable[[str], None] = lambda notice: None
        self.follow: Callable[[Members], None] = lambda members: None
        self.rekey_progress: Callable[[], Progress] = Progress
        self._wake = wake
        self._limits = limits or LoadLimits()
        self._queued_bytes = 0
        self.noted_alarms: dict[str, str] = {}
        """What else an operator should know, one sentence each, by whoever found it."""
        self._beside = ThreadPoolExecutor(1, "beside")  # its thread is made when it is needed
        self._inbox = Inbox()
        self._submitted: dict[int, asyncio.Future[Sequence[Outcome]]] = {}
        self._reading: dict[int, list[asyncio.Future[None]]] = {}
        self._renewing: dict[int, asyncio.Future[bool]] = {}
        self._readers: list[asyncio.Future[None]] = []
        self._unseen_links: deque[str] = deque()  # peers whose link changed, until a tick knows it
        self._links_seen = 0
        self._number = 0
        self._meta = environment.table(META_TABLE)
        self._transferring: dict[int, asyncio.Future[None]] = {}
        with environment.begin_read() as transaction:
            state = StateView(tables, transaction)
            self.feed.revision = state.counters().revision
            self.members = effective(birth, state.members())

    @property
    def leader_address(self) -> str:
        leader = find(self.members, self.leadership.leader_id)
        return "" if leader is None else leader.address

    @property
    def is_member(self) -> bool:
        """Whether the record that this member goes by knows it, with its store."""
        known = find(self.members, self.birth.member_id)
        return known is not None and known.store_id in ("", self.birth.store_id)

    def store_of(self, member_id: str) -> str:
        """The store that a member takes part with, as far as it is known; "" else."""
        known = find(self.members, member_id)
        if known is not None and known.store_id:
            return known.store_id
        if member_id == self.birth.member_id:
            return self.birth.store_id
        with self.environment.begin_read() as transaction:
            return known_store(transaction, self._meta, member_id)

    @property
    def load(self) -> Load:
        """What this member has on its hands now."""
        known = self.leadership
        backlog = known.log_last - known.applied_index
        return Load(len(self._submitted), self._queued_bytes, backlog, self.free_disk_bytes)

    @property
    def is_short_of_disk(self) -> bool:
        """Whether this member takes no new work because its disk is nearly full."""
        return short_of_disk(self.load, self._limits)

    @property
    def alarms(self) -> list[str]:
        """What an operator should know of this member: one sentence each."""
        noted = [self.noted_alarms[finder] for finder in sorted(self.noted_alarms)]
        if not self.is_short_of_disk:
            return noted
        free_mb, needed_mb = self.free_disk_bytes >> 20, self._limits.free_disk_bytes >> 20
        return [
            f"{self.birth.member_id} has {free_mb} MB of free disk and takes no new work below "
            f"{needed_mb} MB",
            *noted,
        ]

    def counters(self) -> Counters:
        with self.environment.begin_read() as transaction:
            return StateView(self.tables, transaction).counters()

    def last_comparison(self) -> Comparison | None:
        with self.environment.begin_read() as transaction:
            return StateView(self.tables, transaction).last_comparison()

    async def submit(self, commands: Sequence[Command]) -> Sequence[Outcome]:
        """One outcome each. Raises NOT_LEADER, UNAVAILABLE or RESOURCE_EXHAUSTED: nothing was
        applied; or UNKNOWN_OUTCOME."""
        if not self.leadership.leads:
            raise self.not_leader()
        if reason := refusal(commands, self.load, self._limits):
            raise DomainError(Reason.RESOURCE_EXHAUSTED, reason)
        number, size = self._next(), sum(command.ByteSize() for command in commands)
        self._inbox.submissions.append(Submission(number, commands))
        self._queued_bytes += size
        try:
            return await self._answer(self._submitted, number)
        except DomainError as error:
            raise self._directed(error) from None
        finally:
            self._queued_bytes -= size

    async def barrier(self) -> None:
        """Returns once this member's state has everything that was acknowledged before the call."""
        reader: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._readers.append(reader)
        self._wake()
        await reader

    async def renew(self, key: Key, sequence: int) -> bool:
        """Whether the lease is held, as confirmed by a majority after the call."""
        if not self.leadership.leads:
            raise self.not_leader()
        number = self._next()
        self._inbox.renewals.append(Renewal(number, key, sequence))
        try:
            return await self._answer(self._renewing, number)
        except DomainError as error:
            raise self._directed(error) from None

    async def transfer(self, to: str) -> None:
        """Returns once this member no longer leads; raises when it goes on leading."""
        number = self._next()
        self._inbox.transfers.append(TransferRequest(number, to))
        await self._answer(self._transferring, number)
    async def apart(self, work: Callable[[], T]) -> T:
        """Work that reads the store and takes long, one at a time in a thread beside the ticks."""
        running = asyncio.get_running_loop().run_in_executor(self._beside, work)
        return await asyncio.shield(running)

    def shrink_store(self) -> None:
        """Have the store replaced by a compact copy with the next tick: this process then ends."""
        self._inbox.shrink = True
        self._wake()

    async def close(self) -> None:
        """Returns when nobody reads the store beside the ticks any more."""
        await asyncio.to_thread(self._beside.shutdown, cancel_futures=True)

    def received(self, peer: str, frame: RaftFrame) -> None:
        self._inbox.frames.append((peer, frame))
        self._wake()

    def connected(self, peer: str) -> None:
        self._link_changed(LinkChange(peer, up=True))

    def disconnected(self, peer: str) -> None:
        self._link_changed(LinkChange(peer, up=False))

    def _link_changed(self, change: LinkChange) -> None:
        self._inbox.links.append(change)
        self._unseen_links.append(change.peer)
        self._wake()

    def take(self) -> Inbox:
        """Everything that has come in; the next tick's input. Called by the driver."""
        inbox, self._inbox = self._inbox, Inbox()
        if self._readers:
            number = self._next()
            self._reading[number], self._readers = self._readers, []
            inbox.reads.append(number)
        return inbox

    def deliver(self, result: TickResult) -> None:
        """What came of a tick. Called by the driver, on the event loop."""
        self.leadership = result.leadership
        self.clock_offset_s = result.clock_offset_s
        self._send(result)
        if result.members is not None:
            self.members = result.members
            self.follow(result.members)
        for notice in result.notices:
            self.note(notice)
        for entry in result.entries:
            self.feed.publish(entry.revision, entry.changes)
        for number, outcome in result.outcomes:
            _resolve(self._submitted.pop(number, None), outcome)
        for number, ok in result.reads:
            for reader in self._reading.pop(number, []):
                _resolve(reader, None if ok else self.no_leader())
        for number, failure in result.transfers:
            _resolve(self._transferring.pop(number, None), failure)
        for number, held in result.renewals:
            _resolve(self._renewing.pop(number, None), held)

    def _send(self, result: TickResult) -> None:
        """Into the connections that the tick knew: what was meant for one that has ended since is
        lost with it, and must not reach the next."""
        for _ in range(result.links_seen - self._links_seen):
            self._unseen_links.popleft()
        self._links_seen = result.links_seen
        for peer, frame in result.frames:
            if peer not in self._unseen_links:
                self.send(peer, frame)
        for refused in result.refused:
            if refused.peer not in self._unseen_links:
                self.refuse(refused.peer, refused.reason)

    def not_leader(self) -> DomainError:
        if not self.leader_address:
            return self.no_leader()
        return DomainError(
            Reason.NOT_LEADER,
            f"{self.birth.member_id} does not lead; {self.leadership.leader_id} does",
            leader_address=self.leader_address,
        )

    def no_leader(self) -> DomainError:
        return DomainError(Reason.UNAVAILABLE, f"{self.birth.member_id} knows no leader now")

    def _directed(self, error: DomainError) -> DomainError:
        """The log says that it does not lead; where to go is known here."""
        return self.not_leader() if error.reason is Reason.NOT_LEADER else error

    def _next(self) -> int:
        self._number += 1
        return self._number

    async def _answer(self, waiting: dict[int, "asyncio.Future[T]"], number: int) -> T:
        answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        waiting[number] = answer
        self._wake()
        try:
            return await answer
        finally:
            waiting.pop(number, None)


def _resolve(waiting: "asyncio.Future[T] | None", answer: T | DomainError) -> None:
    if waiting is None or waiting.done():
        return  # the caller has gone
    if isinstance(answer, DomainError):
        waiting.set_exception(answer)
    else:
        waiting.set_result(answer)
