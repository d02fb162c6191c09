"""How a caller reaches an address: gRPC (`channel.py`), or a virtual network in simulation.

Errors are `DomainError`: UNAVAILABLE when the request was certainly not carried out,
UNKNOWN_OUTCOME when nobody can tell, or whatever the other side refused it with.
"""

from collections.abc import AsyncIterator
from typing import Any, Protocol

from diegod.rpc.methods import Method


class Dialer(Protocol):
    async def call(self, address: str, method: Method, request: Any, timeout_s: float) -> Any:
        """One request, one reply."""

    def stream(
        self, address: str, method: Method, request: Any, timeout_s: float | None
    ) -> AsyncIterator[Any]:
        """One request, many replies; ends when the other side ends it."""

    def duplex(
        self, address: str, method: Method, requests: AsyncIterator[Any], timeout_s: float | None
    ) -> AsyncIterator[Any]:
        """Many requests, many replies."""

    async def close(self) -> None: ...
