"""What the kernel counts for a process: CPU, and memory that is its own."""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.bbs.side import Side

_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
_MIB_IN_KIB = 1024.0


def cpu_s(pid: int) -> float:
    """In user and in system mode, of all its threads, since it began."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_A_SECOND


def pss_mb(pid: int) -> float:
    """Its memory; of what it shares, its share."""
    return _line_mb(pid, "smaps_rollup", "Pss:")


def rss_anon_mb(pid: int) -> float:
    """Its memory without mapped files: LMDB's pages are the kernel's to drop."""
    return _line_mb(pid, "status", "RssAnon:")


def _line_mb(pid: int, file: str, name: str) -> float:
    for line in Path(f"/proc/{pid}/{file}").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) / _MIB_IN_KIB
    raise LookupError(f"{name} in /proc/{pid}/{file}")


@dataclass
class Spent:
    """What some work took: time, and CPU of this client and of each member."""

    wall_s: float = 0.0
    client_s: float = 0.0
    members_s: dict[str, float] = field(default_factory=dict)

    @property
    def member_s(self) -> float:
        """Of the mean member."""
        return sum(self.members_s.values()) / max(1, len(self.members_s))

    @property
    def busiest_s(self) -> float:
        return max(self.members_s.values(), default=0.0)


class Meter:
    """Adds up what is spent inside `with`; both sides have one, and take turns."""

    def __init__(self, side: Side) -> None:
        self._side = side
        self.spent = Spent(members_s=dict.fromkeys(side.members, 0.0))

    def __enter__(self) -> None:
        self._before = self._now()

    def __exit__(self, *_: object) -> None:
        before, after = self._before, self._now()
        self.spent.wall_s += after.wall_s - before.wall_s
        self.spent.client_s += after.client_s - before.client_s
        for member, cpu in after.members_s.items():
            self.spent.members_s[member] += cpu - before.members_s[member]

    def _now(self) -> Spent:
        members = {member: cpu_s(self._side.pid(member)) for member in self._side.members}
        return Spent(time.perf_counter(), time.process_time(), members)


def meters(sides: Sequence[Side]) -> dict[str, Meter]:
    return {side.name: Meter(side) for side in sides}
