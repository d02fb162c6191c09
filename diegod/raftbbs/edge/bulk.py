"""Many writes of one stream: what waits becomes one submission, and each is answered, in order.

So writes share log entries, hence flushes, with those that came while the last ones were under
way. What is refused at the door keeps its place among the others and does not stop them.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import TypeAlias

from diegod.internal.v1.command_pb2 import Command, Outcome
from diegod.models.errors import DomainError, Reason
from diegod.raftbbs.ticking import SUBMISSION_BYTES_MAX

Write: TypeAlias = Command | DomainError
"""A write, or why it is none."""

Answer: TypeAlias = Outcome | DomainError

Submit: TypeAlias = Callable[[Sequence[Command]], Awaitable[Sequence[Outcome]]]

#: Not about a write, but about who was asked, and when.
_ENDS_THE_STREAM = (Reason.NOT_LEADER, Reason.UNAVAILABLE, Reason.UNKNOWN_OUTCOME)
#: While these are replicated, the next ones gather.
_SUBMISSIONS_MAX = 4
_PER_COMMAND_BYTES = 8


async def in_bulk(
    submit: Submit, writes: AsyncIterator[Sequence[Write]]
) -> AsyncIterator[Sequence[Answer]]:
    """One answer a write, as many at a time as became known together.

    Ends with the first error that asking elsewhere or later may cure, or that says that nobody
    knows what became of a write; then what was not answered may or may not have been applied.
    """
    intake, flights = _Intake(), _Flights(submit)
    filling = asyncio.create_task(intake.fill(writes))
    launching = asyncio.create_task(flights.launch_from(intake))
    try:
        while (flight := await flights.next()) is not None:
            try:
                answers = await flight
            except DomainError as error:
                launching.cancel()
                raise await flights.verdict(error) from None
            yield answers
            flights.landed()
        if intake.error is not None:
            raise intake.error
    finally:
        filling.cancel()
        launching.cancel()
        flights.cancel()


class _Intake:
    """Writes that came in and have not gone on: about one submission, then the sender waits."""

    def __init__(self) -> None:
        self._writes: deque[tuple[Write, int]] = deque()
        self._bytes = 0
        self._changed = asyncio.Event()
        self._ended = False
        self.error: Exception | None = None
        """Why there are no more, if not because the sender is done."""

    async def fill(self, writes: AsyncIterator[Sequence[Write]]) -> None:
        try:
            async for some in writes:
                for write in some:
                    size = write.ByteSize() if isinstance(write, Command) else 0
                    self._writes.append((write, size + _PER_COMMAND_BYTES))
                    self._bytes += size + _PER_COMMAND_BYTES
                self._changed.set()
                while self._bytes >= SUBMISSION_BYTES_MAX:
                    await self._change()
        except Exception as error:
            self.error = error
        finally:
            self._ended = True
            self._changed.set()

    async def take(self) -> list[Write]:
        """What waits, as far as it fits into a submission; [] when there are no more."""
        while not self._writes and not self._ended:
            await self._change()
        taken: list[Write] = []
        size = 0
        while self._writes and (not taken or size + self._writes[0][1] <= SUBMISSION_BYTES_MAX):
            write, following = self._writes.popleft()
            taken.append(write)
            size += following
        self._bytes -= size
        self._changed.set()
        return taken

    async def _change(self) -> None:
        self._changed.clear()
        await self._changed.wait()


class _Flights:
    """Submissions under way, in order."""

    def __init__(self, submit: Submit) -> None:
        self._submit = submit
        self._room = asyncio.Semaphore(_SUBMISSIONS_MAX)
        self._flights: asyncio.Queue[asyncio.Task[list[Answer]] | None] = asyncio.Queue()

    async def launch_from(self, intake: _Intake) -> None:
        """With room first: what is taken then is all that has come meanwhile."""
        await self._room.acquire()
        while writes := await intake.take():
            self._flights.put_nowait(asyncio.create_task(self._carry(writes)))
            await self._room.acquire()
        self._flights.put_nowait(None)

    async def next(self) -> "asyncio.Task[list[Answer]] | None":
        """The oldest; None when there are no more."""
        return await self._flights.get()

    def landed(self) -> None:
        """Its answers were taken."""
        self._room.release()

    async def verdict(self, error: DomainError) -> DomainError:
        """What to say when one has failed: that nothing behind it was applied, if that is so."""
        behind = [flight for flight in self._drained() if flight is not None]
        for ended in await asyncio.gather(*behind, return_exceptions=True):
            if not isinstance(ended, DomainError) or ended.applied == "unknown":
                message = f"{error.message}; what was sent behind it may have been applied"
                return DomainError(Reason.UNKNOWN_OUTCOME, message)
        return error

    def cancel(self) -> None:
        for flight in self._drained():
            if flight is not None:
                flight.cancel()

    def _drained(self) -> "list[asyncio.Task[list[Answer]] | None]":
        return [self._flights.get_nowait() for _ in range(self._flights.qsize())]

    async def _carry(self, writes: Sequence[Write]) -> list[Answer]:
        """An answer each. Raises what concerns all, and what the caller can't take for one."""
        commands = [write for write in writes if isinstance(write, Command)]
        try:
            outcomes = iter(await self._submit(commands) if commands else ())
        except DomainError as error:
            if error.reason in _ENDS_THE_STREAM:
                raise
            return [error if isinstance(write, Command) else write for write in writes]
        return [next(outcomes) if isinstance(write, Command) else write for write in writes]
