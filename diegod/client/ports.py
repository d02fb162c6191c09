"""What the client asks of the connection. `diegod.rpc.client.ClusterClient` in production."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any, Protocol, TypeVar, cast

from diegod.models.errors import DomainError, Reason
from diegod.v1.event_pb2 import WatchReply, WatchRequest

T = TypeVar("T")


class Cluster(Protocol):
    """Calls by name, with whichever member can answer."""

    async def call(self, name: str, request: Any, timeout_s: float | None = None) -> Any: ...

    def stream(self, name: str, request: Any) -> AsyncIterator[Any]: ...

    def duplex(self, name: str, requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
        """Two streams with one member; whoever began them starts over when they end."""

    def watch(self, request: WatchRequest) -> AsyncIterator[WatchReply]:
        """Goes on by itself after a lost connection; raises what trying again would not cure."""


class SilenceError(DomainError):
    """Nobody answered for as long as somebody would wait. All members were tried meanwhile."""

    def __init__(self, waited_s: float) -> None:
        super().__init__(Reason.UNAVAILABLE, f"no answer within {waited_s:g} s")


async def begun_within(replies: AsyncIterator[T], first_s: float) -> AsyncIterator[T]:
    """The replies; SilenceError when the first one takes longer than `first_s`.

    Streams look for another member for as long as they are let; a person wants to be told.
    """
    async with aclosing(cast(AsyncGenerator[T, None], replies)) as source:
        try:
            async with asyncio.timeout(first_s):
                first = await anext(source)
        except StopAsyncIteration:
            return
        except TimeoutError:
            raise SilenceError(first_s) from None
        yield first
        async for reply in source:
            yield reply
