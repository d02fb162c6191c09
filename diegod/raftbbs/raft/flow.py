"""How much may be on its way to one peer.

The library sends a peer everything it lacks at once, gigabytes perhaps. Here it sends up to a
bound, and more when the peer has acknowledged some of it.
"""

from collections import deque


class Flow:
    """The entries that were sent to one peer and not yet acknowledged, in order."""

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._frames: deque[tuple[int, int]] = deque()  # last index, bytes
        self._bytes = 0

    @property
    def has_room(self) -> bool:
        return self._bytes < self._bytes_max

    def sent(self, last_index: int, size: int) -> None:
        self._frames.append((last_index, size))
        self._bytes += size

    def acknowledged(self, match_index: int) -> None:
        while self._frames and self._frames[0][0] <= match_index:
            self._bytes -= self._frames.popleft()[1]

    def clear(self) -> None:
        """Nothing is on its way: it was lost with the connection, or refused."""
        self._frames.clear()
        self._bytes = 0
