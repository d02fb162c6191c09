"""A dialer that answers as a test says, on an event loop whose time jumps."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from diegod.models.errors import DomainError, Reason
from diegod.rpc.client import ClusterClient
from diegod.rpc.methods import Method
from diegod.world.ids import SeededIds
from tests.unit.scheduler.virtual_time import LoopClock, VirtualLoop, run

ADDRESSES = ("a:1", "b:1", "c:1")


@dataclass(frozen=True)
class Silence:
    """Nothing comes for so long."""

    seconds: float = 1e6


#: What a member does with a request: an answer, a refusal, or nothing.
Answer = Any | DomainError | Silence


def unavailable() -> DomainError:
    return DomainError(Reason.UNAVAILABLE, "connection refused")


def unknown() -> DomainError:
    return DomainError(Reason.UNKNOWN_OUTCOME, "lost it in the middle")


def not_leader(leader: str = "") -> DomainError:
    return DomainError(Reason.NOT_LEADER, "not the leader", leader_address=leader)


@dataclass
class ScriptedDialer:
    """`answers` says what comes of a call; `streams` what a stream yields, one after the other."""

    answers: Callable[[str, Any], Answer] = lambda address, request: unavailable()
    streams: Callable[[str, Any], list[Answer]] = lambda address, request: [unavailable()]
    asked: list[tuple[str, Any]] = field(default_factory=list)
    timeouts: list[float | None] = field(default_factory=list)
    open_streams: int = 0

    @property
    def addresses(self) -> list[str]:
        return [address for address, _ in self.asked]

    async def call(self, address: str, method: Method, request: Any, timeout_s: float) -> Any:
        self._note(address, request, timeout_s)
        answer = self.answers(address, request)
        if isinstance(answer, Silence):
            await asyncio.sleep(min(answer.seconds, timeout_s))
            raise unknown()  # as gRPC's deadline
        return _given(answer)

    async def stream(
        self, address: str, method: Method, request: Any, timeout_s: float | None
    ) -> AsyncIterator[Any]:
        self._note(address, request, timeout_s)
        self.open_streams += 1
        try:
            for answer in self.streams(address, request):
                if isinstance(answer, Silence):
                    await asyncio.sleep(answer.seconds)
                else:
                    yield _given(answer)
        finally:
            self.open_streams -= 1

    async def duplex(
        self, address: str, method: Method, requests: AsyncIterator[Any], timeout_s: float | None
    ) -> AsyncIterator[Any]:
        """Each request is answered by `answers`."""
        self.open_streams += 1
        try:
            async for request in requests:
                self._note(address, request, timeout_s)
                answer = self.answers(address, request)
                if isinstance(answer, Silence):
                    await asyncio.sleep(answer.seconds)
                else:
                    yield _given(answer)
        finally:
            self.open_streams -= 1

    async def close(self) -> None:
        return

    def _note(self, address: str, request: Any, timeout_s: float | None) -> None:
        copied = type(request)()
        copied.CopyFrom(request)  # a client may change its own for the next try
        self.asked.append((address, copied))
        self.timeouts.append(timeout_s)


def _given(answer: Answer) -> Any:
    if isinstance(answer, DomainError):
        raise answer
    return answer


def in_virtual_time(
    dialer: ScriptedDialer, scenario: Callable[[ClusterClient], Coroutine[Any, Any, Any]]
) -> tuple[Any, float]:
    """What the scenario returns, and how many (virtual) seconds it took."""
    loop = VirtualLoop()
    came: list[Any] = []

    async def play() -> None:
        client = ClusterClient(dialer, ADDRESSES, LoopClock(loop), SeededIds(1))
        came.append(await scenario(client))
        came.append(loop.time())

    run(play(), loop)
    return came[0], came[1]
