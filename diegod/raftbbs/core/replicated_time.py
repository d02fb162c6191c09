"""Replicated time: what the cluster calls now, stamped by the leader on each entry.

It advances with the leader's monotonic clock from the last stamp and is steered towards the
leader's wall clock by at most one second in ten, never backwards. So a leader whose wall clock
jumps by an hour makes nobody's deadline pass.
"""

from dataclasses import dataclass

NS = 1_000_000_000
_STEERING = 0.1


@dataclass
class ReplicatedTime:
    """`last_ns`: the greatest stamp made or applied here. `seen_at_s`: monotonic, when that was."""

    last_ns: int
    seen_at_s: float

    def observe(self, stamp_ns: int, monotonic_s: float) -> None:
        """A stamp was applied. Older ones change nothing."""
        if stamp_ns > self.last_ns:
            self.last_ns = stamp_ns
            self.seen_at_s = monotonic_s

    def next_stamp(self, monotonic_s: float, wall_s: float) -> int:
        """The stamp of an entry that is proposed now.

        Time goes on from it at once. If it went on from stamps that were applied, what passes
        between a proposal and its commit would be lost, most of it on a busy leader.
        """
        self.observe(self._stamp_at(monotonic_s, wall_s), monotonic_s)
        return self.last_ns

    def clock_offset_s(self, monotonic_s: float, wall_s: float) -> float:
        """How far this member's wall clock is ahead of what the cluster calls now."""
        if self.last_ns == 0:
            return 0.0
        return wall_s - (self.last_ns / NS + monotonic_s - self.seen_at_s)

    def _stamp_at(self, monotonic_s: float, wall_s: float) -> int:
        if self.last_ns == 0:
            return int(wall_s * NS)
        elapsed_ns = max(0, int((monotonic_s - self.seen_at_s) * NS))
        expected_ns = self.last_ns + elapsed_ns
        most_ns = int(elapsed_ns * _STEERING)
        error_ns = int(wall_s * NS) - expected_ns
        return max(self.last_ns, expected_ns + max(-most_ns, min(most_ns, error_ns)))
