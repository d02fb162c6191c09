"""What watchers of an LRP have in common: the end of waiting."""

from dataclasses import dataclass
from typing import Protocol

from diegod.v1.record_pb2 import Change


@dataclass(frozen=True)
class Verdict:
    """The command's exit status and what to tell."""

    status: int
    message: str
    runs: bool = False  # all of it: there is output to look at


class Watcher(Protocol):
    """Looks at one change after the other. `now` is any clock that does not jump."""

    def observe(self, change: Change, now: float) -> list[str]: ...

    def verdict(self, now: float) -> Verdict | None: ...

    def deadline(self, now: float) -> float | None: ...
