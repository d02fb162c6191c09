"""When a container is probed, and what the results mean: one monitor a container.

It begins unhealthy. Where there are startup checks, it is healthy once each of them has passed
once, however often it failed before; else once all liveness checks pass, which are tried every half
second until then. `start_timeout_s`, counted from the start of the program, bounds the whole of it.

From then on each liveness check runs at its own interval, and `failure_threshold` failures in a
row make the container unhealthy for good. Readiness checks run from then on, too, and decide one
thing only: whether it is routable. It isn't before each has passed, it isn't any more after
`failure_threshold` failures in a row of one, and one success of that one makes it so again.

Does not know what a probe is, or what follows from a finding.
"""

from dataclasses import dataclass

from diegod.cellruntime.core.checks import STARTUP_INTERVAL_S, Checks, Purpose, Rule

#: An agent that finds a container beyond its start timeout has not looked at it yet.
_FIRST_LOOK_S = 5.0


@dataclass(frozen=True)
class Finding:
    """Something has changed for good: it became healthy, or it must be given up."""

    healthy: bool
    reason: str = ""


@dataclass
class _Track:
    """One check. `due_at` is None while its probe is under way, and while it isn't wanted."""

    rule: Rule
    due_at: float | None = None
    passed: bool = False  # the latest result; of a startup check: any result
    failures: int = 0  # in a row
    problem: str = ""  # of the latest failure
    ready: bool = False  # of a readiness check: what it lets `routable` be
    was_ready: bool = False

    def note(self, problem: str) -> None:
        self.passed = not problem or (self.passed and self.rule.purpose is Purpose.STARTUP)
        self.failures = self.failures + 1 if problem else 0
        self.problem = problem or self.problem

    def note_readiness(self) -> None:
        if self.passed:
            self.ready = self.was_ready = True
        elif self.failures >= self.rule.failures_max:
            self.ready = False


class Monitor:
    """All checks of one container. Without any, a started program is healthy and routable."""

    def __init__(
        self,
        checks: Checks,
        now: float,
        start_timeout_s: float,
        *,
        started_at: float | None = None,
        healthy: bool = False,
        ready: bool = False,
    ) -> None:
        """`healthy` and `ready`: what an agent before this one had found."""
        self._tracks = [_Track(rule, ready=ready) for rule in checks.rules()]
        self._start_timeout_s = start_timeout_s  # 0: no limit
        self._give_up_at: float | None = None
        self._first = self._of(Purpose.STARTUP) or self._of(Purpose.LIVENESS)
        self.healthy = healthy or not self._first
        if self.healthy:
            self._begin(self._of(Purpose.LIVENESS), now)
            self._begin(self._of(Purpose.READINESS), now)
        else:
            self._begin(self._first, now)
            self._set_limit(now, now if started_at is None else started_at)

    @property
    def routable(self) -> bool:
        return self.healthy and all(track.ready for track in self._of(Purpose.READINESS))

    def why_not_routable(self) -> str:
        return _problems([track for track in self._of(Purpose.READINESS) if not track.ready])

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
        why = _problems([track for track in self._first if not track.passed])
        return Finding(False, f"never healthy after {self._start_timeout_s:g} s: {why}")

    def on_result(self, index: int, problem: str, now: float) -> Finding | None:
        track = self._tracks[index]
        track.note(problem)
        if track.rule.purpose is Purpose.READINESS:
            track.note_readiness()
            track.due_at = now + _readiness_interval_s(track)
            return None
        return self._living(track, now) if self.healthy else self._starting(track, now)

    def _starting(self, track: _Track, now: float) -> Finding | None:
        """A startup check that has passed is not asked again."""
        is_startup = track.rule.purpose is Purpose.STARTUP
        if all(one.passed for one in self._first):
            self._become_healthy(now)
            if not is_startup:
                track.due_at = now + track.rule.interval_s
            return Finding(True)
        if not (is_startup and track.passed):
            track.due_at = now + (track.rule.interval_s if is_startup else STARTUP_INTERVAL_S)
        return None

    def _become_healthy(self, now: float) -> None:
        self.healthy, self._give_up_at = True, None
        self._begin(self._of(Purpose.READINESS), now)
        for track in self._of(Purpose.LIVENESS):
            if self._of(Purpose.STARTUP):  # else they are being tried already
                track.due_at = now + track.rule.interval_s

    def _living(self, track: _Track, now: float) -> Finding | None:
        if track.rule.purpose is Purpose.STARTUP:
            return None
        track.due_at = now + track.rule.interval_s
        if track.failures < track.rule.failures_max:
            return None
        return Finding(False, f"became unhealthy: {track.problem}")

    def _of(self, purpose: Purpose) -> list[_Track]:
        return [track for track in self._tracks if track.rule.purpose is purpose]

    def _begin(self, tracks: list[_Track], now: float) -> None:
        for track in tracks:
            track.due_at = now

    def _set_limit(self, now: float, started_at: float) -> None:
        if self._start_timeout_s:
            first_look_s = min(_FIRST_LOOK_S, self._start_timeout_s)
            self._give_up_at = max(started_at + self._start_timeout_s, now + first_look_s)


def _readiness_interval_s(track: _Track) -> float:
    """Soon again until it is let in: nobody is to wait half a minute for its first request."""
    if track.ready or track.was_ready:
        return track.rule.interval_s
    return min(track.rule.interval_s, STARTUP_INTERVAL_S)


def _problems(tracks: list[_Track]) -> str:
    return "; ".join(track.problem or "no answer yet" for track in tracks)
