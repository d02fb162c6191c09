"""`python -m tests.sim [A..B]`: the seeds from A to B, or fifty new ones.

Prints what went wrong how often, and the seeds that broke a promise with the command that runs
them again. Exit status 1 if there is one, or if a kind of fault did not occur at all.
"""

import os
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from hashlib import blake2b

from tests.sim.nemesis import KINDS
from tests.sim.ring import Report, simulate

NEW_SEEDS = 50
#: With fewer seeds a kind of fault may be missing by chance.
_SEEDS_FOR_ALL_KINDS = 40


def main(arguments: list[str]) -> int:
    is_story = "--story" in arguments
    arguments = [each for each in arguments if each != "--story"]
    try:
        seeds = _seeds(arguments[0] if arguments else "")
    except ValueError:
        print("usage: python -m tests.sim [A..B] [--story]", file=sys.stderr)
        return 2
    if is_story:
        return _tell(simulate(seeds[0], verbose=True))
    began = time.monotonic()
    with ProcessPoolExecutor(min(len(seeds), os.cpu_count() or 1)) as pool:
        reports = []
        for report in pool.map(simulate, seeds):
            reports.append(report)
            if report.violations:
                _print_failure(report)
    return _summary(reports, time.monotonic() - began)


def _seeds(text: str) -> list[int]:
    if not text:
        first = time.time_ns() // 1_000_000
        return list(range(first, first + NEW_SEEDS))
    first_text, _, last_text = text.partition("..")
    first, last = int(first_text), int(last_text or first_text)
    if last < first:
        raise ValueError(text)
    return list(range(first, last + 1))


def _tell(report: Report) -> int:
    print("\n".join(report.notes))
    for violation in report.violations:
        print(violation)
    print(f"digest {report.digest}")
    return 1 if report.violations else 0


def _print_failure(report: Report) -> None:
    print(f"seed {report.seed} broke a promise: make sim SEEDS={report.seed}..{report.seed}")
    for violation in report.violations:
        print(f"    {violation}")
    sys.stdout.flush()


def _summary(reports: list[Report], seconds: float) -> int:
    faults: Counter[str] = Counter()
    counts: Counter[str] = Counter()
    for report in reports:
        faults.update(report.faults)
        counts.update(report.counts)
    for kind in KINDS:
        print(f"{faults[kind]:8d} × {kind}")
    for name, count in sorted(counts.items()):
        print(f"{count:8d} {name}")
    failed = [report for report in reports if report.violations]
    missing = [kind for kind in KINDS if not faults[kind]]
    slowest = max(report.converged_after_s for report in reports)
    whole = blake2b("".join(report.digest for report in reports).encode(), digest_size=16)
    simulated_s = sum(report.simulated_s for report in reports)
    print(
        f"{len(reports)} seeds ({reports[0].seed}..{reports[-1].seed}), {sum(faults.values())} "
        f"faults, {simulated_s:.0f} simulated seconds in {seconds:.1f} s; as desired again after "
        f"at most {slowest:.1f} s; digest {whole.hexdigest()}"
    )
    if missing and len(reports) >= _SEEDS_FOR_ALL_KINDS:
        print(f"these faults did not occur: {', '.join(missing)}")
        return 1
    print(f"{len(failed)} seeds broke a promise" if failed else "no promise was broken")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
