"""A client of the BBS: finds the leader, follows it, repeats what may be repeated, resumes watches.

Runs on any asyncio loop with any dialer, so the simulation exercises this very code. It never
guesses: a write whose fate is not known is repeated only if its method says so (it carries a
request id), and is otherwise reported as UNKNOWN_OUTCOME.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

from diegod.models.errors import DomainError, Reason
from diegod.rpc.dialer import Dialer
from diegod.rpc.methods import Method, method
from diegod.v1.event_pb2 import WatchReply, WatchRequest
from diegod.world import Clock, Ids

#: Refusals that another member, or the same one a moment later, may answer otherwise.
_TRY_ELSEWHERE = (Reason.NOT_LEADER, Reason.UNAVAILABLE)
#: Whoever answers so may be gone, or cut off from the others: the next call goes elsewhere.
_UNANSWERED = (*_TRY_ELSEWHERE, Reason.UNKNOWN_OUTCOME)
#: What no earlier try of the same request can have been the cause of.
_SAME_EACH_TIME = (Reason.INVALID_REQUEST, Reason.PERMISSION_DENIED, Reason.UNAUTHENTICATED)
#: How long one member may take over a call that another could answer as well.
_TRY_S = 3.0
_PAUSE_S = 0.05
_PAUSE_S_MAX = 0.5
#: A member sends a progress mark every 2 s; after three missed ones it is not worth waiting for.
_WATCH_SILENCE_S = 6.0


class ClusterClient:
    """Speaks with whichever member answers; the one that answered last is asked first."""

    def __init__(self, dialer: Dialer, addresses: Sequence[str], clock: Clock, ids: Ids) -> None:
        if not addresses:
            raise ValueError("a client needs the address of at least one member")
        self._dialer = dialer
        self._addresses = list(addresses)
        self._clock = clock
        self._ids = ids
        self._leader = ""
        self._reader = self._addresses[0]

    @property
    def dialer(self) -> Dialer:
        return self._dialer

    @property
    def leader_address(self) -> str:
        """Where the leader was last; the first address where that isn't known."""
        return self._leader or self._reader

    async def call(self, name: str, request: Any, timeout_s: float | None = None) -> Any:
        """One call, at the leader where the method needs it, until it is answered or time is up."""
        row = method(name)
        deadline = self._clock.monotonic() + (timeout_s or row.deadline_s or 30.0)
        if hasattr(request, "request_id") and not request.request_id:
            request.request_id = self._ids.new_id()
        pause_s, uncertain = _PAUSE_S, False
        while True:
            address = self._choose(row)
            left_s = deadline - self._clock.monotonic()
            try:
                try_s = min(left_s, _TRY_S) if row.repeatable else left_s
                return await self._dialer.call(address, row, request, max(try_s, 0.001))
            except DomainError as error:
                uncertain |= error.reason is Reason.UNKNOWN_OUTCOME
                if uncertain and row.removes and error.reason is Reason.RESOURCE_NOT_FOUND:
                    return row.reply()  # an earlier try removed it; only its answer was lost
                if error.reason in _UNANSWERED:
                    self._learn(address, error)
                in_time = self._clock.monotonic() + pause_s < deadline
                if not (in_time and self._worth_repeating(row, error)):
                    raise _judged(row, error, uncertain) from None
            await asyncio.sleep(self._ids.uniform(0.5, 1.0) * pause_s)
            pause_s = min(2 * pause_s, _PAUSE_S_MAX)

    async def stream(self, name: str, request: Any) -> AsyncIterator[Any]:
        """One streamed reply. Another member is tried only while nothing has been received."""
        row = method(name)
        deadline = self._clock.monotonic() + (row.deadline_s or 10.0)
        while True:
            address = self._choose(row)
            received = False
            try:
                async for reply in self._dialer.stream(address, row, request, row.deadline_s):
                    received = True
                    yield reply
                return
            except DomainError as error:
                if received or not self._worth_repeating(row, error):
                    raise
                self._learn(address, error)
                if self._clock.monotonic() >= deadline:
                    raise
            await asyncio.sleep(_PAUSE_S)

    async def duplex(self, name: str, requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
        """Two streams with the leader, or with any member; the caller starts over when it ends."""
        row = method(name)
        address = self._choose(row)
        try:
            async for reply in self._dialer.duplex(address, row, requests, None):
                yield reply
        except DomainError as error:
            self._learn(address, error)
            raise

    async def watch(self, request: WatchRequest) -> AsyncIterator[WatchReply]:
        """Changes without an end: goes on at another member from the last revision it has seen.

        Raises only what trying again would not cure: COMPACTED, or a refusal of the caller.
        """
        position = WatchRequest()
        position.CopyFrom(request)
        row = method("diegod.v1.EventService/Watch")
        while True:
            address = self._choose(row)
            replies = self._audible(self._dialer.stream(address, row, position, None))
            try:
                async for reply in _whole_beginning(replies, position.from_revision != 0):
                    position.from_revision = reply.revision or position.from_revision
                    yield reply
            except DomainError as error:
                if not self._worth_repeating(row, error):
                    raise
                self._learn(address, error)
            else:
                self.leave(address)
            await asyncio.sleep(_PAUSE_S)

    async def _audible(self, replies: AsyncIterator[Any]) -> AsyncIterator[Any]:
        """The replies, until there is silence for longer than a member is ever silent."""
        iterator = replies.__aiter__()
        while True:
            try:
                # Not wait_for: it may lose a cancellation that comes together with a reply or an
                # error, and whoever cancelled would wait for ever.
                async with asyncio.timeout(_WATCH_SILENCE_S):
                    reply = await iterator.__anext__()
            except StopAsyncIteration:
                return
            except TimeoutError:
                raise DomainError(Reason.UNAVAILABLE, "the member fell silent") from None
            yield reply

    def _choose(self, row: Method) -> str:
        return self.leader_address if row.leader_only else self._reader

    def _worth_repeating(self, row: Method, error: DomainError) -> bool:
        if error.reason in _TRY_ELSEWHERE:
            return True
        return error.reason is Reason.UNKNOWN_OUTCOME and row.repeatable

    def _learn(self, address: str, error: DomainError) -> None:
        """Where to go next: to the leader that was named, or away from who didn't answer."""
        if error.reason is Reason.NOT_LEADER and error.leader_address:
            self._leader = error.leader_address
        else:
            self.leave(address)

    def leave(self, address: str) -> None:
        """Somebody waited for this member in vain: ask another one first."""
        if address == self._leader:
            self._leader = ""
        if address == self._reader:
            self._reader = self._after(address)

    def _after(self, address: str) -> str:
        if address not in self._addresses:
            return self._addresses[0]
        return self._addresses[(self._addresses.index(address) + 1) % len(self._addresses)]


async def _whole_beginning(
    replies: AsyncIterator[WatchReply], begun: bool
) -> AsyncIterator[WatchReply]:
    """The replies; the rows of a beginning only once they are complete.

    A beginning that breaks off starts over at another member, at another revision: half of one
    and half of another would be a state that never was.
    """
    beginning: list[WatchReply] = []
    async for reply in replies:
        if begun:
            yield reply
            continue
        beginning.append(reply)
        if reply.rows_end:
            begun = True
            for each in beginning:
                yield each


def _judged(row: Method, error: DomainError, uncertain: bool) -> DomainError:
    """A write that was tried several times is as unknown as its least known try: that a task is
    not there may be what the first try to delete it has done."""
    if uncertain and row.leader_only and error.reason not in _SAME_EACH_TIME:
        return DomainError(Reason.UNKNOWN_OUTCOME, error.message)
    return error
