"""A cluster that answers as it was told, for clients and commands: the port they speak to."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from diegod.models.errors import DomainError
from diegod.v1.event_pb2 import WatchReply, WatchRequest

#: A reply, a refusal to raise, or something done on the way.
Step = Any


@dataclass
class FakeCluster:
    """Answers by method name: a reply, a DomainError, or a function of the request."""

    calls: dict[str, Any] = field(default_factory=dict)
    streams: dict[str, Any] = field(default_factory=dict)
    watched: Sequence[Step] = ()
    requests: list[tuple[str, Any]] = field(default_factory=list)

    def asked(self, name: str) -> list[Any]:
        """Every request of this method so far."""
        return [request for each, request in self.requests if each == name]

    async def call(self, name: str, request: Any, timeout_s: float | None = None) -> Any:
        self._note(name, request)
        answer = self.calls[name.removeprefix("diegod.v1.")]
        answer = answer(request) if isinstance(answer, Callable) else answer  # type: ignore[arg-type]
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def stream(self, name: str, request: Any) -> AsyncIterator[Any]:
        self._note(name, request)
        steps = self.streams[name.removeprefix("diegod.v1.")]
        async for reply in _played(steps(request) if isinstance(steps, Callable) else steps):  # type: ignore[arg-type]
            yield reply

    async def duplex(self, name: str, requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
        """Answered by a function of the request stream."""
        async for reply in self.streams[name.removeprefix("diegod.v1.")](requests):
            yield reply

    async def watch(self, request: WatchRequest) -> AsyncIterator[WatchReply]:
        """The steps, then silence: a watch has no end."""
        self._note("watch", request)
        async for reply in _played(self.watched):
            yield reply
        await asyncio.Event().wait()

    def _note(self, name: str, request: Any) -> None:
        copy = type(request)()
        copy.CopyFrom(request)
        self.requests.append((name.removeprefix("diegod.v1."), copy))


async def _played(steps: Sequence[Step]) -> AsyncIterator[Any]:
    for step in steps:
        await asyncio.sleep(0)
        if isinstance(step, DomainError):
            raise step
        if isinstance(step, float):
            await asyncio.sleep(step)
        elif isinstance(step, Callable):  # type: ignore[arg-type]
            step()
        else:
            yield step
