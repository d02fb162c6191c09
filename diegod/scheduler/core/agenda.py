"""When time alone makes something worth looking at again: one moment a key, the earliest."""

from collections.abc import Iterable
from heapq import heappop, heappush

from diegod.scheduler.core.repairs import Deadline
from diegod.scheduler.core.snapshot import Key


class Agenda:
    def __init__(self) -> None:
        self._at: dict[Key, float] = {}
        self._heap: list[tuple[float, Key]] = []  # holds more than `_at`: what was put off since

    def replace(self, reviewed: Iterable[Key], deadlines: Iterable[Deadline]) -> None:
        """A pass has looked at these keys: what was noted for them before is void."""
        for key in reviewed:
            self._at.pop(key, None)
        for deadline in deadlines:
            self.note(deadline)

    def note(self, deadline: Deadline) -> None:
        if deadline.at < self._at.get(deadline.key, float("inf")):
            self._at[deadline.key] = deadline.at
            heappush(self._heap, (deadline.at, deadline.key))

    def next_at(self) -> float | None:
        self._drop_void()
        return self._heap[0][0] if self._heap else None

    def take_due(self, now: float) -> list[Key]:
        due: list[Key] = []
        while (at := self.next_at()) is not None and at <= now:
            key = heappop(self._heap)[1]
            del self._at[key]
            due.append(key)
        return due

    def _drop_void(self) -> None:
        while self._heap and self._at.get(self._heap[0][1]) != self._heap[0][0]:
            heappop(self._heap)
