"""One mutant on trial: the tests that are named for it, and seeds of a simulation.

Each runs in a process of its own, which installs the mutant and ends with it.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.mutants.mutant import Mutant
from tests.mutants.plugin import NAME_VARIABLE, REPORT_VARIABLE, VANISHED_STATUS

ROOT = Path(__file__).resolve().parents[2]
LIMIT_S = 900  # of a process; a single test ends by itself long before
#: How a test says that a promise is broken: an assertion, an exception that did not come, the
#: product's own last guard, or that the test waited in vain, within a limit of its own.
_REAL = ("AssertionError", "Failed", "Fatal", "Quarantined", "Replaced", "TimeoutError")
#: So, too, if the test itself does not find what it expects. Anywhere else it may be a mistake in
#: the mutant.
_REAL_IN_A_TEST = ("IndexError", "KeyError", "ValueError", "StopIteration", "AttributeError")
_WRONG_USAGE = 4
_PYTEST = (
    *("-m", "pytest", "-q", "--no-header", "--tb=no", "-p", "no:cacheprovider"),
    "--confcutdir=tests/unit",  # what holds for a whole run does not hold here
)


@dataclass
class Verdict:
    """What became of a mutant. It is dead when there are no complaints."""

    mutant: Mutant
    killers: list[str] = field(default_factory=list)
    says: str = ""
    needed: int | None = None
    tried: int = 0
    complaints: list[str] = field(default_factory=list)

    @property
    def seeds(self) -> str:
        """How many seeds it took."""
        chance = self.mutant.chance
        if chance is None or not self.tried:
            return "–"
        return f"{self.needed or f'> {self.tried}'} {chance.world}"


def judge(mutant: Mutant, seeds: bool = True) -> Verdict:
    """Run everything that has to find the mutant out, and some that may."""
    verdict = Verdict(mutant)
    try:
        _by_tests(verdict)
        if seeds and not verdict.complaints and mutant.chance is not None:
            _by_chance(verdict)
    except subprocess.TimeoutExpired as error:
        verdict.complaints.append(f"no end after {error.timeout:.0f} s")
    return verdict


def sound(mutants: Sequence[Mutant]) -> str:
    """What the named tests say of the product as it is; "" when they all pass."""
    nodes = sorted({node for mutant in mutants for node in mutant.nodes})
    with tempfile.TemporaryDirectory(prefix="diegod-mutant-") as folder:
        done = _run([*_PYTEST, f"--basetemp={folder}/t", *nodes], {})
    return "" if done.returncode == 0 else done.stdout + done.stderr


def _by_tests(verdict: Verdict) -> None:
    mutant = verdict.mutant
    with tempfile.TemporaryDirectory(prefix="diegod-mutant-") as folder:
        report = Path(folder) / "report.json"
        arguments = [*_PYTEST, "-p", "tests.mutants.plugin", f"--basetemp={folder}/t"]
        variables = {NAME_VARIABLE: mutant.name, REPORT_VARIABLE: str(report)}
        done = _run([*arguments, *mutant.nodes], variables)
        if done.returncode == VANISHED_STATUS:
            verdict.complaints.append(f"its target has vanished: {_last_line(done)}")
        elif done.returncode == _WRONG_USAGE or not report.exists():
            verdict.complaints.append(f"its tests can't be run: {_last_line(done)}")
        else:
            _weigh(verdict, json.loads(report.read_text(encoding="utf-8")))


def _weigh(verdict: Verdict, found: dict[str, Any]) -> None:
    """Every named test has to fail, and for the right kind of reason."""
    if not found["reached"]:
        verdict.complaints.append("not reached: no test ran into it")
        return
    if found["stumbled"]:
        verdict.complaints.append(f"the mutant itself stumbles: {found['stumbled'][0]}")
        return
    real = [failure for failure in found["failed"] if _is_real(failure)]
    for node in verdict.mutant.nodes:
        of_node = [failure for failure in real if _belongs(failure["node"], node)]
        if of_node:
            verdict.killers.append(node)
            verdict.says = verdict.says or _short(of_node[0])
        else:
            others = [each for each in found["failed"] if _belongs(each["node"], node)]
            why = f": {_short(others[0])} is no finding" if others else ""
            verdict.complaints.append(f"survived {node}{why}")


def _is_real(failure: dict[str, str]) -> bool:
    if failure["when"] != "call" or failure["says"].startswith("Timeout"):
        return False
    in_test = failure["at"].startswith("test_") and failure["kind"] in _REAL_IN_A_TEST
    return in_test or failure["kind"] in _REAL


def _belongs(item: str, node: str) -> bool:
    return item == node or item.startswith(node + "[")


def _short(failure: dict[str, str]) -> str:
    lines = failure["says"].splitlines() or [""]
    return f"{failure['kind']}: {lines[0]}"[:120]


def _by_chance(verdict: Verdict) -> None:
    chance = verdict.mutant.chance
    assert chance is not None
    module = ["-m", "tests.mutants.chance"]
    done = _run([*module, verdict.mutant.name, chance.world, str(chance.seeds)], {})
    if done.returncode:
        verdict.complaints.append(f"{chance.world}: {_last_line(done)}")
        return
    found = json.loads(done.stdout.splitlines()[-1])
    verdict.needed, verdict.tried = found["needed"], chance.seeds
    if found["unsound"]:
        seeds = ", ".join(map(str, found["unsound"]))
        verdict.complaints.append(f"{chance.world} finds fault with the product itself: {seeds}")
    if not found["reached"]:
        verdict.complaints.append(f"not reached: no seed of {chance.world} ran into it")
    elif chance.must and verdict.needed is None:
        verdict.complaints.append(f"survived {chance.seeds} seeds of {chance.world}")
    if verdict.needed and not verdict.mutant.tests:
        verdict.says = found["says"].splitlines()[0][:120]


def _run(arguments: Sequence[str], variables: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": "0", **variables},
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )


def _last_line(done: "subprocess.CompletedProcess[str]") -> str:
    lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    return lines[-1] if lines else f"exit status {done.returncode}"
