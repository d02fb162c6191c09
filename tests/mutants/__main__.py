"""`python -m tests.mutants [NAME…] [--markdown FILE]`: which mutant is found out by whom.

Exit status 1 if there is one that nobody finds, or that is out of touch with the product; 2 if
there is no such mutant.
"""

import argparse
import os
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat
from pathlib import Path

from tests.mutants import report
from tests.mutants.mutant import Mutant
from tests.mutants.table import MUTANTS
from tests.mutants.trial import judge, sound

_WRONG_USAGE = 2


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="or the beginning of names")
    parser.add_argument("--list", action="store_true", help="only say what each of them breaks")
    parser.add_argument("--no-seeds", action="store_true", help="run only the tests that are named")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the table there, too")
    wanted = parser.parse_args(arguments)
    chosen = _chosen(wanted.names)
    if not chosen:
        print(f"no mutant is called {' or '.join(wanted.names)}", file=sys.stderr)
        return _WRONG_USAGE
    if wanted.list:
        for mutant in chosen:
            print(f"{mutant.name} ({mutant.of}): {mutant.breaks}")
        return 0
    return _try(chosen, not wanted.no_seeds, wanted.markdown)


def _chosen(names: Sequence[str]) -> list[Mutant]:
    return [
        mutant
        for mutant in MUTANTS.values()
        if not names or any(mutant.name.startswith(name) for name in names)
    ]


def _try(chosen: Sequence[Mutant], seeds: bool, markdown: Path | None) -> int:
    began = time.monotonic()
    if complaint := sound(chosen):
        print(complaint)
        print("the product as it is does not pass the tests that mutants have to fail")
        return 1
    verdicts = []
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        for verdict in pool.map(judge, chosen, repeat(seeds)):
            verdicts.append(verdict)
            print(report.line(verdict), flush=True)
    print(report.summary(verdicts, time.monotonic() - began))
    if markdown is not None:
        markdown.write_text(report.markdown(verdicts), encoding="utf-8")
    return 1 if any(verdict.complaints for verdict in verdicts) else 0


if __name__ == "__main__":
    sys.exit(main())
