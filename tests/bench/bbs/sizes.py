"""How large a run is; the defaults are what `docs/benchmarks.md` shows."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Sizes:
    rows: int = 250_000  # present before anything is measured
    rounds: int = 5  # how often both sides take turns
    bulk: int = 5_000  # writes a turn, in the way meant for many
    singles: int = 2_000  # writes a turn, 256 in flight
    lone: int = 500  # writes, one after the other
    flushes: int = 50  # lone writes under strace
    failovers: int = 50
    streams: int = 1_000  # each hears of one write, 100 a second
    channels: int = 51
    idle_s: int = 60
    delay_ms: float = 5.0  # of each flush, in the part `slow-disk`
