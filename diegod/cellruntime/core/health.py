"""When a container is probed, and what the results mean: one monitor a container.

Until it is healthy, each check is tried every half second, for `start_timeout_s` at most. From
then on each runs at its own interval, and `failure_threshold` failures in a row make the container
unhealthy. Does not know what a probe is, or what follows from a finding.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from diegod.v1.definition_pb2 import Check

STARTUP_INTERVAL_S = 0.5


@dataclass(frozen=True)
class Finding:
    """Something has changed: it became healthy, or it must be given up."""

    healthy: bool
    reason: str = ""


@dataclass(frozen=True)
class _Rule:
    interval_s: float
    failures_max: int


@dataclass
class _Track:
    """One check. `due_at` is None while its probe is under way."""

    rule: _Rule
    due_at: float | None
    passed: bool = False  # the latest result
    failures: int = 0  # in a row
    problem: str = ""  # of the latest failure


class Monitor:
    """All checks of one container. Without checks, use none: a started program is healthy."""

    def __init__(
        self, checks: Sequence[Check], now: float, start_timeout_s: float, *, healthy: bool = False
    ) -> None:
        self.healthy = healthy
        self._tracks = [_Track(_rule(check), due_at=now) for check in checks]
        self._start_timeout_s = start_timeout_s  # 0: no limit
        self._give_up_at = now + start_timeout_s if start_timeout_s and not healthy else None

    def next_deadline(self) -> float | None:
        times = [track.due_at for track in self._tracks if track.due_at is not None]
        if self._give_up_at is not None:
            times.append(self._give_up_at)
        return min(times, default=None)

    def on_timer(self, now: float) -> list[int]:
        """The checks to be probed now; each will be answered with `on_result`."""
        due = [
            index
            for index, track in enumerate(self._tracks)
            if track.due_at is not None and track.due_at <= now
        ]
        for index in due:
            self._tracks[index].due_at = None
        return due

    def given_up(self, now: float) -> Finding | None:
        """It was not healthy in time."""
        if self._give_up_at is None or now < self._give_up_at:
            return None
        self._give_up_at = None
        return Finding(False, f"never healthy after {self._start_timeout_s:g} s: {self._why()}")

    def on_result(self, index: int, problem: str, now: float) -> Finding | None:
        track = self._tracks[index]
        track.passed = not problem
        track.failures = track.failures + 1 if problem else 0
        track.problem = problem or track.problem
        finding = self._liveness(track) if self.healthy else self._startup()
        track.due_at = now + (track.rule.interval_s if self.healthy else STARTUP_INTERVAL_S)
        return finding

    def _startup(self) -> Finding | None:
        if not all(track.passed for track in self._tracks):
            return None
        self.healthy, self._give_up_at = True, None
        return Finding(True)

    def _liveness(self, track: _Track) -> Finding | None:
        if track.failures < track.rule.failures_max:
            return None
        return Finding(False, f"became unhealthy: {track.problem}")

    def _why(self) -> str:
        problems = [t.problem or "no answer yet" for t in self._tracks if not t.passed]
        return "; ".join(problems)


def _rule(check: Check) -> _Rule:
    interval_ms = check.interval_ms if check.HasField("interval_ms") else 30_000
    threshold = check.failure_threshold if check.HasField("failure_threshold") else 1
    return _Rule(interval_ms / 1000, max(1, threshold))
