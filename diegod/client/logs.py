"""What a container has said and says. A stream that breaks off goes on where it was.

The server can't resume, so it is read again from the beginning and what was passed on is skipped,
counted apart for each stream: the bytes of one are always the same and in the same order.
"""

import asyncio
from collections.abc import AsyncIterator

from diegod.client.ports import Cluster, SilenceError, begun_within
from diegod.models.errors import DomainError, Reason
from diegod.v1.stream_pb2 import LogChunk, ReadLogsReply, ReadLogsRequest

_METHOD = "diegod.v1.LogService/Read"
_CURED_BY_TRYING = (Reason.UNAVAILABLE, Reason.UNKNOWN_OUTCOME)
#: How often in a row a stream may break off without having brought anything new.
_TRIES = 5
_PAUSE_S = 0.3


class Logs:
    """The output of one container: iterate over its chunks, or have it whole."""

    def __init__(self, cluster: Cluster, request: ReadLogsRequest, timeout_s: float) -> None:
        self._cluster = cluster
        self._request = request
        self._timeout_s = timeout_s

    async def __aiter__(self) -> AsyncIterator[LogChunk]:
        passed_on: dict[int, int] = dict.fromkeys(LogChunk.Stream.values(), 0)
        tries_left = _TRIES
        while True:
            before = sum(passed_on.values())
            try:
                async for chunk in self._unseen(passed_on):
                    yield chunk
                return
            except SilenceError:
                raise
            except DomainError as error:
                tries_left = _TRIES if sum(passed_on.values()) > before else tries_left - 1
                if not self._can_resume(error, before, passed_on) or tries_left == 0:
                    raise
            await asyncio.sleep(_PAUSE_S)

    def _can_resume(self, error: DomainError, before: int, passed_on: dict[int, int]) -> bool:
        """A tail begins elsewhere each time it is read."""
        begun = before or sum(passed_on.values())
        return error.reason in _CURED_BY_TRYING and not (begun and self._request.tail_lines)

    async def _unseen(self, passed_on: dict[int, int]) -> AsyncIterator[LogChunk]:
        """One reading of the whole, without what was passed on before."""
        skip = dict(passed_on)
        async for reply in self._replies():
            for chunk in reply.chunks:
                skipped = min(skip[chunk.stream], len(chunk.data))
                skip[chunk.stream] -= skipped
                passed_on[chunk.stream] += len(chunk.data) - skipped
                if skipped < len(chunk.data):
                    rest = chunk.data[skipped:]
                    yield LogChunk(stream=chunk.stream, data=rest, at=chunk.at)

    def _replies(self) -> AsyncIterator[ReadLogsReply]:
        """A container that is followed may be silent for as long as it likes."""
        replies = self._cluster.stream(_METHOD, self._request)
        return replies if self._request.follow else begun_within(replies, self._timeout_s)

    async def bytes(self) -> bytes:
        """Both streams as they came, one after the other."""
        return b"".join([chunk.data async for chunk in self])

    async def text(self) -> str:
        return (await self.bytes()).decode("utf-8", "replace")
