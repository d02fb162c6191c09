"""`python -m tests.sim [bbs|ring] [A..B] [--story]`: the seeds from A to B, or new ones.

Without a name, both simulations run, one after the other. Prints for each block of seeds what went
wrong how often, and a digest of its traces; and the seeds that broke a promise, with the command
that runs them again. Exit status 1 if there is one, or if something that must happen in each block
did not happen at all.
"""

import os
import resource
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from hashlib import blake2b
from itertools import islice

from tests.sim import bbs, bbs_faults, ring, ring_faults
from tests.sim.stage import Report

USAGE = "usage: python -m tests.sim [bbs|ring] [A..B] [--story]"


@dataclass(frozen=True)
class Simulation:
    name: str
    simulate: Callable[..., Report]
    needed: Sequence[str]  # faults and counts of which each block must have at least one
    block: int  # seeds; also how many new ones are run


SIMULATIONS = {
    "bbs": Simulation("bbs", bbs.simulate, (*bbs_faults.KINDS, *bbs.COUNTS), 100),
    "ring": Simulation("ring", ring.simulate, (*ring_faults.KINDS, *ring.COUNTS), 50),
}


class Tally:
    """What came of some seeds."""

    def __init__(self) -> None:
        self.seeds: list[str] = []
        self.counts: Counter[str] = Counter()
        self.faults = 0
        self.failed = 0
        self.simulated_s = self.slowest_s = 0.0
        self._digest = blake2b(digest_size=16)

    def add(self, report: Report) -> None:
        self.seeds.append(report.seed)
        self.counts.update(report.counts)
        self.counts.update(report.faults)
        self.faults += report.faults.total()
        self.failed += bool(report.violations)
        self.simulated_s += report.simulated_s
        self.slowest_s = max(self.slowest_s, report.converged_after_s)
        self._digest.update(report.digest.encode())

    @property
    def name(self) -> str:
        return f"{self.seeds[0]}..{self.seeds[-1]}"

    @property
    def digest(self) -> str:
        return self._digest.hexdigest()

    def missing(self, needed: Sequence[str]) -> list[str]:
        return [name for name in needed if not self.counts[name]]


def main(arguments: list[str]) -> int:
    is_story = "--story" in arguments
    words = [each for each in arguments if each != "--story"]
    chosen = list(SIMULATIONS.values())
    if words and words[0] in SIMULATIONS:
        chosen = [SIMULATIONS[words.pop(0)]]
    try:
        asked = _seeds(words[0]) if words else None
    except ValueError:
        print(USAGE, file=sys.stderr)
        return 2
    if is_story:
        return max(_tell(each.simulate((asked or [1])[0], verbose=True)) for each in chosen)
    return max(_run(each, asked or _new_seeds(each.block)) for each in chosen)


def _seeds(text: str) -> range:
    first_text, _, last_text = text.partition("..")
    first, last = int(first_text), int(last_text or first_text)
    if last < first:
        raise ValueError(text)
    return range(first, last + 1)


def _new_seeds(number: int) -> range:
    first = time.time_ns() // 1_000_000
    return range(first, first + number)


def _tell(report: Report) -> int:
    print("\n".join(report.notes))
    for violation in report.violations:
        print(violation)
    print(f"digest {report.digest}")
    return 1 if report.violations else 0


def _run(simulation: Simulation, seeds: range) -> int:
    began, cpu_before = time.monotonic(), _cpu_s()
    whole, lacking = Tally(), False
    with ProcessPoolExecutor(min(len(seeds), os.cpu_count() or 1)) as pool:
        reports = iter(pool.map(simulation.simulate, seeds, chunksize=1 + len(seeds) // 200))
        while block := _block(simulation, reports, whole):
            _print_block(simulation, block)
            lacking |= len(block.seeds) >= simulation.block and bool(
                block.missing(simulation.needed)
            )
    seconds, cpu_s = time.monotonic() - began, _cpu_s() - cpu_before
    print(
        f"{simulation.name}: {len(seeds)} seeds ({whole.name}), {whole.faults} faults, "
        f"{whole.simulated_s:.0f} simulated seconds in {seconds:.1f} s "
        f"({len(seeds) / seconds:.1f} seeds/s, {cpu_s / len(seeds):.3f} s of CPU each); "
        f"healed after at most {whole.slowest_s:.1f} s; digest {whole.digest}"
    )
    failed = whole.failed
    print(f"{failed} seeds broke a promise" if failed else "no promise was broken")
    return 1 if failed or lacking else 0


def _block(simulation: Simulation, reports: Iterator[Report], whole: Tally) -> Tally | None:
    """The next block of seeds; None when there are no more."""
    block = Tally()
    for report in islice(reports, simulation.block):
        block.add(report)
        whole.add(report)
        if report.violations:
            _print_failure(simulation, report)
    return block if block.seeds else None


def _print_failure(simulation: Simulation, report: Report) -> None:
    again = f"make sim SIM={simulation.name} SEEDS={report.seed}..{report.seed}"
    print(f"seed {report.seed} broke a promise: {again}")
    for violation in report.violations:
        print(f"    {violation}")
    sys.stdout.flush()


def _print_block(simulation: Simulation, block: Tally) -> None:
    counts = ", ".join(f"{block.counts[name]} × {name}" for name in simulation.needed)
    print(f"{simulation.name} {block.name}: {counts}; digest {block.digest}")
    missing = block.missing(simulation.needed)
    if missing and len(block.seeds) >= simulation.block:
        print(f"in the seeds {block.name} these did not occur: {', '.join(missing)}")
    sys.stdout.flush()


def _cpu_s() -> float:
    """Of all processes that have ended, and of this one."""
    spent = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in spent)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
