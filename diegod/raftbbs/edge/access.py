"""How handlers reach their member: one command with its outcome, one consistent read."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from diegod.internal.v1.command_pb2 import Command, Outcome
from diegod.models.errors import DomainError, Problem, Reason
from diegod.raftbbs.core.keys import KEY_BYTES_MAX
from diegod.raftbbs.member import Member
from diegod.raftbbs.store.envelope import EnvelopeError
from diegod.raftbbs.store.state import StateView
from diegod.security.identity import Principal

T = TypeVar("T")

PAGE_ROWS = 500
PAGE_ROWS_MAX = 5_000
#: How many moments of the state are held at a time for callers that read slowly. LMDB has room
#: for 126 readers, and the tick is one of them.
MOMENTS_MAX = 64
_ROWS_A_TURN = 500
_CAUSE_BYTES_MAX = 1024
_REQUEST_ID_BYTES_MAX = 128


@dataclass(frozen=True)
class Access:
    member: Member
    _moments: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(MOMENTS_MAX))

    async def write(self, caller: Principal, request: Any, command: Command) -> Outcome:
        """The outcome of one command of a client. Raises the refusal, if it is one."""
        outcome = (await self.member.submit([envelope(caller, request, command)]))[0]
        raise_refusal(outcome)
        return outcome

    async def read(self, stale: bool) -> None:
        """Wait until what is read next is linearizable; at once where the caller wants it stale."""
        if not stale:
            await self.member.barrier()

    @contextmanager
    def state(self) -> Iterator[StateView]:
        """One moment of this member's state. Not to be held across an await.

        A value that has become unreadable since the start is the end of this member, not an answer.
        """
        try:
            with self.member.environment.begin_read() as transaction:
                yield StateView(self.member.tables, transaction)
        except EnvelopeError as error:
            self.member.fail(error)
            raise

    @asynccontextmanager
    async def moment(self) -> AsyncIterator[StateView]:
        """One moment of the state for as long as it takes to send it. Waits its turn."""
        async with self._moments:
            with self.state() as state:
                yield state

    async def pages(
        self,
        rows: Callable[[StateView, bytes], AsyncIterator[tuple[bytes, T]]],
        request: Any,
        matches: Callable[[T], bool],
    ) -> AsyncIterator[tuple[Sequence[T], int, str]]:
        """Rows by page with their revision and the token to go on from, all of one transaction."""
        await self.read(request.stale)
        size = min(request.page_size or PAGE_ROWS, PAGE_ROWS_MAX)
        after = decoded_token(request.page_token)
        async with self.moment() as state:
            revision = state.counters().revision
            page: list[T] = []
            async for key, row in rows(state, after):
                if not matches(row):
                    continue
                page.append(row)
                if len(page) == size:
                    yield page, revision, key.hex()
                    page = []
            yield page, revision, ""


def envelope(caller: Principal, request: Any, command: Command) -> Command:
    """The command with who asks and why, as it is replicated. Raises what is wrong with them."""
    refuse_long_words(request)
    command.by = str(caller)
    command.request_id = request.request_id
    command.cause = request.cause
    return command


async def unhurried(rows: Iterator[T]) -> AsyncIterator[T]:
    """The rows, however many. The event loop also carries the heartbeats of the log: it gets a
    turn every few hundred."""
    for number, row in enumerate(rows, 1):
        yield row
        if number % _ROWS_A_TURN == 0:
            await asyncio.sleep(0)


def decoded_token(token: str) -> bytes:
    try:
        after = bytes.fromhex(token)
    except ValueError:
        after = None
    if after is None or len(after) > KEY_BYTES_MAX:
        raise DomainError(Reason.INVALID_REQUEST, "page_token is not one of ours")
    return after


def raise_refusal(outcome: Outcome) -> None:
    if outcome.reason:
        raise DomainError(Reason(outcome.reason), outcome.message)


def refuse_long_words(request: Any) -> None:
    """What becomes part of every row must stay small."""
    limits = (("request_id", _REQUEST_ID_BYTES_MAX), ("cause", _CAUSE_BYTES_MAX))
    problems = [
        Problem(field, f"is longer than {limit} bytes")
        for field, limit in limits
        if len(getattr(request, field).encode()) > limit
    ]
    if problems:
        raise invalid(problems)


def invalid(problems: Sequence[Problem]) -> DomainError:
    message = "; ".join(str(problem) for problem in problems)
    return DomainError(Reason.INVALID_REQUEST, message, problems=problems)
