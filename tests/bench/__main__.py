"""`python -m tests.bench [SECTION]…`: all sections, or those that are named."""

import asyncio
import sys

from diegod.telemetry import logs
from tests.bench import (
    at_rest,
    convergence,
    first_container,
    instances,
    lost,
    slices,
    tasks,
    writes,
)

_SECTIONS = {
    "writes": writes.run,
    "tasks": tasks.run,
    "first_container": first_container.run,
    "instances": instances.run,
    "at_rest": at_rest.run,
    "convergence": convergence.run,
    "lost": lost.run,
    "slices": slices.run,
}


def main() -> int:
    chosen = sys.argv[1:] or list(_SECTIONS)
    logs.configure("console", "error")
    for name in chosen:
        print(f"\n{name}", flush=True)
        for line in asyncio.run(_SECTIONS[name]()):
            print(f"  {line}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
