"""How numbers are shown: the middle and the tail, and the ratio to what they stand beside."""

from collections.abc import Sequence


def percentile(samples: Sequence[float], share: float) -> float:
    ordered = sorted(samples)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def row(name: str, samples: Sequence[float], unit_s: float = 1e-3, unit: str = "ms") -> str:
    p50, p99 = percentile(samples, 0.5) / unit_s, percentile(samples, 0.99) / unit_s
    return f"{name:<58} p50 {p50:8.2f} {unit}   p99 {p99:8.2f} {unit}   n {len(samples)}"


def ratio(name: str, ours: float, theirs: float) -> str:
    return f"{name:<58} {ours / theirs:8.2f} ×"
