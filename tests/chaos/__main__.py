"""`python -m tests.chaos [--minutes M] [--seed N]`, and `python -m tests.chaos raw`.

Exit status 0: all promises were kept, and the run was what it was to be; 1: they were not, with the
seed and the folder where the history is kept; 2: it can't be run here.
"""

import argparse
import asyncio
import atexit
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType

from diegod.telemetry import logs
from tests import needs
from tests.chaos import nemesis, places, raw
from tests.chaos.faults import Fault
from tests.chaos.members import ChaosError
from tests.chaos.places import Places
from tests.chaos.report import Report
from tests.chaos.run import MEMBERS, Plan, Run

KEPT = Path(__file__).parents[2] / ".cache" / "chaos"
_ENDING = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
_DISK_MB_LEAST = 256
_DISK_MB_A_MINUTE = 32


def main(arguments: list[str]) -> int:
    if arguments[:1] == ["raw"]:
        return raw.main(arguments[1:])
    options = _parsed(arguments)
    if reason := needs.lacking():
        print(f"chaos {reason}", file=sys.stderr)
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
    plan = Plan(
        commit=_commit(),
        seed=options.seed,
        minutes=options.minutes,
        faults_min=options.faults,
        kinds=_kinds(options.kinds),
        clients=options.clients,
        rate=options.rate,
        disk_mb=_DISK_MB_LEAST + int(_DISK_MB_A_MINUTE * options.minutes),
        is_unhurried=options.unhurried,
        keep=keep,
        say=lambda line: print(line, flush=True),
    )
    print(f"run {place.run}, seed {plan.seed}: {plan.minutes:g} minutes", flush=True)
    run = Run(plan, place)
    try:
        run.build()
        report = asyncio.run(_until_told_to_end(run))
    except asyncio.CancelledError:
        return 128 + signal.SIGTERM
    except ChaosError as error:
        for problem in [str(error), *run.complaints]:
            print(f"PROBLEM {problem}", file=sys.stderr)
        return _failed(plan, place)
    print("\n".join(["", *report.lines()]), flush=True)
    for problem in report.problems:
        print(f"PROBLEM {problem}", file=sys.stderr)
    return _failed(plan, place) if report.problems else 0


async def _until_told_to_end(run: Run) -> Report:
    """From here on a signal cancels what goes on, so that it ends what it has begun."""
    task = asyncio.current_task()
    assert task is not None
    for number in _ENDING:
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    return await run.carry_out()


def _commit() -> str:
    command = ["git", "describe", "--always", "--dirty"]
    here = Path(__file__).parent
    done = subprocess.run(command, cwd=here, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def _failed(plan: Plan, place: Places) -> int:
    """The members' logs are worth as much as the history."""
    for member in MEMBERS:
        log = place.of_member(member) / "log"
        if log.exists():
            shutil.copy(log, plan.keep / f"{member}.log")
    print(f"seed {plan.seed}; history, report and logs are in {plan.keep}", file=sys.stderr)
    return 1


def _leave(number: int, frame: FrameType | None) -> None:
    """While there is no event loop: through `atexit`, so that nothing stays."""
    raise SystemExit(128 + number)


def _parsed(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--seed", type=int, default=time.time_ns() // 1_000_000)
    parser.add_argument("--faults", type=int, default=30, help="at least so many are observed")
    parser.add_argument("--clients", type=int, default=12)
    parser.add_argument("--rate", type=float, default=110.0, help="operations a second, at most")
    parser.add_argument("--kinds", default="", help="beginnings of kinds, with commas; else all")
    parser.add_argument("--unhurried", action="store_true", help="rates are shown, not judged")
    options = parser.parse_args(arguments)
    if not _kinds(options.kinds):
        parser.error(f"--kinds: there are {'; '.join(nemesis.KINDS)}")
    return options


def _kinds(text: str) -> list[type[Fault]]:
    wanted = tuple(word.strip() for word in text.split(","))
    return [each for each in nemesis.ALL_FAULTS if each.kind.startswith(wanted)]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
