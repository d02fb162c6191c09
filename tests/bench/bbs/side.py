"""What the benchmark asks of either cluster: three members, and one client that writes and watches.

Measures are written against this alone, so that both are asked for the same.
"""

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

MEMBERS = 3
VALUE_BYTES = 256


class Side(Protocol):
    name: str
    members: Sequence[str]

    async def start(self) -> None:
        """A new cluster; returns when it has a leader and takes writes."""

    async def stop(self) -> None:
        """End every process and remove its data. Whatever had been started, and more than once."""

    def pid(self, member: str) -> int: ...

    async def leader(self) -> str: ...

    async def kill(self, member: str) -> None:
        """SIGKILL; returns when the process is gone."""

    async def restart(self, member: str) -> None:
        """Start a member that was killed; returns when it answers a linearizable read."""

    async def whole(self) -> None:
        """Returns when every member runs and has applied everything."""

    async def put(self, key: str) -> None:
        """One durable write; returns when it is acknowledged, by whichever leader."""

    async def put_many(self, keys: Sequence[str]) -> None:
        """Many durable writes in the way that is meant for many."""

    def follow(self, member: str, key: str, channel: int) -> AsyncIterator[str]:
        """Keys as they are written, as this member tells; first "" when the watch has begun.

        `key` "" follows all. Watches with the same number share a connection.
        """

    async def list_all(self) -> int:
        """Read every row through the API; how many there are."""
