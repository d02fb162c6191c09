"""`python -m tests.storm [--tasks N] [--rate R] [--seed N] [--calm]`

Exit status 0: every promise was kept; 1: one was not, with the folder where logs and report are; 2:
it can't be run here.
"""

import argparse
import asyncio
import atexit
import os
import signal
import sys
import time
from pathlib import Path
from types import FrameType

from diegod.telemetry import logs
from tests import needs
from tests.chaos import places
from tests.chaos.members import ChaosError
from tests.chaos.places import Places
from tests.storm.run import Plan, Report, Run

KEPT = Path(__file__).parents[2] / ".cache" / "storm"
_ENDING = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)


def main(arguments: list[str]) -> int:
    options = _parsed(arguments)
    if reason := needs.lacking():
        print(f"storm {reason}", file=sys.stderr)
        return 2
    os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
    logs.configure("console", "error")
    for dead in places.remove_dead_runs():
        print(f"removed what run {dead} had left")
    place = places.begin()
    atexit.register(places.remove, place.run)
    for number in _ENDING:
        signal.signal(number, _leave)
    return _one_run(options, place)


def _one_run(options: argparse.Namespace, place: Places) -> int:
    keep = KEPT / f"{place.run}-seed-{options.seed}"
    keep.mkdir(parents=True)
    plan = Plan(options.seed, options.tasks, options.rate, options.calm, keep, _say)
    _say(f"run {place.run}, seed {plan.seed}: {plan.tasks} tasks")
    run = Run(plan, place)
    problems: list[str] = []
    try:
        run.build()
        report = asyncio.run(_until_told_to_end(run))
        _say("\n".join(["", *report.lines()]))
        problems = report.problems
    except asyncio.CancelledError:
        return 128 + signal.SIGTERM
    except ChaosError as error:
        problems = [str(error), *run.complaints]
    finally:
        run.clean()
    if problems:
        run.keep_logs()
    for problem in problems:
        print(f"PROBLEM {problem}", file=sys.stderr)
    if problems:
        print(f"seed {plan.seed}; report and logs are in {plan.keep}", file=sys.stderr)
    return 1 if problems else 0


async def _until_told_to_end(run: Run) -> Report:
    """From here on a signal cancels what goes on, so that it ends what it has begun."""
    task = asyncio.current_task()
    assert task is not None
    for number in _ENDING:
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    return await run.carry_out()


def _leave(number: int, frame: FrameType | None) -> None:
    """While there is no event loop: through `atexit`, so that nothing stays."""
    raise SystemExit(128 + number)


def _say(line: str) -> None:
    print(line, flush=True)


def _parsed(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.storm", description=__doc__)
    parser.add_argument("--tasks", type=int, default=2000)
    parser.add_argument("--rate", type=float, default=8.0, help="tasks submitted a second")
    parser.add_argument("--seed", type=int, default=time.time_ns() // 1_000_000)
    parser.add_argument("--calm", action="store_true", help="without faults")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
