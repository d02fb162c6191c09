"""`python -m tests.demo`: show everything, once. Exit status 0 only if all of it was seen."""

import argparse
import asyncio
import os
import sys

# Before gRPC is imported: its fork handlers deadlock beside subprocesses, and it likes to chat.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

from tests.demo import show
from tests.demo.leftovers import DemoError
from tests.demo.steps import STEPS

_BREAK = "DIEGOD_DEMO_BREAK"
_WRONG_USAGE = 2


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.demo", description=__doc__)
    parser.add_argument("--steps", action="store_true", help="list the steps, and how each breaks")
    if parser.parse_args().steps:
        for step in STEPS:
            print(f"{step.name:<8} {step.shows}\n{'':<8} {_BREAK}={step.name}: {step.broken_by}")
        return 0
    broken = os.environ.get(_BREAK, "")
    names = [step.name for step in STEPS]
    if broken and broken not in names:
        print(f"demo: {_BREAK}={broken} is no step; steps are {', '.join(names)}", file=sys.stderr)
        return _WRONG_USAGE
    try:
        return asyncio.run(show.run(broken))
    except KeyboardInterrupt:  # before there was anything to clean up
        return 130
    except DemoError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
