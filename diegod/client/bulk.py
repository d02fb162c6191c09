"""Many writes over one stream, which is begun again where it broke off.

What was sent and not answered may have been applied. It is sent again under its request id, which
makes that harmless, and before anything that follows it.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Iterator
from contextlib import aclosing
from typing import cast

from diegod.client.ports import Cluster
from diegod.models.errors import DomainError, Reason
from diegod.v1.task_pb2 import (
    DesireTaskReply,
    DesireTaskRequest,
    DesireTasksReply,
    DesireTasksRequest,
)

_METHOD = "diegod.v1.TaskService/DesireBulk"
_MESSAGE_REQUESTS_MAX = 256
_MESSAGE_BYTES_MAX = 256 * 1024
#: So many are sent ahead of their answers.
_UNANSWERED_MAX = 4096
_PAUSE_S = 0.05
_WORTH_REPEATING = (Reason.NOT_LEADER, Reason.UNAVAILABLE, Reason.UNKNOWN_OUTCOME)


async def in_bulk(
    cluster: Cluster, requests: Iterable[DesireTaskRequest], patience_s: float
) -> AsyncIterator[DesireTaskReply]:
    """A reply each, in order. Raises what repeating would not cure, and what it has not cured for
    `patience_s`: then what was not answered may or may not have been applied."""
    source, unanswered = iter(requests), deque[DesireTaskRequest]()
    loop = asyncio.get_running_loop()
    give_up_at = loop.time() + patience_s
    while True:
        sending = _Sending(unanswered, source)
        broken = DomainError(Reason.UNAVAILABLE, "the stream ended before all was answered")
        try:
            async with aclosing(_duplex(cluster, sending)) as replies:
                async for message in replies:
                    for reply in message.replies:
                        sending.answered()
                        yield reply
                        give_up_at = loop.time() + patience_s  # the caller has its own time
            if sending.done:
                return
        except DomainError as error:
            if error.reason not in _WORTH_REPEATING:
                raise
            broken = error
        finally:
            sending.end()
        if loop.time() > give_up_at:
            raise DomainError(Reason.UNKNOWN_OUTCOME, broken.message)
        await asyncio.sleep(_PAUSE_S)


def _duplex(cluster: Cluster, sending: "_Sending") -> AsyncGenerator[DesireTasksReply, None]:
    replies = cluster.duplex(_METHOD, sending.messages())
    return cast(AsyncGenerator[DesireTasksReply, None], replies)


class _Sending:
    """What one stream sends: first what an earlier one was not answered, then what follows."""

    def __init__(
        self, unanswered: deque[DesireTaskRequest], source: Iterator[DesireTaskRequest]
    ) -> None:
        self._unanswered = unanswered
        self._source = source
        self._again = list(unanswered)
        self._room = asyncio.Event()
        self._ended = False
        self._exhausted = False

    @property
    def done(self) -> bool:
        return self._exhausted and not self._unanswered

    def answered(self) -> None:
        self._unanswered.popleft()
        self._room.set()

    def end(self) -> None:
        """Take nothing more from the source: the next stream does."""
        self._ended = True
        self._room.set()

    async def messages(self) -> AsyncIterator[DesireTasksRequest]:
        message, size = DesireTasksRequest(), 0
        async for request in self._requests():
            following = request.ByteSize()
            full = len(message.requests) == _MESSAGE_REQUESTS_MAX
            if message.requests and (full or size + following > _MESSAGE_BYTES_MAX):
                yield message
                message, size = DesireTasksRequest(), 0
            message.requests.append(request)
            size += following
        if message.requests:
            yield message

    async def _requests(self) -> AsyncIterator[DesireTaskRequest]:
        for request in self._again:
            yield request
        if self._ended:
            return
        for request in self._source:
            self._unanswered.append(request)
            yield request
            while len(self._unanswered) >= _UNANSWERED_MAX and not self._ended:
                self._room.clear()
                await self._room.wait()
            if self._ended:
                return
        self._exhausted = True
